package main

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// readyLine is in the log of a daemon that has started.
const readyLine = "IPFS Cluster is READY"

// tailLines is how much of a log an error shows.
const tailLines = 20

// watchedLog takes the output of a daemon and notes when it is ready. It is safe for
// concurrent use.
type watchedLog struct {
	mu   sync.Mutex
	part []byte // of a line that has not ended
	last []string
	at   time.Time // of readyLine, zero before
}

func newWatchedLog() *watchedLog { return &watchedLog{} }

// Write never fails.
func (l *watchedLog) Write(p []byte) (int, error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		line, rest, found := bytes.Cut(l.part, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.add(now, string(line))
		l.part = rest
	}
}

func (l *watchedLog) add(now time.Time, line string) {
	if l.at.IsZero() && strings.Contains(line, readyLine) {
		l.at = now
	}
	l.last = append(l.last, line)
	l.last = l.last[max(0, len(l.last)-tailLines):]
}

// ready tells when readyLine came, and whether it has.
func (l *watchedLog) ready() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, !l.at.IsZero()
}

func (l *watchedLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}

package main

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// Lines of the daemon's log. The second is upstream's, at level debug.
const (
	readyLine   = "IPFS Cluster is READY"
	recoverLine = "auto-triggering RecoverAllLocal()"
)

// tailLines is how much of a log an error shows.
const tailLines = 20

// watchedLog takes the output of a daemon and notes when the lines come that
// the bench waits for. It is safe for concurrent use.
type watchedLog struct {
	mu   sync.Mutex
	part []byte // of a line that has not ended
	last []string
	at   map[string][]time.Time
}

func newWatchedLog() *watchedLog { return &watchedLog{at: make(map[string][]time.Time)} }

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
	for _, wanted := range []string{readyLine, recoverLine} {
		if strings.Contains(line, wanted) {
			l.at[wanted] = append(l.at[wanted], now)
		}
	}
	l.last = append(l.last, line)
	l.last = l.last[max(0, len(l.last)-tailLines):]
}

// when tells when the n-th line with the text came.
func (l *watchedLog) when(text string, n int) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.at[text]) < n {
		return time.Time{}, false
	}
	return l.at[text][n-1], true
}

func (l *watchedLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}

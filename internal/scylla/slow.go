package scylla

import (
	"fmt"
	"regexp"
	"sync"
	"time"
)

const (
	// slowTold is how many slow requests are told of in a slowSpan. Of more only their
	// number is.
	slowTold = 10
	slowSpan = time.Minute
	// slowText is how much of a statement is told.
	slowText = 600
)

// slowLog tells the log of requests that take long. It is safe for concurrent use.
type slowLog struct {
	mu    sync.Mutex
	since time.Time
	told  int // since then
	more  int
	timer *time.Timer // that tells how many more there were
}

// tell tells of a request, unless so many were told of that it only counts.
func (s *slowLog) tell(c *call, took time.Duration, host string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.since) >= slowSpan {
		s.flush()
		s.since, s.told = now, 0
	}
	if s.told == slowTold {
		if s.more++; s.more == 1 {
			s.timer = time.AfterFunc(s.since.Add(slowSpan).Sub(now), s.close)
		}
		return
	}
	s.told++
	logger.Warnf("a request to the database took %s: %s", took.Round(100*time.Microsecond), c.detail(host, err))
}

// flush tells how many more there were. The caller holds the lock.
func (s *slowLog) flush() {
	if s.more == 0 {
		return
	}
	s.timer.Stop()
	logger.Warnf("and %d more slow requests to the database in a minute", s.more)
	s.more = 0
}

// close tells what is left to tell.
func (s *slowLog) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

// detail says what a request was and how it ended, without a value that was sent.
func (c *call) detail(host string, err error) string {
	text := withoutValues(c.text)
	if c.kind == batch {
		text = fmt.Sprintf("a batch of %d that begins with %s", c.size, text)
	}
	text += fmt.Sprintf(" (%s at %s, attempts %d, %s", c.kind, c.cons, c.attempts, outcomeOf(err))
	if code := codeOf(err); code != noCode {
		text += ", code " + code
	}
	if host != "" {
		text += ", node " + host
	}
	if c.trace != "" {
		text += ", trace " + c.trace
	}
	return text + ")"
}

// literals are values in a statement: strings, UUIDs, and what begins with a digit.
var literals = regexp.MustCompile(`(?s)'(?:[^']|'')*(?:'|$)|\$\$.*?(?:\$\$|$)|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]+|\b\d[\w.+-]*`)

// withoutValues is the text of a statement without values. The statements of the
// program have markers for what they are about, and few have any.
func withoutValues(text string) string {
	text = literals.ReplaceAllString(text, "?")
	if len(text) > slowText {
		text = text[:slowText] + "…"
	}
	return text
}

package service

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// starting is what a peer that starts is at, for those who ask why it is not ready. It is safe
// for concurrent use.
type starting struct {
	mu    sync.Mutex
	step  string
	since time.Time
	tries int
	last  error // of the last try of this step
}

// begin says what the peer is at from now on, as "connecting to the database".
func (s *starting) begin(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step, s.since, s.tries, s.last = step, time.Now(), 0, nil
}

// waiting says why a try of this step came to nothing. There will be another one.
func (s *starting) waiting(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	s.last = err
}

// why is the error of a peer that starts.
func (s *starting) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step == "" {
		return errors.New("the peer is starting")
	}
	text := fmt.Sprintf("the peer is starting: it is %s since %s (%s)", s.step, s.since.UTC().Format(time.RFC3339), time.Since(s.since).Round(time.Second))
	if s.last == nil {
		return errors.New(text)
	}
	return fmt.Errorf("%s, tried %d times, the last time: %w", text, s.tries, s.last)
}

package service

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhyStarting: what a start waits for, since when, and what went wrong last; what went wrong
// in an earlier step is over.
func TestWhyStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s starting
		want := func(text string) {
			t.Helper()
			if got := s.why(); got == nil || got.Error() != text {
				t.Errorf("it says\n%v\nwant\n%s", got, text)
			}
		}
		want("the peer is starting")
		s.begin("connecting to the database")
		time.Sleep(90 * time.Second)
		want("the peer is starting: it is connecting to the database since 2000-01-01T00:00:00Z (1m30s)")
		s.waiting(errors.New("no route"))
		s.waiting(errors.New("refused"))
		want("the peer is starting: it is connecting to the database since 2000-01-01T00:00:00Z (1m30s), tried 2 times, the last time: refused")
		s.begin("joining the other peers")
		time.Sleep(2 * time.Second)
		want("the peer is starting: it is joining the other peers since 2000-01-01T00:01:30Z (2s)")
	})
}

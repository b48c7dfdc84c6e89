package membership

import (
	"testing"
	"time"
)

// TestBeaten: it is the time of the last heartbeat that was written, not of one that failed.
func TestBeaten(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		m := mustClaim(t, options(db, "A"))
		defer stop(t, m)
		if at, counts := m.Beaten(); !at.IsZero() || counts != ttl {
			t.Errorf("before they begin: %s, %s", at, counts)
		}
		m.Start(nil)
		after(time.Hour)
		if at, _ := m.Beaten(); time.Since(at) > interval {
			t.Errorf("the last one was %s ago", time.Since(at))
		}
		db.fail(errDown)
		after(time.Hour)
		if at, _ := m.Beaten(); time.Since(at) < time.Hour {
			t.Errorf("in an outage the last one was %s ago", time.Since(at))
		}
		db.fail(nil)
		after(interval)
		if at, _ := m.Beaten(); time.Since(at) > interval {
			t.Errorf("after it the last one was %s ago", time.Since(at))
		}
	})
}

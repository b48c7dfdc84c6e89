package scyllastate

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestCountEvents: rows behind a position are counted, as long as they are kept, and no more
// of them than a person waits for.
func TestCountEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := &eventRig{feedRig: newTablesRig(t)}
		r.store.eventsSince = begin
		write := func(n int) {
			for range n {
				r.note(mustIntent(t, "x", state.EventPinned))
			}
		}
		check := func(what string, after time.Time, n int, more bool) {
			t.Helper()
			got, left, err := r.store.CountEvents(t.Context(), 3, after)
			if got != n || left != more || err != nil {
				t.Errorf("%s: %d rows, more %t, %v; want %d, %t", what, got, left, err, n, more)
			}
		}
		check("none", time.Time{}, 0, false)
		time.Sleep(time.Second)
		write(2)
		time.Sleep(slotLength)
		write(3)
		later := time.Now()
		time.Sleep(time.Second)
		write(4)
		check("a feed that was never read", time.Time{}, 9, false)
		check("behind a position", later, 4, false)
		time.Sleep(23 * time.Hour)
		check("yesterday's", time.Time{}, 9, false)
		time.Sleep(2 * time.Hour)
		check("more than a day of time", time.Time{}, 9, true)
		now := time.Now()
		time.Sleep(time.Second)
		write(maxCounted)
		check("many", now, maxCounted, true)
		r.fails = func(string, int64) bool { return true }
		if _, _, err := r.store.CountEvents(t.Context(), 3, now); err == nil {
			t.Error("rows are counted that cannot be read")
		}
		r.store.eventsSince = time.Time{}
		if _, _, err := r.store.CountEvents(t.Context(), 3, now); !errors.Is(err, state.ErrEventsOff) {
			t.Errorf("without events: %v", err)
		}
	})
}

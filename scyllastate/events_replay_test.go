package scyllastate

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestReplayTakesTooLong: events that run out while they are read are missed by an error,
// not by a shorter answer. What was read before it ran out is not missed.
func TestReplayTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		for _, tt := range []struct {
			what         string
			after, since time.Time
			takes        time.Duration // for each slot
			gone         bool
		}{
			{"in no time", begin, begin.Add(-time.Hour), 0, false},
			{"slowly, but faster than they run out", begin, begin.Add(-time.Hour), slotLength / 3, false},
			{"more slowly than they run out", begin, begin.Add(-time.Hour), 2 * slotLength / 3, true},
			{"the later one runs out", begin.Add(slotLength), begin.Add(-time.Hour), 2 * slotLength, true},
			{"there were none before", begin, begin.Add(slotLength + time.Second), 2 * slotLength / 3, false},
			{"as long ago as there are events", time.Time{}, begin.Add(-time.Hour), 2 * slotLength / 3, false},
		} {
			r := &eventRig{feedRig: newTablesRig(t)}
			r.pins = make(map[string]row)
			r.store.eventsSince = tt.since
			for _, at := range []time.Duration{slotLength / 2, slotLength + slotLength/2} {
				i := mustIntent(t, "x", state.EventPinned)
				r.rows[eventsName] = append(r.rows[eventsName], changeRow{at: newUUID(begin.Add(at)), cid: i.Cid, rev: i.Rev, kind: i.Kind, peer: i.Peer})
			}
			now := begin.Add(feedTTL - slotLength/2)
			r.store.now = func() time.Time { return now }
			r.fails = func(_ string, slot int64) bool {
				if slot >= slotOf(begin) {
					now = now.Add(tt.takes)
				}
				return false
			}
			told := 0
			err := r.store.ReadEvents(t.Context(), 3, tt.after, begin.Add(2*slotLength-time.Second), func(events []state.Event) error {
				told += len(events)
				return nil
			})
			if errors.Is(err, state.ErrEventsGone) != tt.gone || err != nil && !tt.gone {
				t.Errorf("%s: %v", tt.what, err)
			}
			if err == nil && told != 2 {
				t.Errorf("%s: %d events", tt.what, told)
			}
		}
	})
}

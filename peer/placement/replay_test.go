package placement

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestRestart: what the last process left undone is done by the next, also what
// changed while there was none.
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(r *rig, pin *api.Pin) // before the end of the process
		away func(r *rig, pin *api.Pin) // while there is none
		held bool
	}{
		{"queued", func(r *rig, pin *api.Pin) { _ = r.Act(context.Background(), r.store.set(pin.Cid, pin)) }, nil, true},
		{"pin failed", func(r *rig, pin *api.Pin) {
			r.ipfs.failNext(1)
			_ = r.Act(context.Background(), r.store.set(pin.Cid, pin))
			after(2 * time.Second)
		}, nil, true},
		{"unpinning", func(r *rig, pin *api.Pin) {
			_ = r.Act(context.Background(), r.store.set(pin.Cid, pin))
			after(2 * time.Second)
			_ = r.Act(context.Background(), r.store.set(pin.Cid, nil))
		}, nil, false},
		{"unpin failed", func(r *rig, pin *api.Pin) {
			_ = r.Act(context.Background(), r.store.set(pin.Cid, pin))
			after(2 * time.Second)
			r.ipfs.failNext(1)
			_ = r.Act(context.Background(), r.store.set(pin.Cid, nil))
			after(1100 * time.Millisecond)
		}, nil, false},
		{"queued and removed", func(r *rig, pin *api.Pin) { _ = r.Act(context.Background(), r.store.set(pin.Cid, pin)) },
			func(r *rig, pin *api.Pin) { r.store.set(pin.Cid, nil) }, false},
		{"pinned and removed", func(r *rig, pin *api.Pin) {
			_ = r.Act(context.Background(), r.store.set(pin.Cid, pin))
			after(2 * time.Second)
		}, func(r *rig, pin *api.Pin) { r.store.set(pin.Cid, nil) }, false},
		{"pinned and moved", func(r *rig, pin *api.Pin) {
			_ = r.Act(context.Background(), r.store.set(pin.Cid, pin))
			after(2 * time.Second)
		}, func(r *rig, pin *api.Pin) { r.store.set(pin.Cid, r.pin("a", statetest.Peer("other"))) }, false},
		{"unpinning and pinned again", func(r *rig, pin *api.Pin) {
			_ = r.Act(context.Background(), r.store.set(pin.Cid, nil))
		}, func(r *rig, pin *api.Pin) { r.store.set(pin.Cid, pin) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := newRig(t, newStore(), newIPFS())
				after(time.Second)
				pin := first.pin("a", first.self)
				tt.make(first, pin)
				first.stop()
				if tt.away != nil {
					tt.away(first, pin)
				}
				first.ipfs.failNext(0)
				second := newRig(t, first.store, first.ipfs)
				defer second.stop()
				after(time.Minute)
				status := state.PlacementStatus(0)
				if tt.held {
					status = state.PlacementPinned
				}
				wantEnd(t, second, pin.Cid, status)
			})
		})
	}
}

// TestReplayReadsOwnRows: looking for unfinished work costs nothing for what is
// finished, and is repeated when the database was gone.
func TestReplayReadsOwnRows(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		before := r.store.readSoFar()
		if err := r.Replay(t.Context(), false); err != nil || r.store.readSoFar() != before {
			t.Errorf("Replay = %v after %d reads of pins", err, r.store.readSoFar()-before)
		}
		told := len(r.tracker.told)
		if err := r.Replay(t.Context(), true); err != nil || len(r.tracker.told) != told {
			t.Errorf("Replay = %v, the tracker was told %q of what is pinned", err, r.tracker.told[told:])
		}
		left := statetest.Cid("left undone")
		_ = r.store.PutPlacement(t.Context(), r.self, state.Placement{Cid: left, Status: state.PlacementUnpinning})
		if err := r.Replay(t.Context(), false); err != nil {
			t.Error(err)
		}
		after(2 * time.Second)
		wantEnd(t, r, left, 0)
		r.store.setDown(true)
		if err := r.Replay(t.Context(), true); !errors.Is(err, errDown) {
			t.Errorf("Replay = %v", err)
		}
		r.store.setDown(false)
	})
	synctest.Test(t, func(t *testing.T) {
		st := newStore()
		c := statetest.Cid("a")
		st.rows[c] = state.Placement{Cid: c, Status: state.PlacementUnpinning}
		st.setDown(true)
		daemon := newIPFS()
		daemon.pinned[c] = true
		r := newRig(t, st, daemon)
		defer r.stop()
		after(5 * time.Second)
		st.setDown(false)
		after(30 * time.Second)
		wantEnd(t, r, c, 0)
	})
}

// TestGivingUpForNow: IPFS that is broken for long does not fill the memory; the
// rows are looked through from time to time, and say how often it was tried.
func TestGivingUpForNow(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.ipfs.failNext(maxTries + 1)
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, nil))
		after(59 * time.Minute) // the rows are looked through every hour
		if row := r.row(pin.Cid); row.Attempts != maxTries || r.inMemory() > 0 {
			t.Errorf("row: %+v, %d CIDs in memory", row, r.inMemory())
		}
		after(time.Minute)
		if row := r.row(pin.Cid); row.Attempts != maxTries+1 {
			t.Errorf("row: %+v", row)
		}
		after(time.Hour)
		wantEnd(t, r, pin.Cid, 0)
	})
}

// TestCorruptPin: a pin that cannot be decoded does not keep the others from
// being taken up.
func TestCorruptPin(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.store.broken = statetest.Cid("broken")
		for _, c := range []api.Cid{r.store.broken, statetest.Cid("a"), statetest.Cid("b")} {
			_ = r.store.PutPlacement(t.Context(), r.self, state.Placement{Cid: c, Status: state.PlacementUnpinning})
		}
		if err := r.Replay(t.Context(), false); err != nil {
			t.Error(err)
		}
		after(time.Minute)
		left := 0
		_ = r.store.ListPlacements(t.Context(), r.self, 7, func(state.Placement) error {
			left++
			return nil
		})
		if left != 1 {
			t.Errorf("%d rows are left", left)
		}
	})
}

// TestReplayMoreThanTheQueueTakes: a peer to which more was given than its tracker
// takes at once, as by a migration, does all of it, and reads each pin once.
func TestReplayMoreThanTheQueueTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore()
		r := newRig(t, st, newIPFS())
		defer r.stop()
		after(time.Second)
		r.tracker.room = 10
		const rows = 100
		var cids []api.Cid
		for i := range rows {
			pin := r.pin(fmt.Sprint("migrated ", i), r.self)
			st.set(pin.Cid, pin)
			if err := r.store.PutPlacement(t.Context(), r.self, state.Placement{Cid: pin.Cid, Status: state.PlacementQueued}); err != nil {
				t.Fatal(err)
			}
			cids = append(cids, pin.Cid)
		}
		before := st.readSoFar()
		if err := r.Replay(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if n := st.readSoFar() - before; n != rows {
			t.Errorf("%d pins were read for %d rows", n, rows)
		}
		after(time.Minute)
		for _, c := range cids {
			wantEnd(t, r, c, state.PlacementPinned)
		}
	})
}

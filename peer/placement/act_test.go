package placement

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// wantWritten checks the statuses that were written since the last check.
func wantWritten(t *testing.T, r *rig, want string) {
	t.Helper()
	if got := r.store.statuses(); got != want {
		t.Errorf("written: %q, want %q", got, want)
	}
}

// wantEnd checks that the content is in IPFS or not, and what the row says.
func wantEnd(t *testing.T, r *rig, c api.Cid, status state.PlacementStatus) {
	t.Helper()
	row, there, _ := r.store.GetPlacement(t.Context(), r.self, c)
	if held := status != 0; r.ipfs.has(c) != held || there != held || row.Status != status {
		t.Errorf("in IPFS: %t, row: %t %d, want status %d", r.ipfs.has(c), there, row.Status, status)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.work) > 0 || len(r.again) > 0 {
		t.Errorf("kept in memory after the end: %d CIDs, %d to look at again", len(r.work), len(r.again))
	}
}

func act(t *testing.T, r *rig, ch state.Change) {
	t.Helper()
	if err := r.Act(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
}

// TestPinAndUnpin: the row is there before IPFS is asked, and ends when IPFS has
// answered.
func TestPinAndUnpin(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		ch := r.store.set(pin.Cid, pin)
		act(t, r, ch)
		wantWritten(t, r, "1")
		after(2 * time.Second)
		wantWritten(t, r, "2")
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
		if row := r.row(pin.Cid); row.Rev != ch.Rev || row.Size != 42 || row.Attempts != 0 {
			t.Errorf("row: %+v", row)
		}
		act(t, r, r.store.set(pin.Cid, nil))
		wantWritten(t, r, "4")
		after(2 * time.Second)
		wantWritten(t, r, "gone")
		wantEnd(t, r, pin.Cid, 0)
	})
}

// TestSizeHoldsUpNothing: IPFS that does not answer what a size is, and more to
// measure than there is room for, hold up no pin. It is measured later.
func TestSizeHoldsUpNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		answer := make(chan struct{})
		r.opts.Size = func(ctx context.Context, _ api.Cid) (int64, error) {
			select {
			case <-answer:
				return 42, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		r.measureLater(statetest.Cid("asked for"))
		synctest.Wait()
		for range maxMeasured {
			r.measureLater(statetest.Cid("waiting"))
		}
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
		if row := r.row(pin.Cid); row.Size != 0 {
			t.Errorf("row: %+v", row)
		}
		close(answer)
		after(time.Hour) // the rows are looked through
		if row := r.row(pin.Cid); row.Status != state.PlacementPinned || row.Size != 42 {
			t.Errorf("row: %+v", row)
		}
	})
}

// TestNotHeld: pins of others leave this peer, and meta pins are nobody's.
func TestNotHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		remote := r.pin("remote", statetest.Peer("other"))
		act(t, r, r.store.set(remote.Cid, remote))
		meta := r.pin("meta")
		meta.Type = api.MetaType
		meta.ReplicationFactorMin, meta.ReplicationFactorMax = -1, -1
		act(t, r, r.store.set(meta.Cid, meta))
		after(2 * time.Second)
		wantWritten(t, r, "4 gone")
		everywhere := r.pin("everywhere")
		everywhere.ReplicationFactorMin, everywhere.ReplicationFactorMax = -1, -1
		act(t, r, r.store.set(everywhere.Cid, everywhere))
		after(2 * time.Second)
		wantEnd(t, r, everywhere.Cid, state.PlacementPinned)
	})
}

// TestUnpinIsRepeated until IPFS has done it, with growing pauses.
func TestUnpinIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		r.ipfs.failNext(5)
		act(t, r, r.store.set(pin.Cid, nil))
		after(1500 * time.Millisecond)
		row := r.row(pin.Cid)
		if row.Status != state.PlacementUnpinError || row.Attempts != 1 || row.Error == "" {
			t.Errorf("after the first failure: %+v", row)
		}
		after(20 * time.Second) // pauses of 1, 2, 4 and 8 s, tries of 1 s
		if row := r.row(pin.Cid); row.Attempts != 5 {
			t.Errorf("attempts: %d", row.Attempts)
		}
		after(30 * time.Second)
		wantEnd(t, r, pin.Cid, 0)
	})
}

// TestPinError: a pin that fails is left to the recovery.
func TestPinError(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		r.ipfs.failNext(2)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		_ = r.tracker.Track(t.Context(), *pin) // what a recovery does
		after(2 * time.Second)
		if row := r.row(pin.Cid); row.Status != state.PlacementPinError || row.Attempts != 2 {
			t.Errorf("after two failures: %+v", row)
		}
		_ = r.tracker.Track(t.Context(), *pin)
		after(2 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
		if row := r.row(pin.Cid); row.Attempts != 0 || row.Error != "" {
			t.Errorf("after the success: %+v", row)
		}
	})
}

// TestFullTracker: the change comes again, nothing is dropped.
func TestFullTracker(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		ch := r.store.set(pin.Cid, pin)
		r.tracker.setFull(true)
		if err := r.Act(t.Context(), ch); err == nil {
			t.Fatal("a change that the tracker refused counts as done")
		}
		r.tracker.setFull(false)
		act(t, r, ch)
		after(2 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
	})
}

// TestCancelled: what was ended by the end of the process has no outcome.
func TestCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		act(t, r, r.store.set(pin.Cid, nil))
		wantWritten(t, r, "1 2 4")
		r.stop()
		wantWritten(t, r, "")
	})
}

// TestDatabaseDown: IPFS is not asked for what is not durable, and an outcome
// that could not be noted is noted later.
func TestDatabaseDown(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		ch := r.store.set(pin.Cid, pin)
		r.store.setDown(true)
		if err := r.Act(t.Context(), ch); !errors.Is(err, errDown) || len(r.tracker.told) > 0 {
			t.Fatalf("Act = %v, the tracker was told %q", err, r.tracker.told)
		}
		r.store.setDown(false)
		act(t, r, ch)
		r.store.setDown(true)
		after(time.Minute)
		r.store.setDown(false)
		after(time.Minute)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
		act(t, r, r.store.set(pin.Cid, nil))
		r.store.setDown(true)
		after(time.Minute)
		r.store.setDown(false)
		after(time.Minute)
		wantEnd(t, r, pin.Cid, 0)
	})
}

// TestOverlap: the last change wins, whatever IPFS is at.
func TestOverlap(t *testing.T) {
	for _, gap := range []time.Duration{0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond} {
		bubble(t, func(t *testing.T, r *rig) {
			pin := r.pin("a", r.self)
			for i := range 6 {
				if i%2 == 0 {
					act(t, r, r.store.set(pin.Cid, pin))
				} else {
					act(t, r, r.store.set(pin.Cid, nil))
				}
				after(gap)
			}
			after(time.Minute)
			wantEnd(t, r, pin.Cid, 0)
			act(t, r, r.store.set(pin.Cid, nil))
			after(gap)
			act(t, r, r.store.set(pin.Cid, pin))
			after(time.Minute)
			wantEnd(t, r, pin.Cid, state.PlacementPinned)
		})
	}
}

// TestOlderChange: an old version of a pin does not undo what is under way; that
// a CID is forgotten altogether is no old version.
func TestOlderChange(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		old := r.store.set(pin.Cid, nil)
		act(t, r, r.store.set(pin.Cid, pin))
		act(t, r, old)
		after(2 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)

		act(t, r, r.store.set(pin.Cid, pin))
		act(t, r, state.Change{Cid: pin.Cid}) // the marker of a removal ran out
		after(2 * time.Second)
		wantEnd(t, r, pin.Cid, 0)
	})
}

// TestRecoveryBetween: upstream's recovery lists pins, and pins what IPFS lacks
// a while later. It must not bring back what was removed in between, nor end an
// unpin that is under way.
func TestRecoveryBetween(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		gone := r.store.set(pin.Cid, nil)
		act(t, r, gone)
		_ = r.tracker.Track(t.Context(), *pin) // in the middle of the unpin
		after(10 * time.Second)
		wantEnd(t, r, pin.Cid, 0)
		_ = r.tracker.Track(t.Context(), *pin) // after it
		after(10 * time.Second)
		wantEnd(t, r, pin.Cid, 0)

		// A pin for all peers that this one has never acted on.
		act(t, r, r.store.set(pin.Cid, pin))
		after(2 * time.Second)
		_ = r.store.DropPlacement(t.Context(), r.self, pin.Cid)
		r.ipfs.lose(pin.Cid)
		_ = r.tracker.Track(t.Context(), *pin)
		after(10 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
		// An unpin that nobody asked the ledger for.
		_ = r.tracker.Untrack(t.Context(), pin.Cid)
		after(10 * time.Second)
		wantEnd(t, r, pin.Cid, state.PlacementPinned)
	})
}

// TestChangeOfMode: what IPFS holds in the end is what was asked for last, also
// when it was asked for while IPFS was at work, and when the removal in between
// was never seen.
func TestChangeOfMode(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		direct, recursive := r.pin("a", r.self), r.pin("a", r.self)
		direct.MaxDepth, recursive.MaxDepth = 0, -1
		wantDepth := func(want api.PinDepth) {
			t.Helper()
			r.ipfs.mu.Lock()
			defer r.ipfs.mu.Unlock()
			if got := r.ipfs.depth[direct.Cid]; got != want {
				t.Errorf("IPFS holds it to depth %d, want %d", got, want)
			}
		}
		act(t, r, r.store.set(direct.Cid, direct))
		after(500 * time.Millisecond)
		act(t, r, r.store.set(direct.Cid, recursive))
		after(time.Minute)
		wantEnd(t, r, direct.Cid, state.PlacementPinned)
		wantDepth(-1)

		r.store.set(direct.Cid, nil)
		act(t, r, r.store.set(direct.Cid, direct))
		after(time.Minute)
		wantEnd(t, r, direct.Cid, state.PlacementPinned)
		wantDepth(0)

		// A recovery that began with the older version.
		r.store.set(direct.Cid, recursive)
		r.ipfs.lose(direct.Cid)
		_ = r.tracker.Track(t.Context(), *direct)
		after(time.Minute)
		wantEnd(t, r, direct.Cid, state.PlacementPinned)
		wantDepth(-1)

		// The root of sharded content was pinned as a whole before.
		meta := *recursive
		meta.Type = api.MetaType
		act(t, r, r.store.set(meta.Cid, &meta))
		after(time.Minute)
		wantEnd(t, r, meta.Cid, 0)
	})
}

// TestToldOnce: the tracker is not told again what it is at. Upstream's would write
// to what its worker reads.
func TestToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		pin := r.pin("a", r.self)
		for _, again := range []*api.Pin{pin, nil} {
			r.tracker.told = nil
			for range 3 {
				act(t, r, r.store.set(pin.Cid, again))
				after(100 * time.Millisecond)
			}
			after(time.Minute)
			if len(r.tracker.told) != 1 {
				t.Errorf("the tracker was told %q", r.tracker.told)
			}
			if again == nil {
				wantEnd(t, r, pin.Cid, 0)
				return
			}
			wantEnd(t, r, pin.Cid, state.PlacementPinned)
			if _, rev, _ := r.store.GetVersion(t.Context(), pin.Cid); r.store.rows[pin.Cid].Rev != rev {
				t.Error("the placement has an older revision than the pin")
			}
		}
	})
}

// TestToldWhatItIsAt: a change that comes while the tracker is at the same by
// itself, or has not forgotten what it has just done, is not lost.
func TestToldWhatItIsAt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		check := func(what string, told int) {
			t.Helper()
			after(5 * time.Second)
			c := statetest.Cid("a")
			now, rev, _ := r.store.GetVersion(t.Context(), c)
			if row := r.row(c); row.Rev != rev || row.Status != state.PlacementPinned || r.ipfs.depth[c] != now.MaxDepth {
				t.Errorf("%s: row: %+v", what, row)
			}
			if len(r.tracker.told) != told {
				t.Errorf("%s: the tracker was told %q", what, r.tracker.told)
			}
			r.tracker.told = nil
		}
		pin := r.pin("a", r.self)
		_ = r.tracker.Track(t.Context(), *pin) // a recovery
		after(500 * time.Millisecond)
		act(t, r, r.store.set(pin.Cid, pin))
		check("a recovery", 2)

		r.tracker.slow = 100 * time.Millisecond
		direct := *pin
		direct.MaxDepth = 0
		for _, next := range []*api.Pin{pin, &direct} {
			act(t, r, r.store.set(pin.Cid, pin))
			after(1050 * time.Millisecond)
			act(t, r, r.store.set(pin.Cid, next))
			check("right after the end", 2)
		}
	})
}

// TestKeepContent: an IPFS daemon that does not unpin by configuration is asked
// once, also after a restart.
func TestKeepContent(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.opts.KeepContent = true
		r.ipfs.failNext(1000)
		pin := r.pin("a", r.self)
		act(t, r, r.store.set(pin.Cid, nil))
		after(time.Hour)
		if err := r.Replay(t.Context(), true); err != nil {
			t.Error(err)
		}
		after(time.Hour)
		wantWritten(t, r, "4 5")
		if r.inMemory() > 0 {
			t.Error("it is kept in memory")
		}
	})
}

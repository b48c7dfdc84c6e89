package sli

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestDeadHolder: who has accepted a pin counts for a holder that is dead when its time is
// over, then and once. It reads nothing before, and nothing of others.
func TestDeadHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAcceptorRig(t, "b", "c")
		for i := range 5 {
			r.accept(fmt.Sprint("on others ", i), "b", "self")
		}
		r.accept("on its own", "self")
		r.accept("a", "c", "b", "self")
		if n := r.first.len(); n != 6 {
			t.Errorf("%d are remembered of six with other holders", n)
		}
		r.dies("c", time.Minute)
		time.Sleep(Deadline - time.Millisecond)
		synctest.Wait()
		r.want(t, "before", nil)
		r.wantReads("before", 0, 0)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.want(t, "at the deadline", one(late, available))
		r.wantReads("at the deadline", 1, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.want(t, "later", nil)
		r.wantReads("later", 1, 1)
		if n := r.first.len() + r.again.len(); n != 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestWhatADeadHolderHad: what the rows of a dead holder say decides.
func TestWhatADeadHolderHad(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status state.PlacementStatus
		err    string
		other  bool
		want   map[string]float64
	}{
		{name: "it had it pinned", status: state.PlacementPinned},
		{name: "it had an earlier one pinned", status: state.PlacementPinned, other: true, want: one(late, available)},
		{name: "it was at it", status: state.PlacementQueued, want: one(late, available)},
		{name: "nobody provides it", status: state.PlacementPinError, err: "ipld: could not find bafy", want: one(late, noProviders)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAcceptorRig(t, "b")
				c, rev := r.accept("a", "b")
				if tt.other {
					rev = revOf(time.Now().Add(-time.Hour))
				}
				r.has("b", state.Placement{Cid: c, Rev: rev, Status: tt.status, Error: tt.err})
				r.dies("b", time.Minute)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				r.want(t, "at the deadline", tt.want)
			})
		})
	}
}

// TestReplacedAtADeadHolder: what was unpinned or replaced in time is cancelled, and what was
// after its time is late.
func TestReplacedAtADeadHolder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // the acceptance
		gone  bool          // the pinset has forgotten it
		want  result
	}{
		{name: "in time", after: 30 * time.Second, want: cancelled},
		{name: "forgotten", after: 30 * time.Second, gone: true, want: cancelled},
		{name: "after its time", after: Deadline + 10*time.Second, want: late},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAcceptorRig(t, "b")
				c, _ := r.accept("a", "b")
				r.dies("b", 0)
				r.edit(func() { r.down = true })
				time.Sleep(tt.after)
				r.edit(func() {
					r.pins[c] = revOf(time.Now())
					if tt.gone {
						delete(r.pins, c)
					}
				})
				time.Sleep(2 * Deadline)
				synctest.Wait()
				r.want(t, "without the database", nil)
				r.edit(func() { r.down = false })
				time.Sleep(time.Minute)
				synctest.Wait()
				r.want(t, "with it", one(tt.want, available))
			})
		})
	}
}

// TestDiesAboutTheDeadline: who dies before the deadline and is taken for alive then is
// counted for later, and who has lived longer is not.
func TestDiesAboutTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAcceptorRig(t, "b", "c")
		r.accept("a", "b", "c")
		time.Sleep(Deadline + 10*time.Second)
		r.dies("b", 20*time.Second) // before the deadline
		time.Sleep(40 * time.Second)
		r.dies("c", 10*time.Second) // after it
		synctest.Wait()
		r.want(t, "before it is clear", nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.want(t, "when it is", one(late, available))
		time.Sleep(time.Hour)
		synctest.Wait()
		r.want(t, "later", nil)
	})
}

// TestFrozenView: who cannot tell who is alive waits until it can.
func TestFrozenView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAcceptorRig(t, "b")
		r.accept("a", "b")
		r.edit(func() { r.view.Frozen = true })
		r.dies("b", 0)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.want(t, "frozen", nil)
		r.edit(func() { r.view.Frozen = false })
		time.Sleep(thawIn)
		synctest.Wait()
		r.want(t, "not any more", one(late, available))
	})
}

// TestEveryPeerHolds: a pin that every peer holds is counted for each that is dead, and is
// in the cluster, and holds pins.
func TestEveryPeerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAcceptorRig(t, "b", "c", "api", "removed")
		r.edit(func() {
			for i := range r.view.Peers {
				switch p := &r.view.Peers[i]; p.ID {
				case statetest.Peer("api"):
					p.Role = membership.RoleAPI
				case statetest.Peer("removed"):
					p.Removed = true
				}
			}
		})
		r.accept("a")
		for _, name := range []string{"b", "api", "removed"} {
			r.dies(name, time.Minute)
		}
		time.Sleep(Deadline)
		synctest.Wait()
		r.want(t, "at the deadline", one(late, available))
	})
}

// TestAcceptedIsBounded: what does not fit is counted as forgotten, and nothing else is
// lost; a pin that stands for others has no holders.
func TestAcceptedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAcceptorRig(t, "b")
		const more = 10
		pin := api.PinCid(statetest.Cid("a"))
		pin.Allocations = api.PinWithOpts(pin.Cid, api.PinOptions{}).Allocations
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = 1, 1
		pin.Allocations = append(pin.Allocations, statetest.Peer("b"))
		for range maxAccepted + more {
			r.Accepted(pin, revOf(time.Now()))
		}
		pin.Type = api.MetaType
		r.Accepted(pin, revOf(time.Now()))
		if n := r.value(t, `ipfscluster_pin_slo_forgotten_total{what="accepted"}`); n != more {
			t.Errorf("%v were forgotten, want %d", n, more)
		}
		time.Sleep(Deadline + 2*testTTL)
		synctest.Wait()
		if n := r.first.len() + r.again.len(); n != 0 || cap(r.first.pins)+cap(r.again.pins) > 4096 {
			t.Errorf("%d are remembered, in %d places", n, cap(r.first.pins)+cap(r.again.pins))
		}
	})
}

// TestWaiting: a queue gives back what it was given, in its order, and keeps no more than
// twice as much.
func TestWaiting(t *testing.T) {
	var q waiting
	next := 0
	for i := range 10000 {
		q.add(accepted{done: nil, at: time.Unix(int64(i), 0)})
		if i%3 != 0 {
			if got := q.head().at.Unix(); got != int64(next) {
				t.Fatalf("%d comes where %d should", got, next)
			}
			q.drop()
			next++
		}
		if len(q.pins) > 2*q.len()+2 {
			t.Fatalf("%d places for %d", len(q.pins), q.len())
		}
	}
	for ; q.len() > 0; next++ {
		if got := q.head().at.Unix(); got != int64(next) {
			t.Fatalf("%d comes where %d should", got, next)
		}
		q.drop()
	}
	if next != 10000 {
		t.Errorf("%d came back", next)
	}
}

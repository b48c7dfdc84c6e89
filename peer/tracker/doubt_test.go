package tracker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// give allocates x to a peer, and tells of that.
func (r *rig) give(p peer.ID) {
	ch := r.store.set(statetest.Cid("x"), r.pin("x", p))
	if p != r.self {
		r.store.hold(p, ch.Cid, state.PlacementPinned, ch.Rev)
	}
	r.act(ch)
	seconds(2)
}

// killed is the next process, which has not heard of anything.
func (r *rig) killed() *rig {
	r.stop()
	return newRig(r.t, r.store, r.ipfs, func(o *Options) { o.Live, o.Every = r.opts.Live, r.opts.Every })
}

// TestNobodyCountsOnWhatGoes: a pin that was taken off this peer, and is given back while
// IPFS has yet to unpin it, as it collects garbage, is noted as pinned when that is over
// and it was pinned again.
func TestNobodyCountsOnWhatGoes(t *testing.T) {
	other := statetest.Peer("a")
	for name, back := range map[string]func(r *rig) *rig{
		"at once": func(r *rig) *rig {
			r.give(other)
			r.give(r.self)
			return r
		},
		"again and again": func(r *rig) *rig {
			for range 3 {
				r.give(other)
				r.give(r.self)
			}
			return r
		},
		"to the next process": func(r *rig) *rig {
			r.give(other)
			r = r.killed()
			r.give(r.self)
			return r
		},
		"before another one goes on": func(r *rig) *rig {
			r.give(other)
			r.give(r.self)
			r = r.killed()
			r.run()
			return r
		},
		"after an answer got lost": func(r *rig) *rig {
			r.ipfs.edit(func() { r.ipfs.mute = true })
			r.give(other)
			r.ipfs.edit(func() { r.ipfs.mute = false })
			r.give(r.self)
			return r
		},
		"when it had failed, to the next process": func(r *rig) *rig {
			r.ipfs.edit(func() { r.ipfs.mute = true })
			r.give(other)
			r = r.killed()
			r.give(r.self)
			seconds(5)
			r.ipfs.edit(func() { r.ipfs.mute = false })
			r = r.killed()
			r.run()
			return r
		},
		"before an answer got lost": func(r *rig) *rig {
			r.ipfs.edit(func() { r.ipfs.mute, r.ipfs.patience = true, 5*time.Second })
			r.give(other)
			r.ipfs.edit(func() { r.ipfs.mute, r.ipfs.slow = false, 20*time.Second })
			for _, label := range strings.Fields("a b c d e f g h i j") {
				other := r.own(label) // all workers are at one
				r.act(r.store.set(other.Cid, other))
			}
			r.store.edit(func() { r.store.slow = 4 * time.Second })
			r.give(r.self)
			r.ipfs.edit(func() { r.ipfs.slow = time.Second })
			r.store.edit(func() { r.store.slow = 0 })
			return r
		},
		"when the next process has counted too few": func(r *rig) *rig {
			r.give(other)
			r = r.killed()
			r.store.hold(other, statetest.Cid("x"), state.PlacementQueued, r.store.rev(statetest.Cid("x")))
			r.run()
			seconds(5)
			r.give(r.self)
			return r
		},
		"when it is made anew, to the next process": func(r *rig) *rig {
			c := statetest.Cid("x")
			r.act(r.store.set(c, nil))
			seconds(2)
			r = r.killed()
			r.store.edit(func() { delete(r.store.revs, c) }) // its removal is forgotten
			r.give(r.self)
			return r
		},
		"when it is made anew, and IPFS does not answer that first": func(r *rig) *rig {
			c := statetest.Cid("x")
			r.act(r.store.set(c, nil))
			seconds(2)
			r.opts.Every = 5 * time.Second // which the next one has, too
			r = r.killed()
			r.store.edit(func() { delete(r.store.revs, c) })
			r.ipfs.edit(func() { r.ipfs.failWaits = 1 })
			r.give(r.self)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pin := newKeeper(t)
				ends := time.Now().Add(10 * time.Minute)
				r.ipfs.edit(func() { r.ipfs.late, r.ipfs.gcEnds = true, ends })
				countable := func() bool {
					row := r.store.row(pin.Cid)
					return row.Status == state.PlacementPinned && row.Rev == r.store.rev(pin.Cid)
				}
				r = back(r)
				for time.Now().Before(ends) {
					if countable() {
						t.Fatalf("%s before IPFS unpins it others may count on it", time.Until(ends))
					}
					seconds(1)
				}
				seconds(60)
				if !r.ipfs.has(pin.Cid) || !countable() {
					t.Errorf("at the end IPFS has it: %t, row %+v", r.ipfs.has(pin.Cid), r.store.row(pin.Cid))
				}
			})
		})
	}
}

// TestNothingIsAskedWhileItWaits: a pin that waits for the unpins of an earlier process was
// not asked for. If it is removed then, what the user has pinned stays; and if IPFS does not
// answer, the row names the depth that is to be pinned.
func TestNothingIsAskedWhileItWaits(t *testing.T) {
	for name, fails := range map[string]bool{"until the garbage is collected": false, "and IPFS fails": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.own("x")
				r.ipfs.edit(func() {
					r.ipfs.pins[pin.Cid] = -1
					r.ipfs.gcEnds = time.Now().Add(time.Minute)
					if fails {
						r.ipfs.failWaits = 1
					}
				})
				ch := r.store.set(pin.Cid, pin)
				ch.First = true
				r.act(ch)
				seconds(2)
				row, there := r.store.all()[pin.Cid]
				if there != fails || there && (row.Depth == nil || *row.Depth != -1) {
					t.Errorf("there is a row: %t, %+v", there, row)
				}
				if fails {
					return // a row is evidence, whatever was asked for
				}
				r.act(r.store.set(pin.Cid, nil))
				seconds(120)
				if _, there := r.store.all()[pin.Cid]; there || !r.ipfs.has(pin.Cid) {
					t.Errorf("there is a row: %t, IPFS has it: %t", there, r.ipfs.has(pin.Cid))
				}
			})
		})
	}
}

// TestOneWaitForMany: many pins that an earlier process has left wait together for what it
// may have asked IPFS for, and new ones for nothing.
func TestOneWaitForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, daemon := newStore(), newIPFS()
		r := newRig(t, st, daemon)
		for _, label := range strings.Fields("a b c d e f g h i j k l m n o") {
			st.left(r.own(label), state.PlacementQueued)
		}
		r.run()
		seconds(30)
		fresh := r.own("new")
		r.act(st.set(fresh.Cid, fresh))
		seconds(5)
		if n := daemon.waits; n == 0 || n > 2 || len(daemon.all()) != 16 {
			t.Errorf("%d waits, %d pins", n, len(daemon.all()))
		}
	})
}

package scyllastate

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestDeadlines: what writers are given doubles with each of their writes that comes to
// nothing, whoever has ended it, up to a bound, and begins anew with one that is
// applied.
func TestDeadlines(t *testing.T) {
	base := time.Now()
	rev := func(n int) gocql.UUID { return newUUID(base.Add(time.Duration(n) * time.Second)) }
	var none gocql.UUID
	one, two, three, four := rev(1), rev(2), rev(3), rev(4)
	lost := change{rev: two, prev: one}
	for _, tt := range []struct {
		name string
		now  row
		open []change
		want int
	}{
		{"pending", row{rev: one, prev: none}, []change{lost}, 0},
		{"never there", row{}, []change{{rev: one}}, 0},
		{"a removal that ran out", row{}, []change{lost}, 0},
		{"replaced by another", row{rev: three, prev: one}, []change{lost}, 1},
		{"created by another", row{rev: three}, []change{{rev: two}}, 1},
		{"appended again", row{rev: three, prev: one}, []change{lost, lost}, 1},
		{"applied", row{rev: two, prev: one}, []change{lost}, 0},
		{"beside one that is applied", row{rev: three, prev: one}, []change{lost, {rev: three, prev: one}}, 0},
		{"replaced more than once", row{rev: four, prev: three}, []change{lost}, 0},
		{"fenced", row{rev: three, prev: one}, []change{lost, {rev: three, prev: one, fence: true}}, 1},
		{"a fence that came too late", row{rev: three, prev: one}, []change{{rev: two, prev: one, fence: true}}, 0},
		{"a hint to look", row{rev: three, prev: one}, []change{{rev: two, prev: gocql.MinTimeUUID(time.Unix(0, 0))}}, 0},
	} {
		p, err := newDeadlines(production())
		must(t, err)
		for range 2 { // it may be looked at again
			p.learn("a", tt.now, tt.open)
		}
		if got := p.wait("a"); got != production().window()<<tt.want {
			t.Errorf("%s: the next one is given %s", tt.name, got)
		}
	}

	p, err := newDeadlines(production())
	must(t, err)
	for n := range maxDoublings + 2 {
		if got, want := p.wait("a"), production().window()<<min(n, maxDoublings); got != want {
			t.Errorf("after %d that came to nothing the next one is given %s, want %s", n, got, want)
		}
		prev := rev(2 * n)
		now := row{rev: rev(2*n + 2), prev: prev}
		p.learn("a", now, []change{{rev: rev(2*n + 1), prev: prev}})
		p.learn("a", now, []change{{rev: now.rev, prev: prev, fence: true}}) // a holder hears of what ended it
	}
	if p.wait("b") != production().window() {
		t.Error("the writers of another CID are given more")
	}
	p.learn("a", row{rev: four, prev: one}, []change{{rev: four, prev: one}})
	if p.wait("a") != production().window() {
		t.Error("one that is applied leaves what was before")
	}
}

// pending writes a change whose writer does not write the pin.
func (r *feedRig) pending(label string) {
	r.mu.Lock()
	key := string(statetest.Cid(label).Bytes())
	now := r.pins[key]
	r.revs[key] = now.rev
	r.mu.Unlock()
	r.write(ownName, label)
}

// newPendingRig has a row without content, or that of a pin.
func newPendingRig(t *testing.T, content ...byte) *feedRig {
	t.Helper()
	return newFeedRig(t, func(*feedRig, state.Change) error { return nil }, func(r *feedRig) {
		r.pins = map[string]row{string(statetest.Cid("a").Bytes()): {rev: newUUID(time.Now()), pin: content}}
	})
}

// TestFenceWaits: a writer that has died is fenced once it had its time and soon after,
// one that follows on the same CID has twice as long, and the cursor passes each: also
// if the peer holds the pin, and is told of each fence.
func TestFenceWaits(t *testing.T) {
	held := api.PinWithOpts(statetest.Cid("a"), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
	held.Allocations = []peer.ID{statetest.Peer(ownLabel)}
	pin, err := encodePin(held)
	must(t, err)
	t.Run("absent", func(t *testing.T) { fenceWaits(t) })
	t.Run("held", func(t *testing.T) { fenceWaits(t, pin.value...) })
}

func fenceWaits(t *testing.T, content ...byte) {
	synctest.Test(t, func(t *testing.T) {
		r := newPendingRig(t, content...)
		window := r.store.lim.window()
		for n := range maxDoublings + 2 {
			wait := window << min(n, maxDoublings)
			begun := time.Now()
			r.mu.Lock()
			r.looks = 0
			r.mu.Unlock()
			r.pending("a")
			time.Sleep(2 * wait)
			r.mu.Lock()
			fenced, looks := slices.Clone(r.fenced), r.looks
			r.mu.Unlock()
			if len(fenced) != n+1 {
				t.Fatalf("writer %d was not fenced within %s", n, 2*wait)
			}
			if took := fenced[n].Sub(begun); took < wait || took > wait+wait/looksPerWait+2*pollEvery {
				t.Errorf("writer %d was fenced after %s, want %s", n, took, wait)
			}
			if looks > 2*looksPerWait+10 {
				t.Errorf("%d looks at the pin in %s", looks, wait)
			}
			if !r.passed(begun) {
				t.Errorf("the cursor stands before writer %d", n)
			}
		}
	})
}

// TestFenceWaitsForTheLast: a change that arrives while another one is pending has its
// own time, also if it arrives while the pin is read. That goes on for so long only.
func TestFenceWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPendingRig(t)
		window, begun := r.store.lim.window(), time.Now()
		for time.Since(begun) < 3*window {
			r.pending("a")
			time.Sleep(window / 2)
		}
		last := time.Now().Add(-window / 2)
		time.Sleep(2 * window)
		r.mu.Lock()
		if len(r.fenced) != 1 || r.fenced[0].Sub(last) < window {
			t.Errorf("fenced at %v, the last change is of %s", r.fenced, last)
		}
		r.fenced = nil
		r.mu.Unlock()
		for begun = time.Now(); time.Since(begun) < 20*window; time.Sleep(window / 2) {
			r.pending("a")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if longest := window << maxDoublings; len(r.fenced) != 1 || r.fenced[0].Sub(begun) < longest {
			t.Errorf("fenced at %v, the first change is of %s", r.fenced, begun)
		}
	})
}

// TestPendingIsCheap: however often this process writes, a pin whose writer takes long
// is looked at seldom. A write beside it is seen at once.
func TestPendingIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPendingRig(t)
		window := r.store.lim.window()
		wake := func(long time.Duration) {
			for begun := time.Now(); time.Since(begun) < long; time.Sleep(wakeEvery) {
				r.store.nudges.wake([]string{ownName})
			}
		}
		r.pending("a")
		wake(window / 2)
		r.mu.Lock()
		if most := int(recheckFor/wakeEvery) + 2*looksPerWait; r.looks > most {
			t.Errorf("%d looks at a pin whose writer has not finished, want at most %d", r.looks, most)
		}
		looks := r.looks
		r.mu.Unlock()
		for more := false; !more; time.Sleep(time.Millisecond) { // the next one is far
			r.mu.Lock()
			more = r.looks > looks
			r.mu.Unlock()
		}
		r.mu.Lock()
		key := string(statetest.Cid("a").Bytes())
		r.pins[key] = row{rev: newUUID(time.Now()), prev: r.pins[key].rev}
		r.mu.Unlock()
		r.write(ownName, "a")
		time.Sleep(2 * pollEvery)
		if len(r.calls("a")) == 0 {
			t.Error("a write is not seen beside one that is pending")
		}
	})
}

// TestFenceThatComesTooLate: what it finds is the row as it is, with the revision
// before it: that tells whether a pin is the first of its CID.
func TestFenceThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPendingRig(t)
		key := string(statetest.Cid("a").Bytes())
		was := r.pins[key]
		is := row{rev: newUUID(time.Now()), prev: was.rev}
		r.pins[key] = is
		now, err := r.store.fence(t.Context(), statetest.Cid("a"), was)
		if err != nil || now.rev != is.rev || now.prev != is.prev || len(r.fenced) > 0 {
			t.Errorf("the row is %v, %v, want %v", now, err, is)
		}
	})
}

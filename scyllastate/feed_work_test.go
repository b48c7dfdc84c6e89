package scyllastate

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestLater: a change whose work ends later holds up no other, costs nothing
// meanwhile, and is not passed by the cursor before it is done.
func TestLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, goesOn)
		const many = 4 * feedWorkers
		for i := range many {
			r.write(ownName, fmt.Sprint(i))
		}
		written := time.Now()
		time.Sleep(time.Hour)
		r.mu.Lock()
		handled, looks := len(r.handled), r.looks
		r.mu.Unlock()
		if handled != many || looks != many {
			t.Errorf("%d changes were handled %d times, with %d looks at pins", many, handled, looks)
		}
		for i := range many - 1 {
			r.calls(fmt.Sprint(i))[0].Done(nil)
		}
		if r.passed(written) {
			t.Error("the cursor has passed a change that is not done")
		}
		last := fmt.Sprint(many - 1)
		r.calls(last)[0].Done(errors.New("not now"))
		time.Sleep(time.Minute)
		calls := r.calls(last)
		if len(calls) != 2 {
			t.Fatalf("a change that failed later was handled %d times", len(calls))
		}
		calls[1].Done(nil)
		calls[1].Done(nil)
		if !r.passed(written) {
			t.Error("the cursor does not pass what is done")
		}
		if n := len(r.d.slots); n != 0 {
			t.Errorf("%d changes count as open", n)
		}
	})
}

// TestDoneAtOnce: work may be done before the handler has returned.
func TestDoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(_ *feedRig, ch state.Change) error {
			ch.Done(nil)
			return state.ErrLater
		})
		r.write(ownName, "a")
		written := time.Now()
		if !r.passed(written) || len(r.calls("a")) != 1 {
			t.Errorf("the cursor is at %s, handled %d times", r.tail.position(), len(r.calls("a")))
		}
	})
}

// TestLaterIsPreempted: a newer change of the CID is handled at once, and what its
// forerunner says about its end does not count any more.
func TestLaterIsPreempted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, goesOn)
		r.write(ownName, "a")
		time.Sleep(time.Minute)
		r.write(ownName, "a")
		written := time.Now()
		time.Sleep(2 * pollEvery)
		calls := r.calls("a")
		if len(calls) != 2 {
			t.Fatalf("handled %d times", len(calls))
		}
		if !later(gocql.UUID(calls[1].Rev), gocql.UUID(calls[0].Rev)) {
			t.Error("the second call is not for the newer change")
		}
		calls[0].Done(nil)
		if r.passed(written.Add(-time.Second)) {
			t.Error("the end of the first call counts as that of the second")
		}
		calls[1].Done(nil)
		if !r.passed(written) {
			t.Error("the cursor does not pass what is done")
		}
		if len(r.calls("a")) != 2 {
			t.Errorf("handled %d times", len(r.calls("a")))
		}
	})
}

// TestUnpassed: only what was pinned before the feed was opened may have been
// acted on by an earlier process.
func TestUnpassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		r.d.mu.Lock()
		r.d.opened = start.Add(r.store.lim.skew())
		r.d.mu.Unlock()
		r.write(ownName, "before")
		r.mu.Lock()
		look := r.rows[ownName][0]
		look.cid, look.kind = statetest.Cid("looked at").Bytes(), kindLook
		r.rows[ownName] = append(r.rows[ownName], look)
		r.revs[string(look.cid)] = look.at
		r.mu.Unlock()
		time.Sleep(time.Minute)
		r.write(ownName, "after")
		time.Sleep(time.Minute)
		for label, want := range map[string]bool{"before": true, "looked at": false, "after": false} {
			if calls := r.calls(label); len(calls) != 1 || calls[0].Unpassed != want {
				t.Errorf("%s: %+v", label, calls)
			}
		}
	})
}

// TestMemoryOfFeed: changes that are done are forgotten, too, while the cursor stands
// still.
func TestMemoryOfFeed(t *testing.T) {
	for name, stop := range map[string]func(*feedRig){
		"wrong clock": func(r *feedRig) { r.store.clock.skew = time.Hour },
		"unreadable slot": func(r *feedRig) {
			first := slotOf(time.Now())
			r.fails = func(_ string, slot int64) bool { return slot == first }
		},
		"change that is never done": func(*feedRig) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFeedRig(t, func(_ *feedRig, ch state.Change) error {
					if name == "change that is never done" && ch.Cid == statetest.Cid("first") {
						return errors.New("it does not work")
					}
					return nil
				})
				const most = 4000
				r.d.mu.Lock()
				r.d.known = most
				r.d.mu.Unlock()
				start := time.Now()
				r.write(ownName, "first")
				r.mu.Lock()
				r.store.clock.mu.Lock()
				stop(r)
				r.store.clock.mu.Unlock()
				r.mu.Unlock()
				time.Sleep(slotLength)
				const many = 3 * most
				for i := range many {
					r.write(ownName, fmt.Sprint(i))
					if i%50 == 0 {
						time.Sleep(pollEvery)
						r.tail.position() // as for the cursor
					}
				}
				time.Sleep(time.Hour)
				r.mu.Lock()
				handled, reads := len(r.handled), r.reads[ownName]
				r.mu.Unlock()
				if handled < many || handled > many+many/4 {
					t.Errorf("%d changes were handled %d times", many, handled)
				}
				if most := int(time.Hour/pollEvery) + 1000; reads > most {
					t.Errorf("%d reads in an hour", reads)
				}
				r.d.mu.Lock()
				if n := len(r.d.changes); n > most+100 {
					t.Errorf("%d changes are remembered", n)
				}
				if n := len(r.d.open.queue); n > most+100 {
					t.Errorf("%d changes are ordered by their time", n)
				}
				r.d.mu.Unlock()
				if p := r.tail.position(); p.After(start) {
					t.Errorf("the cursor has moved by %s", p.Sub(start))
				}
			})
		})
	}
}

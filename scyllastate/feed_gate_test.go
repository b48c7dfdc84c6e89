package scyllastate

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestBusy: while the handler has no room, one worker asks now and then, and
// nothing else happens.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := true
		r := newFeedRig(t, func(r *feedRig, _ state.Change) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if full {
				return state.ErrBusy
			}
			return nil
		})
		const many = 1000
		for i := range many {
			r.write(ownName, fmt.Sprint(i))
		}
		written := time.Now()
		time.Sleep(time.Hour)
		r.mu.Lock()
		asked := len(r.handled)
		if most := feedWorkers + int(time.Hour/lastPause) + 10; asked > most || r.looks > most {
			t.Errorf("a full queue was asked %d times in an hour, with %d looks at pins", asked, r.looks)
		}
		full, r.handled = false, nil
		r.mu.Unlock()
		time.Sleep(lastPause)
		if !r.passed(written) || len(r.handled) != many {
			t.Errorf("%d changes of %d were handled when there was room", len(r.handled), many)
		}
	})
}

// TestBusyTask: nobody can take a task for which there was no room before the gate is
// closed.
func TestBusyTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, goesOn)
		d := newDispatcher(r.feed, func(context.Context, state.Change) error { return state.ErrBusy })
		r.write("nobody reads it", "a")
		if _, err := d.put(t.Context(), r.rows["nobody reads it"][0]); err != nil {
			t.Fatal(err)
		}
		task := <-d.ready
		if d.work(t.Context(), task) != refused || len(d.ready) > 0 {
			t.Errorf("%d tasks are ready while the gate is open", len(d.ready))
		}
		if d.putBack(task); len(d.ready) != 1 {
			t.Error("the task is not put back")
		}
	})
}

// TestBusyBeside: work of which the handler always takes some, and pins that cannot be
// read, do not say that there is room for what it has refused.
func TestBusyBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := map[api.Cid]bool{}
		refusals := 0
		r := newFeedRig(t, func(r *feedRig, ch state.Change) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if full[ch.Cid] {
				refusals++
				return state.ErrBusy
			}
			return nil
		})
		r.mu.Lock()
		const waiting = 8
		for i := range waiting {
			full[statetest.Cid(fmt.Sprint(i))] = true
		}
		r.down = map[string]bool{string(statetest.Cid("unreadable").Bytes()): true}
		r.mu.Unlock()
		for i := range waiting {
			r.write(ownName, fmt.Sprint(i))
		}
		r.write(ownName, "unreadable")
		const beside = 1000
		for i := range beside {
			r.write(ownName, fmt.Sprint("beside ", i))
			time.Sleep(10 * time.Second)
		}
		r.mu.Lock()
		if most := int(beside*10*time.Second/lastPause) + feedWorkers + 10; refusals > most {
			t.Errorf("a full queue was asked %d times, want at most %d", refusals, most)
		}
		full = nil
		r.mu.Unlock()
		time.Sleep(2 * lastPause)
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.handled) - refusals; n != waiting+beside {
			t.Errorf("%d changes of %d were handled when there was room", n, waiting+beside)
		}
	})
}

// TestBusyNoMore: all go on when what was refused is taken, and not long after it is
// gone, when other work is.
func TestBusyNoMore(t *testing.T) {
	for r, want := range map[response]int{takenNow: 1, taken: openAfter} {
		synctest.Test(t, func(t *testing.T) {
			var g gate
			if probe, err := g.pass(t.Context()); probe || err != nil {
				t.Fatal("the gate is closed at first")
			}
			g.answered(false, refused)
			start, n := time.Now(), 0
			for ; n < 10*openAfter; n++ {
				probe, err := g.pass(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !probe {
					break
				}
				g.answered(probe, r)
			}
			if took := time.Since(start); n != want || took != firstPause {
				t.Errorf("it opened after %d pieces of work in %s, want %d", n, took, want)
			}
		})
	}
}

package tracker

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

// seconds lets time go by.
func seconds(n int) {
	time.Sleep(time.Duration(n)*time.Second + time.Millisecond)
	synctest.Wait()
}

// pass lets time go by for a stand-in, or returns why the context ended. For no time it
// makes no timer: select runs one that is due already by itself, which now and then
// crashes the race detector of Go 1.26 in synctest.
func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// expect compares the rows that were written, and what IPFS was asked for.
func (r *rig) expect(when, rows, requests string) {
	r.t.Helper()
	if got := r.store.statuses(); got != rows {
		r.t.Errorf("%s: rows %q were written, want %q", when, got, rows)
	}
	if got := r.ipfs.requests(); got != requests {
		r.t.Errorf("%s: IPFS was asked for %q, want %q", when, got, requests)
	}
}

// TestPinAndUnpin: a pin that IPFS makes in time costs one row, with size and depth,
// and its change is done with it. An unpin is noted before IPFS is asked.
func TestPinAndUnpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		synctest.Wait()
		if done() {
			t.Error("the change is done before IPFS has it")
		}
		r.expect("at once", "", "pin")
		seconds(1)
		r.expect("then", "2", "")
		row := r.store.row(pin.Cid)
		if !done() || row.Size != 42 || row.Depth == nil || *row.Depth != -1 || row.Rev != r.store.rev(pin.Cid) {
			t.Errorf("done: %t, row %+v", done(), row)
		}
		done = r.act(r.store.set(pin.Cid, nil))
		synctest.Wait()
		if !done() {
			t.Error("the change of an unpin waits for IPFS")
		}
		r.expect("unpinned", "4", "unpin")
		seconds(1)
		r.expect("at the end", "gone", "")
		if n := r.inMemory(); n != 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestNotHeld: of what this peer neither holds nor has held it takes no notice, and
// leaves alone what somebody else has pinned.
func TestNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		for _, pin := range []*api.Pin{r.pin("remote", statetest.Peer("other")), {Cid: statetest.Cid("meta"), Type: api.MetaType}, nil} {
			c := statetest.Cid("gone")
			if pin != nil {
				c = pin.Cid
			}
			r.ipfs.edit(func() { r.ipfs.pins[c] = -1 })
			done := r.act(r.store.set(c, pin))
			seconds(1)
			if !done() || !r.ipfs.has(c) {
				t.Errorf("%v: done: %t, still in IPFS: %t", pin, done(), r.ipfs.has(c))
			}
		}
		r.expect("at the end", "", "")
		if n := r.inMemory(); n != 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestOtherMetadata: a change of nothing that IPFS knows of goes on with what it is at.
func TestOtherMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.act(r.store.set(pin.Cid, pin))
		time.Sleep(time.Second / 2)
		named := r.own("a")
		named.Name = "b"
		done := r.act(r.store.set(pin.Cid, named))
		time.Sleep(time.Second / 2)
		seconds(0)
		r.expect("in all", "2", "pin")
		if row := r.store.row(pin.Cid); row.Rev != r.store.rev(pin.Cid) || !done() {
			t.Errorf("row %+v, done: %t", row, done())
		}
	})
}

// TestToldAgainAndAgain: a pin that IPFS does not find and that is written again every
// few seconds has its row after five, and its change ends: the cursor goes on.
func TestToldAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		done := r.act(r.store.set(r.own("a").Cid, r.own("a")))
		for range 3 {
			time.Sleep(2 * time.Second)
			done = r.act(r.store.set(r.own("a").Cid, r.own("a")))
		}
		seconds(0)
		if !done() {
			t.Error("after 6 s the change, which stands for all of them, is not done")
		}
		r.expect("in all", "1", "pin")
	})
}

// TestUnpinCancels: an unpin does not wait for the pin that it undoes.
func TestUnpinCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		pin := r.own("a")
		r.act(r.store.set(pin.Cid, pin))
		seconds(1)
		r.ipfs.edit(func() { r.ipfs.slow = time.Second })
		done := r.act(r.store.set(pin.Cid, nil))
		seconds(1)
		r.expect("in all", "4 gone", "pin unpin")
		if !done() {
			t.Error("the change is not done")
		}
	})
}

// TestPinAgain: a pin that comes while its unpin is on its way is made, whatever the
// unpin was at.
func TestPinAgain(t *testing.T) {
	for after := range 25 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				r.store.edit(func() { r.store.slow = 400 * time.Millisecond })
				pin := r.own("a")
				r.act(r.store.set(pin.Cid, pin))
				seconds(3)
				r.act(r.store.set(pin.Cid, nil))
				time.Sleep(time.Duration(after) * 100 * time.Millisecond)
				done := r.act(r.store.set(pin.Cid, pin))
				seconds(20)
				row := r.store.row(pin.Cid)
				if !done() || !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned || row.Rev != r.store.rev(pin.Cid) {
					t.Errorf("done: %t, in IPFS: %t, row %+v", done(), r.ipfs.has(pin.Cid), row)
				}
				if n := r.inMemory(); n != 0 {
					t.Errorf("%d are remembered", n)
				}
			})
		})
	}
}

// TestOlderChange: a change that comes late undoes nothing.
func TestOlderChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		old := r.store.set(pin.Cid, nil)
		newer := r.act(r.store.set(pin.Cid, pin))
		synctest.Wait()
		older := r.act(old)
		seconds(1)
		if !newer() || !older() || !r.ipfs.has(pin.Cid) {
			t.Errorf("done: %t, %t, in IPFS: %t", newer(), older(), r.ipfs.has(pin.Cid))
		}
	})
}

// TestFullQueue: a full queue is told before anything is read or written.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 5, 1 })
		r.ipfs.edit(func() { r.ipfs.slow = time.Minute })
		for i := range 6 {
			pin := r.own(fmt.Sprint(i))
			r.act(r.store.set(pin.Cid, pin))
			synctest.Wait()
		}
		more := r.own("more")
		ch := r.store.set(more.Cid, more)
		if err := r.Act(t.Context(), ch); !errors.Is(err, state.ErrBusy) {
			t.Errorf("Act = %v", err)
		}
		if err := r.Track(t.Context(), *more); !errors.Is(err, ErrFullQueue) {
			t.Errorf("Track = %v", err)
		}
		if r.store.reads != 0 || r.inMemory() != 6 {
			t.Errorf("%d reads, %d remembered", r.store.reads, r.inMemory())
		}
		r.act(r.store.set(statetest.Cid("0"), nil)) // unpins have a queue of their own
		seconds(60)
		r.act(ch)
	})
}

// TestShutdown: what goes on ends, and nothing is noted of it.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		synctest.Wait()
		r.stop()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		seconds(10)
		r.expect("after the end", "", "pin")
		if done() {
			t.Error("the change is done")
		}
	})
}

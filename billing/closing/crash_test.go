package closing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
)

// story is one of closes and of late facts, for one owner of a shard. Each of its steps ends with
// passes of a process that may die in them; the pass after it is of another one.
func story(w *world, pass func()) string {
	alice := w.owner(0, "alice")
	facts := []claim.Fact{fact(alice, "a", first, time.Hour, 10, 1), fact(alice, "b", first+1, 23*time.Hour, 1<<50, 1), fact(alice, "c", first+3, 0, -4, 0)}
	w.put(facts...)
	w.clock.dueAt(first + 2)
	pass()
	late := []claim.Fact{fact(alice, "late", first, 2*time.Hour, 7, 1), fact(alice, "later", first+1, 2*time.Hour, -2, 0)}
	w.put(late...)
	w.clock.dueAt(first + 3)
	pass()
	pass()
	w.check(append(facts, late...), first+3, alice)
	return w.stored(alice)
}

// A process that dies before or after any of its writes, or between any two steps, leaves what
// another one completes: the same bytes as if none had died.
func TestCrash(t *testing.T) {
	db := openDB(t)
	shard := 0
	next := func() *world {
		if shard++; shard == ledger.Shards {
			shard, db = 1, openDB(t)
		}
		return newWorld(t, db, shard)
	}
	w := next()
	whole := w.closer()
	want := story(w, func() { w.pass(whole) })
	if n := strings.Count(want, "\n") + 1; n != 7+3 {
		t.Errorf("%d rows:\n%s", n, want)
	}
	died, stride := 0, 1
	if os.Getenv("TEST_LONG") != "1" {
		stride = 10
		t.Log("A SLICE ONLY: it dies at every tenth write or step. TEST_LONG=1 has it die at all.")
	}
	run := func(what string, dies func(w *world) *Closer) (dead bool) {
		w := next()
		c := dies(w)
		got := story(w, func() {
			if dead {
				w.pass(w.closer())
				return
			}
			if err := c.Pass(t.Context()); err != nil {
				if !errors.Is(err, errCrash) {
					t.Errorf("%s: %v", what, err)
				}
				dead = true
				w.pass(w.closer())
			}
		})
		if got != want {
			t.Errorf("%s: it is\n%s\nwant\n%s", what, got, want)
		}
		if dead {
			died++
		}
		return dead
	}
	for _, late := range []bool{false, true} {
		for left := 0; ; left += stride {
			if !run(fmt.Sprintf("dead at write %d, made %v", left, late), func(w *world) *Closer {
				return w.closerOn(&dying{DB: db, left: left, late: late})
			}) {
				break
			}
			if t.Failed() {
				return
			}
		}
	}
	writes := died
	for left := 0; ; left += stride {
		if !run(fmt.Sprintf("dead at step %d", left), func(w *world) *Closer {
			c, n := w.closer(), 0
			c.at = func(string) error {
				if n++; n > left {
					return errCrash
				}
				return nil
			}
			return c
		}) {
			break
		}
	}
	if writes < 40/stride || died-writes < 12/stride {
		t.Errorf("only %d died at writes, and %d between steps", writes, died-writes)
	}
	t.Logf("%d died at writes, %d between steps", writes, died-writes)
}

// paused is a process that stops at a step until it is told to go on.
type paused struct {
	*Closer
	there, goOn chan struct{}
	ended       chan error
}

// pause begins a pass that stops at the n-th time at a step.
func pause(ctx context.Context, c *Closer, step string, n int) *paused {
	p := &paused{c, make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	var once sync.Once
	var mu sync.Mutex
	c.at = func(s string) error {
		mu.Lock()
		if s == step {
			n--
		}
		stop := n == 0
		mu.Unlock()
		if stop {
			once.Do(func() {
				close(p.there)
				<-p.goOn
			})
		}
		return nil
	}
	go func() { p.ended <- c.Pass(ctx) }()
	return p
}

// A process that has lost its lease and wakes up late changes no closed day, ends no day, and
// leaves nothing that is wrong after the next pass of another one.
func TestPaused(t *testing.T) {
	db := openDB(t)
	for i, step := range []string{"close: begun", "close: worked out", "close: row", "close: owners", "late: idle day", "late: version", "late: adjustment"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, db, i)
			alice, bob := w.owner(0, "alice"), w.owner(0, "bob")
			facts := []claim.Fact{fact(alice, "a", first, time.Hour, 10, 1), fact(alice, "b", first+1, 0, 3, 1), fact(bob, "x", first, 0, 1, 1)}
			w.put(facts...)
			if strings.HasPrefix(step, "late") {
				w.clock.dueAt(first + 2)
				w.pass(w.closer())
				more := fact(alice, "late", first, 2*time.Hour, 7, 1)
				w.put(more)
				facts = append(facts, more)
			} else {
				w.clock.dueAt(first)
			}
			p := pause(t.Context(), w.closer(), step, 1)
			select {
			case <-p.there:
			case err := <-p.ended:
				t.Fatalf("it does not come to it: %v", err)
			}
			// Meanwhile facts come that it has not seen, and another one takes over.
			more := fact(alice, "meanwhile", first, 3*time.Hour, 100, 2)
			w.put(more)
			facts = append(facts, more)
			other := w.closer()
			w.pass(other)
			w.clock.dueAt(first + 3)
			w.pass(other)
			was := make(map[int64]string)
			for _, d := range w.days(alice, first, first+3) {
				was[d.Day] = text(d.Closed)
			}
			close(p.goOn)
			if err := <-p.ended; err != nil && !errors.Is(err, ledger.ErrFenced) {
				t.Error(err)
			}
			w.pass(w.closer())
			for _, d := range w.days(alice, first, first+3) {
				if was[d.Day] != text(d.Closed) {
					t.Errorf("day %d was closed with\n%s\nand is\n%s", d.Day-first, was[d.Day], text(d.Closed))
				}
			}
			w.check(facts, first+3, alice, bob)
		})
	}
}

// One whose lease has run out writes no version of a day any more.
func TestLeaseHasRunOut(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice := w.owner(0, "alice")
	w.put(fact(alice, "a", first, 0, 1, 1))
	w.clock.dueAt(first)
	c := w.closer()
	do := &work{Closer: c, shard: 1, epoch: 1}
	do.lasts.Store(time.Now().Add(-time.Second).UnixNano())
	if err := do.closeDay(t.Context(), first); !errors.Is(err, errLost) {
		t.Error(err)
	}
	if got := w.stored(alice); got != "" {
		t.Error(got)
	}
}

// Processes with leases share the shards, and nothing is done twice that is not the same.
func TestTwoAtOnce(t *testing.T) {
	db := openDB(t)
	w := newWorld(t, db, 1, 2, 3, 4, 5, 6)
	w.leases = db
	var facts []claim.Fact
	var owners []string
	for i := range w.shards {
		owner := w.owner(i, "alice")
		owners = append(owners, owner)
		for day := range int64(3) {
			facts = append(facts, fact(owner, fmt.Sprint("f", i, day), first+day, time.Duration(i)*time.Hour, int64(i), 1))
		}
	}
	w.put(facts...)
	closers := []*Closer{w.closer(), w.closer(), w.closer()}
	pass := func() {
		t.Helper()
		var all sync.WaitGroup
		for _, c := range closers {
			all.Go(func() {
				if err := c.Pass(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.pass(closers[0]) // what was held by others as they looked
	}
	w.clock.dueAt(first + 2)
	pass()
	w.check(facts, first+2, owners...)
	for i := range w.shards {
		late := fact(owners[i], fmt.Sprint("late", i), first+1, time.Hour, 5, 0)
		w.put(late)
		facts = append(facts, late)
	}
	pass()
	if n := w.check(facts, first+2, owners...); n != 2*len(owners) {
		t.Errorf("%d adjustments", n)
	}
	for _, shard := range w.shards {
		if _, held, err := db.TryLease(t.Context(), leaseOf(shard), "test", time.Second); err != nil || !held {
			t.Errorf("shard %d is not free: %v", shard, err)
		}
	}
}

// What is held by another is left alone.
func TestHeldByAnother(t *testing.T) {
	db := openDB(t)
	w := newWorld(t, db, 1)
	w.leases = db
	w.clock.dueAt(first)
	if _, held, err := db.TryLease(t.Context(), leaseOf(1), "another", time.Minute); err != nil || !held {
		t.Fatal(err)
	}
	c := w.closer()
	w.pass(c)
	if last, err := c.Last(t.Context()); err != nil || last != first-1 {
		t.Errorf("%d, %v", last-first, err)
	}
}

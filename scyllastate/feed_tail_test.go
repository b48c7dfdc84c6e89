package scyllastate

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestUnreadableOwnFeed: what a peer is told by the feeds of all comes in time,
// and what they have of before, while a slot of its own cannot be read, and each try
// takes long.
func TestUnreadableOwnFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		shared := sharedFeeds()
		first := slotOf(time.Now())
		outage := func(own, all bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.fails, r.takes = func(feed string, slot int64) bool {
				return own && feed == ownName && slot == first || all && feed != ownName
			}, 10*time.Second
		}
		outage(true, true)
		const minutes = 20 // later the pause between two looks grows
		for i := range minutes {
			r.write(shared[i%len(shared)], fmt.Sprint("of before ", i))
			time.Sleep(time.Minute)
		}
		before := r.tail.position()
		outage(true, false)
		time.Sleep(minutes*10*time.Second + longestPause) // of the last look at the feeds of all, and until the next
		for i := range minutes {
			if label := fmt.Sprint("of before ", i); len(r.calls(label)) == 0 {
				t.Fatalf("%s was not handled", label)
			}
		}
		for i := range 20 {
			label := fmt.Sprint("now ", i)
			r.write(shared[1], label)
			for range 12 {
				r.store.nudges.wake([]string{ownName}) // this process writes to it
				time.Sleep(time.Second)
			}
			if n := len(r.calls(label)); n != 1 {
				t.Errorf("%s was handled %d times", label, n)
			}
		}
		if p := r.tail.position(); p.After(before) {
			t.Errorf("the cursor has moved by %s although a slot was not read", p.Sub(before))
		}
		outage(false, false)
		if time.Sleep(longestPause); !r.passed(time.Now().Add(-2 * r.store.lim.window())) {
			t.Error("the cursor does not move when all can be read again")
		}
	})
}

// TestCatchUpBesideUnreadableSlot: a peer that was away catches up with the feeds of
// all at full speed while a slot of its own cannot be read.
func TestCatchUpBesideUnreadableSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 8 * 60
		shared := sharedFeeds()
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil }, func(r *feedRig) {
			away := time.Now().Add(-minutes * time.Minute)
			r.feed.position = away
			r.fails, r.takes = func(feed string, slot int64) bool { return feed == ownName && slot == slotOf(away) }, 10*time.Second
			for i := range minutes {
				r.writeAt(shared[i%len(shared)], fmt.Sprint(i), away.Add(time.Duration(i)*time.Minute+time.Second))
			}
		})
		time.Sleep(r.takes + r.takes/2) // one try, not two
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.handled); n != minutes {
			t.Errorf("%d of %d changes were handled", n, minutes)
		}
	})
}

// TestLateRowInSharedFeed: the cursor does not pass a row of the feeds of all that came
// as late as it may, whenever they are looked at.
func TestLateRowInSharedFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		time.Sleep(2 * quietAfter)
		window := r.store.lim.window()
		const step = 10 * time.Millisecond
		for i := range 20 {
			label := fmt.Sprint(i)
			at := time.Now().Add(step - window)
			r.writeAt(sharedFeeds()[3], label, at)
			for end := time.Now().Add(2 * sharedIdle); len(r.calls(label)) == 0 && time.Now().Before(end); {
				if p := r.tail.position(); p.After(at) {
					t.Fatalf("row %d is not handled, and the cursor is %s behind it", i, p.Sub(at))
				}
				time.Sleep(step)
			}
			if len(r.calls(label)) != 1 {
				t.Fatalf("row %d was handled %d times", i, len(r.calls(label)))
			}
			time.Sleep(2*quietAfter + time.Duration(i)*sharedIdle/20)
		}
	})
}

// TestQuietFeeds: the feeds that all peers read cost a request every few seconds
// while nothing is in them, and are looked at as soon as this process writes.
func TestQuietFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		time.Sleep(10 * time.Minute)
		reads := func(feed string) int {
			r.mu.Lock()
			defer r.mu.Unlock()
			n := r.reads[feed]
			r.reads[feed] = 0
			return n
		}
		reads(ownName)
		shared := sharedFeeds()
		reads(shared[0])
		time.Sleep(time.Hour)
		if own, all := reads(ownName), reads(shared[0]); own > int(time.Hour/pollEvery) || all > int(time.Hour/sharedIdle) {
			t.Errorf("in a quiet hour a peer's own feed was read %d times, those of all %d times", own, all)
		}
		r.write(shared[3], "a")
		r.store.nudges.wake(shared[3:])
		time.Sleep(wakeEvery)
		synctest.Wait()
		if len(r.calls("a")) != 1 {
			t.Error("what this process has written waits for the next look")
		}
		r.write(shared[2], "b")
		time.Sleep(2*sharedEvery + 2*pollEvery) // it may read two slots
		if len(r.calls("b")) != 1 {
			t.Error("what another process has written waits although there are changes")
		}
	})
}

// clocks are the writers of a feed, of whom every seventh is behind by its clock, as far
// as it may be. It is known when each of their changes was written and when it came.
type clocks struct{ written, came map[string]time.Time }

func newClocks() *clocks { return &clocks{make(map[string]time.Time), make(map[string]time.Time)} }

// handle is a handler that notes what comes.
func (c *clocks) handle(r *feedRig, ch state.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.came[ch.Cid.String()] = time.Now()
	return nil
}

// write writes so many changes, and lets the last ones come.
func (c *clocks) write(r *feedRig, n int) {
	skew := r.store.lim.skew()
	for i := range n {
		r.write(ownName, fmt.Sprint(i))
		if i%7 == 0 {
			label := fmt.Sprint("behind ", i)
			c.written[label] = time.Now()
			r.writeAt(ownName, label, time.Now().Add(-skew*time.Duration(i%100)/100))
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Minute)
}

// wantWithin wants what was written behind to have been seen in time.
func (c *clocks) wantWithin(t *testing.T, r *feedRig, longest time.Duration) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for label, at := range c.written {
		if took := c.came[statetest.Cid(label).String()].Sub(at); took < 0 || took > longest {
			t.Errorf("%s was seen after %s", label, took)
		}
	}
}

// TestClocksOfWriters: what a writer appends whose clock is behind that of others is
// seen soon, as far as it may be behind.
func TestClocksOfWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocks()
		r := newFeedRig(t, c.handle)
		time.Sleep(2 * time.Second)
		c.write(r, 6000)
		c.wantWithin(t, r, 2*r.store.lim.skew()+2*pollEvery)
	})
}

// TestOverlapThatFails: what a writer appends whose clock is behind is seen soon also when
// the look that would have found it fails. So it is while a slot cannot be read for long,
// and that costs no more and more rows.
func TestOverlapThatFails(t *testing.T) {
	for what, fails := range map[string]func(started time.Time, skew time.Duration) func(string, int64) bool{
		"all reads, now and then": func(started time.Time, skew time.Duration) func(string, int64) bool {
			return func(feed string, _ int64) bool { return feed == ownName && time.Since(started)%(8*skew) < 2*skew }
		},
		"one slot": func(started time.Time, _ time.Duration) func(string, int64) bool {
			return func(feed string, slot int64) bool { return feed == ownName && slot == slotOf(started) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClocks()
				r := newFeedRig(t, c.handle, func(r *feedRig) { r.fails = fails(time.Now(), r.store.lim.skew()) })
				time.Sleep(slotLength + r.store.lim.window())
				const many = 12000
				c.write(r, many)
				c.wantWithin(t, r, 6*r.store.lim.skew()+2*pollEvery)
				r.mu.Lock()
				defer r.mu.Unlock()
				if perChange := float64(r.read) / (many + many/7); perChange > 12 {
					t.Errorf("each change was read %.1f times", perChange)
				}
			})
		})
	}
}

// TestRowsReadPerChange: each row is read when it comes, once or twice more within two
// skews, and at last; some are read twice when they come.
func TestRowsReadPerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		const many = 6000
		for i := range many {
			r.write(ownName, fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if perChange := float64(r.read) / many; len(r.handled) != many || perChange > 3.8 {
			t.Errorf("%d changes were handled %d times and read %.3f times each", many, len(r.handled), perChange)
		}
	})
}

package pins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// TestIsTold: what becomes of a request is told when it is settled, not before, once each while
// nothing goes wrong, and with what was so.
func TestIsTold(t *testing.T) {
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	s := telling(db, c, hears, 0)
	w := NewWorker(s, p, WorkerConfig{})
	n := newRequest("t1", 1)
	n.ReplMin, n.ReplMax = 2, 3
	made := create(t, s, n)
	begun := c.now()
	c.add(5 * time.Second)
	mustDo(t, s, w) // it is pinned at once, with 10 bytes
	step := func(d time.Duration, want string) {
		t.Helper()
		c.add(d)
		passOf(t, w, 1)
		if got := hears.of(made); got != want {
			t.Errorf("%s after the creation told was %q, want %q", c.now().Sub(begun), got, want)
		}
	}
	step(time.Minute, "")
	step(2*time.Minute, "added pinned sized")
	want := events.ClaimData{
		Cid: made.CID, Owner: "t1", RequestID: made.ID, Name: "name 1", Accepted: begun.UTC(), Pinned: begun.Add(5 * time.Second).UTC(), Replicas: 3, Size: 10,
	}
	check := func() {
		t.Helper()
		got := hears.claim(made)
		got.At = ""
		if got != want {
			t.Errorf("told was %+v\nwant %+v", got, want)
		}
	}
	check()
	for range 5 {
		step(70*time.Minute, "added pinned sized")
	}
	if todo := stored(t, db, "cid, slot", "todo"); len(todo) != 1 {
		t.Errorf("the first look tells all, and there are others: %v", todo)
	}
	mustRemove(t, s, made)
	want.Removed = c.now().UTC()
	c.add(time.Second)
	mustDo(t, s, w)
	step(time.Minute, "added pinned sized")
	step(2*time.Minute, "added pinned sized removed")
	check()
	calls := hears.calls
	for range 5 {
		step(70*time.Minute, "added pinned sized removed")
	}
	for id, times := range hears.times {
		if times > 2 || hears.calls != calls { // the removal tells all of it again
			t.Errorf("%s was told %d times", id, times)
		}
	}
	hears.accounted(t, s, "t1")
}

// TestIsToldLater: content that is pinned, and whose size is known, long after the request was
// made is told then.
func TestIsToldLater(t *testing.T) {
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	s := telling(db, c, hears, 0)
	w := NewWorker(s, p, WorkerConfig{})
	p.set(testCID(1), fakePin{ours: true, status: Pinning})
	made := create(t, s, newRequest("t1", 1))
	c.add(time.Second)
	mustDo(t, s, w)
	look := func() { // as after an event
		t.Helper()
		c.add(time.Second)
		w.Touch(testCID(1))
		some, _ := w.polls.take(time.Now().Add(time.Hour), 10)
		w.look(t.Context(), some)
	}
	step := func(d time.Duration, want string) {
		t.Helper()
		c.add(d)
		passOf(t, w, 1)
		if got := hears.of(made); got != want {
			t.Errorf("told was %q, want %q", got, want)
		}
	}
	step(4*time.Minute, "added")
	c.add(20 * time.Minute)
	passOf(t, w, 1) // it is put off now for longer than what follows takes
	p.set(testCID(1), fakePin{ours: true, status: Pinned})
	look()
	pinned := c.now()
	step(time.Minute, "added")
	step(2*time.Minute, "added pinned")
	w.Sized(testCID(1), 77)
	look()
	step(3*time.Minute, "added pinned sized")
	// A pin that failed and is back was first seen pinned before, and another size changes nothing.
	for _, pin := range []fakePin{{ours: true, status: Failed}, {ours: true, status: Pinned, size: 99}} {
		p.set(testCID(1), pin)
		look()
		step(10*time.Minute, "added pinned sized")
	}
	if got := hears.claim(made); !got.Pinned.Equal(pinned) || got.Size != 77 {
		t.Errorf("told was %+v, want %s and 77 bytes", got, pinned)
	}
	for range 4 {
		step(70*time.Minute, "added pinned sized")
	}
	for id, times := range hears.times {
		if want := map[string]int{"added": 3, "pinned": 2, "sized": 1}; times != want[id[len("t1/"+made.ID+"/claim."):]] {
			t.Errorf("%s was told %d times", id, times)
		}
	}
	hears.accounted(t, s, "t1")
}

// TestRemovedTwice: a request that two remove at once was removed once, at the earlier time, also
// if midnight is between, or the later one is done first.
func TestRemovedTwice(t *testing.T) {
	for name, tt := range map[string]struct {
		at        time.Duration // of the first removal, after the midnight before
		apart     time.Duration
		announced bool // the second one comes in after the first is announced, else after it is deleted
	}{
		"by day":               {5 * time.Hour, 3 * time.Second, true},
		"at midnight":          {24*time.Hour - time.Second, 2 * time.Second, true},
		"the later one slower": {24*time.Hour - time.Second, 2 * time.Second, false},
		"in one millisecond":   {5 * time.Hour, 0, true},
		"clocks turned round":  {24*time.Hour + time.Second, -2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
			a, b := telling(db, c, hears, 0), telling(db, c, hears, tt.apart)
			made := create(t, a, newRequest("t1", 1)) // the clock begins at midnight
			w := NewWorker(b, p, WorkerConfig{})
			c.add(5 * time.Second)
			if err := w.do(t.Context(), mustPop(t.Context(), a)); err != nil {
				t.Fatal(err)
			}
			c.add(tt.at - 5*time.Second)
			ready(t, db, c)
			other, err := b.get(t.Context(), "t1", made.ID)
			if err != nil {
				t.Fatal(err)
			}
			a.at = func(step string) error {
				if step == "remove: announced" && tt.announced || step == "remove: unclaimed" && !tt.announced {
					return b.remove(t.Context(), &other)
				}
				return nil
			}
			first := c.now().Add(min(0, tt.apart)).UTC()
			mustRemove(t, a, made)
			for range 4 {
				c.add(3 * time.Minute)
				passOf(t, w, 1)
			}
			if got := hears.claim(made); !got.Removed.Equal(first) || hears.of(made) != "added pinned sized removed" {
				t.Errorf("told was %s, %+v, want %s", hears.of(made), got, first)
			}
			hears.accounted(t, b, "t1")
			if got := export(t, b, "t1", c.now().Add(-48*time.Hour)); len(got) != 1 {
				t.Errorf("the export has %v", got)
			}
		})
	}
}

// TestTwoObserversOfThePin: of two that see content pinned the earlier observation counts, also
// if it is written last, and nothing is told until both are there.
func TestTwoObserversOfThePin(t *testing.T) {
	for _, first := range []int{0, 1} {
		db, c, hears := openDB(t), newClock(), newEar(t)
		ready(t, db, c)
		a, b := telling(db, c, hears, 0), telling(db, c, hears, 0)
		made := create(t, a, newRequest("t1", 1))
		c.add(time.Hour)
		k, at := keyOf(t, made.ID), c.now()
		seen := []observation{{begun: at, status: Pinned, size: 5}, {begun: at.Add(3 * time.Second), status: Pinned, size: 6}}
		c.add(4 * time.Second)
		a.at = func(step string) error {
			if step == "tell: read" {
				_, err := b.tell(t.Context(), "t1", k, seen[1-first])
				return err
			}
			return nil
		}
		if _, err := a.tell(t.Context(), "t1", k, seen[first]); err != nil {
			t.Fatal(err)
		}
		r, _, err := a.read(t.Context(), "t1", k)
		if err != nil || r.pinned != at.UnixMilli() || r.sized != 5 {
			t.Errorf("pinned at %d with %d bytes, %v, want %d and 5", r.pinned, r.sized, err, at.UnixMilli())
		}
		if early := r.settled(c.now()).facts(); len(early) != 1 {
			t.Errorf("told would be %+v", early)
		}
		if late := r.settled(c.now().Add(settledAfter)).facts(); len(late) != 3 {
			t.Errorf("told would be %+v", late)
		}
		// What was observed too long ago is not noted any more: it may have been told otherwise.
		c.add(actMost)
		other := create(t, a, newRequest("t1", 2))
		if told, err := b.tell(t.Context(), "t1", keyOf(t, other.ID), observation{begun: c.now().Add(-actMost - time.Second), status: Pinned}); told || err != nil {
			t.Errorf("an old observation: %v, %v", told, err)
		}
	}
}

// TestToldThroughCrashes: an instance stops after each step of each operation, and another one
// tells what is to be told of what was done, and nothing of what was not.
func TestToldThroughCrashes(t *testing.T) {
	type operation func(ctx context.Context, s *Service, w *Worker, old Request) error
	make := func(ctx context.Context, s *Service, w *Worker, _ Request) error {
		if _, err := s.Create(ctx, newRequest("t1", 2)); err != nil {
			return err
		}
		return w.do(ctx, mustPop(ctx, s))
	}
	remove := func(ctx context.Context, s *Service, w *Worker, old Request) error {
		if err := s.Remove(ctx, "t1", old.ID); err != nil {
			return err
		}
		return w.do(ctx, mustPop(ctx, s))
	}
	replace := func(ctx context.Context, s *Service, _ *Worker, old Request) error {
		_, err := s.Replace(ctx, "t1", old.ID, newRequest("t1", 2))
		return err
	}
	pin := func(ctx context.Context, s *Service, _ *Worker, old Request) error { // seen pinned late
		k, _ := parseID(old.ID)
		_, err := s.tell(ctx, "t1", k, observation{begun: s.now(), status: Pinned, size: 10})
		return err
	}
	say := func(ctx context.Context, _ *Service, w *Worker, old Request) error {
		return w.tellPass(ctx, shardOf(old.CID))
	}
	type crash struct {
		step string
		op   operation
		// old, made: what is to be told of the old request and of the new one
		old, made string
	}
	crashes := []crash{
		{"create: announced", make, "added", ""},
		{"create: claimed", make, "added", ""},
		{"create: stored", make, "added", "added pinned sized"},
		{"settle: asked", make, "added", "added pinned sized"},
		{"tell: read", make, "added", "added pinned sized"},
		{"tell: inserted", make, "added", "added pinned sized"},
		{"remove: announced", remove, "added", ""},
		{"remove: deleted", remove, "added removed", ""},
		{"remove: unclaimed", remove, "added removed", ""},
		{"settle: claims read", remove, "added removed", ""},
		{"tell: read", pin, "added", ""},
		{"tell: announced", pin, "added", ""},
		{"tell: inserted", pin, "added", ""},
		{"told", say, "added", ""},
	}
	if os.Getenv("TEST_LONG") == "1" { // these are a creation and a removal
		crashes = append(crashes, []crash{
			{"create: announced", replace, "added", ""},
			{"create: stored", replace, "added", "added pinned sized"},
			{"replace: created", replace, "added", "added pinned sized"},
			{"remove: announced", replace, "added", "added pinned sized"},
			{"remove: deleted", replace, "added removed", "added pinned sized"},
			{"remove: unclaimed", replace, "added removed", "added pinned sized"},
		}...)
	}
	for _, tt := range crashes {
		t.Run(tt.step+" told "+tt.old+", "+tt.made, func(t *testing.T) {
			db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
			ready(t, db, c)
			a, b := telling(db, c, hears, 0), telling(db, c, hears, -2*time.Second)
			wa, wb := NewWorker(a, p, WorkerConfig{}), NewWorker(b, p, WorkerConfig{})
			p.set(testCID(1), fakePin{ours: true, status: Pinning})
			old := create(t, a, newRequest("t1", 1))
			mustDo(t, a, wa)
			c.add(5 * time.Minute)
			crashAt(a, tt.step, 1)
			if err := tt.op(t.Context(), a, wa, old); !errors.Is(err, errCrash) {
				t.Fatalf("it did not stop: %v", err)
			}
			for range 6 { // what is put off comes later
				c.add(10 * time.Minute)
				passOf(t, wb, 1, 2)
			}
			if got := hears.of(old); got != tt.old {
				t.Errorf("told of the old request was %q, want %q", got, tt.old)
			}
			made := ""
			for id := range hears.heard {
				if r := (Request{Tenant: "t1", ID: id[len("t1/") : len("t1/")+len(old.ID)]}); r.ID != old.ID {
					made = hears.of(r)
				}
			}
			if made != tt.made {
				t.Errorf("told of the new request was %q, want %q", made, tt.made)
			}
			hears.accounted(t, b, "t1")
		})
	}
}

// TestLateBatch: a removal whose outcome nobody knew, and which the servers make after the first
// look, is told and settled all the same.
func TestLateBatch(t *testing.T) {
	all := []int{1}
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	a, b := telling(db, c, hears, 0), telling(db, c, hears, 0)
	w := NewWorker(b, p, WorkerConfig{})
	made := create(t, a, newRequest("t1", 1))
	c.add(10 * time.Minute)
	passOf(t, w, all...)
	r, err := b.get(t.Context(), "t1", made.ID)
	if err != nil {
		t.Fatal(err)
	}
	crashAt(a, "remove: announced", 1)
	removed := c.now()
	if err := a.Remove(t.Context(), "t1", made.ID); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	c.add(4 * time.Minute)
	passOf(t, w, all...)
	if got := hears.of(made); got != "added pinned sized" {
		t.Errorf("told was %q before it was removed", got)
	}
	if err := b.delete(t.Context(), "t1", r.key, r.end(removed.UnixMilli())); err != nil { // what the servers make of it
		t.Fatal(err)
	}
	for range 3 {
		c.add(10 * time.Minute)
		passOf(t, w, all...)
	}
	if got := hears.of(made); got != "added pinned sized removed" {
		t.Errorf("told was %q", got)
	}
	whole(t, db, p)
	hears.accounted(t, b, "t1")
}

// TestNobodyListens: while who is told does not listen the cluster follows all the same, and
// nothing is read to be told; afterwards all is told, also of what was made and removed meanwhile.
func TestNobodyListens(t *testing.T) {
	const cids = 4
	all := []int{0, 1, 2, 3}
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	hears.listen(100)
	s := telling(db, c, hears, 0)
	w := NewWorker(s, p, WorkerConfig{Parallel: 1})
	var made []Request
	for n := range cids {
		made = append(made, create(t, s, newRequest("t1", n)))
	}
	for range 4 {
		c.add(70 * time.Minute) // nothing was done with the queue: the looks do
		passOf(t, w, all...)
	}
	if hears.calls != 0 {
		t.Errorf("told %d times although nobody listens", hears.calls)
	}
	whole(t, db, p)
	for n := range cids / 2 {
		mustRemove(t, s, made[n])
	}
	for range 4 {
		c.add(70 * time.Minute)
		passOf(t, w, all...)
	}
	whole(t, db, p)
	if len(hears.heard) != 0 {
		t.Errorf("heard %v", hears.heard)
	}
	hears.listen(0)
	for range 2 {
		c.add(70 * time.Minute)
		passOf(t, w, all...)
	}
	for n, r := range made {
		want := "added pinned sized"
		if n < cids/2 {
			want += " removed"
		}
		if got := hears.of(r); got != want {
			t.Errorf("%d: told was %q, want %q", n, got, want)
		}
	}
	hears.accounted(t, s, "t1")
	calls := hears.calls
	for range 3 {
		c.add(70 * time.Minute)
		passOf(t, w, all...)
	}
	if hears.calls != calls {
		t.Errorf("told %d times more", hears.calls-calls)
	}
}

// TestToldFromNowOn: what was pinned before anybody listened is told at the daily look.
func TestToldFromNowOn(t *testing.T) {
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	before := newInstance(db, c, 0)
	w := NewWorker(before, p, WorkerConfig{})
	var made []Request
	for n := range 3 {
		made = append(made, create(t, before, newRequest("t1", n%2)))
		c.add(time.Second)
		mustDo(t, before, w)
	}
	gone := create(t, before, newRequest("t1", 3))
	mustRemove(t, before, gone)
	c.add(time.Hour)
	passAll(t, w)
	if rows := stored(t, db, "tenant", "ended"); len(rows) != 0 {
		t.Errorf("nobody is told, and %v is kept", rows)
	}
	s := telling(db, c, hears, 0)
	w = NewWorker(s, p, WorkerConfig{})
	if err := w.Verify(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	c.add(5 * time.Minute)
	passAll(t, w)
	for n, r := range made {
		if got := hears.of(r); got != "added pinned sized" {
			t.Errorf("%d: told was %q", n, got)
		}
	}
	if hears.of(gone) != "" {
		t.Error("told was of what had been removed before")
	}
	hears.accounted(t, s, "t1")
	calls := len(stored(t, db, "cid, slot", "todo"))
	if err := w.Verify(t.Context(), "t1"); err != nil || len(stored(t, db, "cid, slot", "todo")) != calls {
		t.Errorf("the next look notes something again, %v", err)
	}
}

// TestEachClaim: the export has what is there and what was removed since, each once and in
// whole, of the tenant only.
func TestEachClaim(t *testing.T) {
	db, c, p, hears := openDB(t), newClock(), newLateFakePeer(), newEar(t)
	ready(t, db, c)
	s := telling(db, c, hears, 0)
	w := NewWorker(s, p, WorkerConfig{})
	begun := c.now()
	want := make(map[string]int64) // when they were removed, 0 if they were not
	for n := range 40 {
		req := newRequest("t1", n)
		req.ReplMin, req.ReplMax = 1, 1+n%3
		r := create(t, s, req)
		c.add(time.Second)
		mustDo(t, s, w)
		name := fmt.Sprint(r.Name, " ", r.Created.UnixMilli(), " ", r.Created.UnixMilli()+1000)
		if n%2 == 0 {
			c.add(3 * time.Hour)
			mustRemove(t, s, r)
			mustPop(t.Context(), s)
			want[name] = c.now().UnixMilli()
		} else {
			want[name] = 0
		}
	}
	create(t, s, newRequest("t2", 1))
	for _, since := range []time.Time{{}, begun, c.now().Add(-30 * time.Hour), c.now().Add(time.Hour), begun.Add(-80 * 24 * time.Hour)} {
		expected := 0
		got := export(t, s, "t1", since)
		for name, removed := range want {
			if removed != 0 && (since.IsZero() || removed < since.UnixMilli()) {
				continue
			}
			expected++
			found := 0
			for n := range 40 {
				line := fmt.Sprint(FactSized, " ", name, " ", removed, " ", 1+n%3, " ", 10)
				if removed != 0 {
					line = fmt.Sprint(FactEnded, " ", name, " ", removed, " ", 1+n%3, " ", 10)
				}
				if len(name) > 6 && fmt.Sprint("name ", n, " ") == name[:len(fmt.Sprint("name ", n, " "))] {
					for _, one := range got {
						if one == line {
							found++
						}
					}
				}
			}
			if found != 1 {
				t.Errorf("since %s: %s is there %d times", since, name, found)
			}
		}
		if len(got) != expected {
			t.Errorf("since %s: %d lines, want %d\n%v", since, len(got), expected, got)
		}
	}
	stop := errors.New("enough")
	calls := 0
	if err := s.EachClaim(t.Context(), "t1", begun, func(Claim) error {
		if calls++; calls == 30 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) || calls != 30 {
		t.Errorf("%v after %d", err, calls)
	}
	db.Session.Close()
	if err := s.EachClaim(t.Context(), "t1", begun, func(Claim) error { return nil }); err == nil {
		t.Error("without a database there is an export")
	}
}

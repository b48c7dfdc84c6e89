package pins

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// withQuota gives all tenants of an instance a quota, whose reserved places age by c.
func withQuota(s *Service, c *clock, q Quota) *Service {
	s.limits = func(context.Context, string) (Quota, error) { return q, nil }
	s.usage.now = c.now
	return s
}

// rowsOf is how many requests there are.
func rowsOf(t *testing.T, s *Service) int64 {
	t.Helper()
	n := 0
	if err := s.db.Session.Query("SELECT COUNT(*) FROM pins").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

// fill makes requests until there is no place, and returns how many.
func fill(t *testing.T, s *Service) (n int64) {
	t.Helper()
	for {
		_, err := s.Create(t.Context(), newRequest("t1", rand.IntN(9)))
		var full *QuotaError
		if errors.As(err, &full) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// TestQuota: two instances never make more than the limit allows, while requests are removed
// by both at the same time; and what is free can be used.
func TestQuota(t *testing.T) {
	const most = 150
	db, c := openDB(t), newClock()
	quota := Quota{MaxPins: most}
	instances := []*Service{withQuota(newInstance(db, c, 0), c, quota), withQuota(newInstance(db, c, 0), c, quota)}
	var mu sync.Mutex
	var ids []string
	for range 3 {
		var users sync.WaitGroup
		for _, s := range instances {
			for range 2 {
				users.Go(func() {
					for range 45 {
						r, err := s.Create(t.Context(), newRequest("t1", rand.IntN(9)))
						var full *QuotaError
						if err != nil && !errors.As(err, &full) {
							t.Error(err)
						}
						mu.Lock()
						if err == nil {
							ids = append(ids, r.ID)
						}
						id := ids[rand.IntN(len(ids))]
						mu.Unlock()
						if rand.IntN(4) == 0 { // both may remove one, at the same time
							if err := s.Remove(t.Context(), "t1", id); err != nil && !errors.Is(err, ErrNotFound) {
								t.Error(err)
							}
						}
					}
				})
			}
		}
		users.Wait()
		if n := rowsOf(t, instances[0]); n > most {
			t.Fatalf("%d requests, more than %d", n, most)
		}
	}
	for _, s := range instances {
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, withQuota(newInstance(db, c, 0), c, quota))
	if n := rowsOf(t, instances[0]); n != most {
		t.Errorf("%d requests fit, want %d", n, most)
	}
}

// TestQuotaAcrossInstances: at the limit, what one instance frees the other can use at once;
// a request can be replaced; one that was replaced twice frees one place.
func TestQuotaAcrossInstances(t *testing.T) {
	db, c := openDB(t), newClock()
	quota := Quota{MaxPins: 3}
	a, b := withQuota(newInstance(db, c, 0), c, quota), withQuota(newInstance(db, c, 0), c, quota)
	first, second := create(t, a, newRequest("t1", 1)), create(t, b, newRequest("t1", 2))
	if n := fill(t, b); n != 1 {
		t.Fatalf("%d more were made", n)
	}
	if err := a.Remove(t.Context(), "t1", first.ID); err != nil {
		t.Fatal(err)
	}
	if n := fill(t, b); n != 1 {
		t.Errorf("%d were made in the place of one", n)
	}
	third, err := a.Replace(t.Context(), "t1", second.ID, newRequest("t1", 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "t1", second.ID); !errors.Is(err, ErrNotFound) {
		t.Error("what was replaced is found")
	}
	var replaced sync.WaitGroup
	for _, s := range []*Service{a, b} {
		replaced.Go(func() {
			_, err := s.Replace(t.Context(), "t1", third.ID, newRequest("t1", 4))
			var full *QuotaError
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.As(err, &full) {
				t.Error(err)
			}
		})
	}
	replaced.Wait()
	if n := rowsOf(t, a); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	if n := fill(t, a); n != 0 {
		t.Errorf("%d more were made", n)
	}
}

// TestRecount: it finds what crashes have left reserved, and places that were reserved
// before it are used by nobody after it.
func TestRecount(t *testing.T) {
	const most = 640
	db, c := openDB(t), newClock()
	quota := Quota{MaxPins: most}
	a, b := withQuota(newInstance(db, c, 0), c, quota), withQuota(newInstance(db, c, 0), c, quota)
	first, second := create(t, a, newRequest("t1", 1)), create(t, a, newRequest("t1", 1)) // it has reserved ten
	third := create(t, a, newRequest("t1", 1))
	was, err := a.usage.before(t.Context(), "t1", quota)
	if err != nil {
		t.Fatal(err)
	}
	b.wait = func(ctx context.Context, d time.Duration) error {
		c.add(d)
		// Removed and told before the count, removed before and told after, in two ways.
		if err := a.Remove(ctx, "t1", first.ID); err != nil {
			return err
		}
		if was, err = a.usage.before(ctx, "t1", quota); err != nil {
			return err
		}
		k := row{key: keyOf(t, second.ID), Request: second}
		return a.remove(ctx, &k)
	}
	usage, err := b.Recount(t.Context(), "t1")
	if err != nil || usage.Pins != 1 || usage.Counted.IsZero() {
		t.Errorf("%+v, %v", usage, err)
	}
	a.usage.free(t.Context(), &row{key: keyOf(t, second.ID), Request: second}, was)
	if usage, err := b.Usage(t.Context(), "t1"); err != nil || usage.Pins != 1 {
		t.Errorf("a removal that the count had seen counts again: %+v, %v", usage, err)
	}
	fill(t, a)
	fill(t, b)
	if n := rowsOf(t, a); n != most {
		t.Errorf("%d requests, want %d", n, most)
	}
	if err := b.Remove(t.Context(), "t1", third.ID); err != nil {
		t.Fatal(err)
	}
	if n := fill(t, a); n != 1 {
		t.Errorf("%d were made in the place of one", n)
	}
}

// TestBytes: the size of what is pinned counts, once it is known.
func TestBytes(t *testing.T) {
	db, c := openDB(t), newClock()
	a := withQuota(newInstance(db, c, 0), c, Quota{MaxBytes: 100})
	made := create(t, a, newRequest("t1", 1))
	c.add(time.Second)
	if told, err := a.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned, size: 100}); err != nil || !told {
		t.Fatal(told, err)
	}
	_, err := a.Create(t.Context(), newRequest("t1", 2))
	var full *QuotaError
	if !errors.As(err, &full) || full.What != "bytes" || full.Limit != 100 {
		t.Error(err)
	}
	if err := a.Remove(t.Context(), "t1", made.ID); err != nil {
		t.Fatal(err)
	}
	create(t, a, newRequest("t1", 2))
	if usage, err := a.Recount(t.Context(), "t1"); err != nil || usage.Pins != 1 || usage.Bytes != 0 {
		t.Errorf("%+v, %v", usage, err)
	}
}

// TestRoom: it is told before whether a request would find room, with the places that the
// instance has reserved, and with the bytes that are to come; and nothing is reserved by asking.
func TestRoom(t *testing.T) {
	db, c := openDB(t), newClock()
	a, b := withQuota(newInstance(db, c, 0), c, Quota{MaxPins: 64 * 3}), withQuota(newInstance(db, c, 0), c, Quota{MaxPins: 64 * 3})
	told := func(s *Service, bytes int64) string {
		t.Helper()
		err := s.Room(t.Context(), "t1", bytes)
		var full *QuotaError
		switch {
		case err == nil:
			return "room"
		case errors.As(err, &full):
			return full.Error()
		}
		t.Fatal(err)
		return ""
	}
	const fullOfPins, fullOfBytes = "the limit of 192 pins is reached", "the limit of 100 bytes is reached"
	for range 3 {
		if got := told(b, 1<<40); got != "room" {
			t.Errorf("of a new tenant: %s", got)
		}
	}
	if usage, err := b.Usage(t.Context(), "t1"); err != nil || usage.Pins != 0 {
		t.Errorf("by asking there came to be %+v, %v", usage, err)
	}
	made := create(t, a, newRequest("t1", 1)) // it has reserved two more
	fill(t, b)
	if got := told(b, 0); got != fullOfPins {
		t.Errorf("of the instance that has used all its places: %s", got)
	}
	if got := told(a, 0); got != "room" {
		t.Errorf("of the one that has places: %s", got)
	}
	fill(t, a)
	if got := told(a, 0); got != fullOfPins {
		t.Errorf("when it has used them: %s", got)
	}
	if err := a.Remove(t.Context(), "t1", made.ID); err != nil {
		t.Fatal(err)
	}
	if got := told(a, 0); got != "room" {
		t.Errorf("when something was removed: %s", got)
	}

	limited := Quota{MaxBytes: 100}
	made = create(t, withQuota(a, c, limited), newRequest("t1", 2))
	c.add(time.Second)
	if told, err := a.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned, size: 60}); err != nil || !told {
		t.Fatal(told, err)
	}
	for bytes, want := range map[int64]string{0: "room", 40: "room", 41: fullOfBytes, 1<<63 - 1: fullOfBytes} {
		if got := told(a, bytes); got != want {
			t.Errorf("%d bytes beside 60 of 100: %s", bytes, got)
		}
	}
	if got := told(withQuota(a, c, Quota{}), 1<<40); got != "room" {
		t.Errorf("without a quota: %s", got)
	}
}

// TestRecountMendsLists: what a crash has left in the list of a status goes, if it is old.
func TestRecountMendsLists(t *testing.T) {
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	made := create(t, s, newRequest("t1", 1))
	c.add(time.Second)
	crashAt(s, "tell: inserted", 1)
	if _, err := s.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned}); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	s = newInstance(db, c, 0)
	s.wait = func(context.Context, time.Duration) error { return nil }
	for _, tt := range []struct {
		later time.Duration
		want  int
	}{{0, 2}, {strayAge + time.Second, 1}} {
		c.add(tt.later)
		if _, err := s.Recount(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		if left := len(stored(t, db, "tenant, status, slice, created, rnd", "by_status")); left != tt.want {
			t.Errorf("%s later: %d rows in lists, want %d", tt.later, left, tt.want)
		}
	}
	if page, err := s.List(t.Context(), "t1", Query{Statuses: []Status{Queued}}); err != nil || len(page.Results) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

package pins

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestReadYourWrites: what one instance has answered the other finds at once.
func TestReadYourWrites(t *testing.T) {
	db, c := openDB(t), newClock()
	a, b := newInstance(db, c, 2*time.Second), newInstance(db, c, -2*time.Second)
	n := newRequest("t1", 1)
	n.Meta, n.Origins = map[string]string{"k": "v"}, []string{"/ip4/192.0.2.1/tcp/4001"}
	n.ReplMin, n.ReplMax, n.Region = 2, 3, "eu"
	made := create(t, a, n)
	got, err := b.Get(t.Context(), "t1", made.ID)
	if err != nil || fmt.Sprintln(got.Meta, got.Origins, got.ReplMin, got.ReplMax, got.Region) != "map[k:v] [/ip4/192.0.2.1/tcp/4001] 2 3 eu\n" || texts([]Request{got}) != texts([]Request{made}) {
		t.Errorf("%+v, %v, made %+v", got, err, made)
	}
	for _, q := range []Query{{}, {Statuses: []Status{Queued}}, {Statuses: []Status{Queued, Failed}}, {CIDs: []string{n.CID}}} {
		page, err := b.List(t.Context(), "t1", q)
		if err != nil || texts(page.Results) != texts([]Request{made}) || page.Count != 1 || !page.Exact {
			t.Errorf("%+v: %+v, %v", q, page, err)
		}
	}
	again := create(t, b, n)
	if again.ID == made.ID {
		t.Error("two requests have one id")
	}
	all, err := a.OfCID(t.Context(), "t1", n.CID)
	if err != nil || texts(all) != texts([]Request{made, again}) { // a's clock is ahead
		t.Errorf("%s, %v", texts(all), err)
	}
}

// TestOthers: a tenant finds nothing of another one, in the same words as what never was.
func TestOthers(t *testing.T) {
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	made := create(t, s, newRequest("t1", 1))
	for _, id := range []string{made.ID, "", "x", strings.ToUpper(made.ID), made.ID[:25] + "z", testCID(1)} {
		tenant := "t2"
		if id != made.ID {
			tenant = "t1"
		}
		if _, err := s.Get(t.Context(), tenant, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %q: %v", id, err)
		}
		if err := s.Remove(t.Context(), tenant, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("remove %q: %v", id, err)
		}
		if _, err := s.Replace(t.Context(), tenant, id, newRequest(tenant, 2)); !errors.Is(err, ErrNotFound) {
			t.Errorf("replace %q: %v", id, err)
		}
	}
	for _, q := range []Query{{}, {CIDs: []string{testCID(1)}}, {Statuses: []Status{Queued}}} {
		if page, err := s.List(t.Context(), "t2", q); err != nil || page.Count != 0 || len(page.Results) != 0 {
			t.Errorf("%+v: %+v, %v", q, page, err)
		}
	}
}

// TestLateChange: a change of a status whose observation began before a request was removed
// brings nothing back, however late it is written.
func TestLateChange(t *testing.T) {
	db, c := openDB(t), newClock()
	a, b := newInstance(db, c, 3*time.Second), newInstance(db, c, 0)
	made := create(t, b, newRequest("t1", 1))
	c.add(5 * time.Second)
	// a stops between reading the row and writing, twice: before each of its writes.
	for _, step := range []string{"tell: read", "tell: inserted"} {
		removed := make(chan error, 1)
		a.at = func(at string) error {
			if at == step {
				removed <- b.Remove(t.Context(), "t1", made.ID)
			}
			return nil
		}
		told, err := a.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: a.now(), status: Pinned})
		if err != nil || !told {
			t.Fatal(told, err)
		}
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), "t1", made.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", step, err)
		}
		for _, table := range []string{"pins", "by_status"} {
			if rows := stored(t, db, "*", table); len(rows) > 0 {
				t.Errorf("%s: %s has %v", step, table, rows)
			}
		}
		made = create(t, b, newRequest("t1", 1))
		c.add(5 * time.Second)
	}
}

// TestTwoObservers: two that see different things at the same time leave one row, that of
// the later observation, or of the larger status at the same microsecond.
func TestTwoObservers(t *testing.T) {
	db, c := openDB(t), newClock()
	a, b := newInstance(db, c, 0), newInstance(db, c, 0)
	for _, first := range statuses() {
		for _, second := range statuses() {
			for _, apart := range []time.Duration{0, time.Microsecond, 4 * time.Microsecond} {
				made := create(t, a, newRequest("t1", 1))
				c.add(time.Second)
				begun := c.now()
				a.at = func(at string) error { // b comes between a's read and a's writes
					if at == "tell: read" {
						_, err := b.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: begun.Add(apart), status: second, info: map[string]string{"b": "b"}})
						return err
					}
					return nil
				}
				if _, err := a.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: begun, status: first, info: map[string]string{"a": "a"}}); err != nil {
					t.Fatal(err)
				}
				const columns = "created, rnd, status, cid, info"
				requests, listed := stored(t, db, columns, "pins"), stored(t, db, columns, "by_status")
				if fmt.Sprint(requests) != fmt.Sprint(listed) || len(listed) != 1 {
					t.Errorf("%s and %s %s later: %v, in lists %v", first, second, apart, requests, listed)
				}
				got, err := b.Get(t.Context(), "t1", made.ID)
				if err != nil || apart >= 4*time.Microsecond && got.Status != second {
					t.Errorf("%s and %s %s later: %s, %v", first, second, apart, got.Status, err)
				}
				if err := b.Remove(t.Context(), "t1", made.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestLargeRequest: a request that fits into no batch is stored all the same.
func TestLargeRequest(t *testing.T) {
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	n := newRequest("t1", 1)
	n.Name = strings.Repeat("ä", MaxName)
	n.Meta = map[string]string{"k": strings.Repeat("v", MaxMetaBytes-1)}
	made := create(t, s, n)
	c.add(time.Second)
	if told, err := s.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned}); err != nil || !told {
		t.Fatal(told, err)
	}
	page, err := s.List(t.Context(), "t1", Query{Statuses: []Status{Pinned}, Meta: n.Meta})
	if err != nil || len(page.Results) != 1 {
		t.Errorf("%d, %v", len(page.Results), err)
	}
}

// TestMillisecondIsNotSplit: what two instances made in one millisecond is on one page, also
// if that has more than was asked for.
func TestMillisecondIsNotSplit(t *testing.T) {
	db, c := openDB(t), newClock()
	a, b := newInstance(db, c, 0), newInstance(db, c, 0)
	for range 3 { // a and b use the same three milliseconds
		create(t, a, newRequest("t1", 1))
		create(t, b, newRequest("t1", 1))
	}
	for _, tt := range []struct{ limit, want int }{{1, 2}, {2, 2}, {3, 2}, {4, 4}, {5, 4}, {6, 6}, {7, 6}} {
		page, err := a.List(t.Context(), "t1", Query{Limit: tt.limit})
		if err != nil || len(page.Results) != tt.want || page.Count != 6 {
			t.Errorf("limit %d: %d of %d, %v", tt.limit, len(page.Results), page.Count, err)
		}
	}
}

// TestTooBroad: a search that finds no page in time says so, unless it has looked at few
// requests only: a slow database is not the client's mistake.
func TestTooBroad(t *testing.T) {
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	for i := range 3 {
		create(t, s, newRequest("t1", i))
	}
	s.walkTime = 0
	if page, err := s.List(t.Context(), "t1", Query{Name: "nobody has it"}); err != nil || !page.Exact {
		t.Errorf("%+v, %v", page, err)
	}
	s.walkLeast = 3
	if page, err := s.List(t.Context(), "t1", Query{}); err != nil || len(page.Results) != 3 {
		t.Errorf("%+v, %v", page, err)
	}
	s.walkLeast = 2
	_, err := s.List(t.Context(), "t1", Query{Name: "nobody has it"})
	var broad *TooBroadError
	if !errors.As(err, &broad) {
		t.Errorf("%v: an empty page would be wrong", err)
	}
}

// TestFailureIsNoEmptyPage: without a database nothing answers as if there were nothing.
func TestFailureIsNoEmptyPage(t *testing.T) {
	server := openDB(t)
	s := New(Config{DB: server})
	server.Session.Close()
	ctx := t.Context()
	if _, err := s.List(ctx, "t1", Query{}); err == nil {
		t.Error("List says there is nothing")
	}
	if _, err := s.List(ctx, "t1", Query{CIDs: []string{testCID(1)}}); err == nil {
		t.Error("List says there is nothing")
	}
	if _, err := s.Get(ctx, "t1", key{slice: sliceOf(1, 0), created: 1}.id()); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Create(ctx, newRequest("t1", 1)); err == nil {
		t.Error("Create works")
	}
	if err := s.Remove(ctx, "t1", key{slice: sliceOf(1, 0), created: 1}.id()); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Remove: %v", err)
	}
}

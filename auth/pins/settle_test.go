package pins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// passAll does what is due of all shards.
func passAll(tb testing.TB, w *Worker) {
	tb.Helper()
	for shard := range todoShards {
		pass(tb, w, shard)
	}
}

// pass does what is due of a shard. Whoever is told may not listen.
func pass(tb testing.TB, w *Worker, shard int) {
	tb.Helper()
	if err := w.pass(tb.Context(), shard); err != nil {
		tb.Fatal(err)
	}
	if w.service.told != nil {
		if err := w.tellPass(tb.Context(), shard); err != nil && !errors.Is(err, errNotHeard) {
			tb.Fatal(err)
		}
	}
}

// ready makes the first pass, which looks at all slots of a week, before there is anything.
func ready(tb testing.TB, db *scylla.DB, c *clock) {
	tb.Helper()
	last := c.now().UnixMilli()/slotTime.Milliseconds() - 2
	for shard := range todoShards {
		for _, text := range []string{insertDone, insertTold} {
			if err := db.Write(tb.Context(), scylla.Bind(text, shard, last, last)); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// whole checks what holds once all is done: rows of requests iff claims, each in the list of
// its status and no other, and the cluster has what is claimed. It returns the ids of all
// requests by CID.
func whole(t *testing.T, db *scylla.DB, p *lateFakePeer) {
	t.Helper()
	requests := stored(t, db, "tenant, created, rnd, slice, cid", "pins")
	claimed := stored(t, db, "tenant, created, rnd, slice, cid", "claims")
	for text := range claimed { // of a partition without rows its static column is left
		if requests[text] == 0 {
			t.Errorf("a claim without a request: %s", text)
		}
	}
	for text := range requests {
		if claimed[text] == 0 {
			t.Errorf("a request without a claim: %s", text)
		}
	}
	const all = "tenant, created, rnd, slice, status, cid, name, owner, origins, meta, info, delegates, size, rf_min, rf_max, region"
	inLists := stored(t, db, all, "by_status")
	if got := stored(t, db, all, "pins"); !maps.Equal(got, inLists) {
		t.Errorf("requests\n%v\nin lists\n%v", got, inLists)
	}
	wanted := stored(t, db, "cid", "pins")
	p.mu.Lock()
	defer p.mu.Unlock()
	for cid := range p.pins {
		if p.pins[cid].ours && wanted[fmt.Sprint(map[string]any{"cid": cid})] == 0 {
			t.Errorf("%s is pinned and nobody wants it", cid)
		}
	}
	for text := range wanted {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(p.pins)), func(cid string) bool { return text == fmt.Sprint(map[string]any{"cid": cid}) }) {
			t.Errorf("%s is wanted and not pinned", text)
		}
	}
}

// TestCrashes: an instance stops after each step of each operation, and another one brings
// everything to its end.
func TestCrashes(t *testing.T) {
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
	for _, tt := range []struct {
		step string
		op   operation
		// gone, made: what is to be of the old request and of a new one
		gone, made bool
	}{
		{"create: announced", make, false, false},
		{"create: claimed", make, false, false},
		{"create: stored", make, false, true},
		{"settle: claims read", make, false, true},
		{"settle: asked", make, false, true},
		{"tell: inserted", make, false, true},
		{"remove: announced", remove, false, false},
		{"remove: deleted", remove, true, false},
		{"remove: unclaimed", remove, true, false},
		{"settle: claims read", remove, true, false},
		{"settle: asked", remove, true, false},
		{"create: announced", replace, false, false},
		{"create: claimed", replace, false, false},
		{"create: stored", replace, false, true},
		{"replace: created", replace, false, true},
		{"remove: announced", replace, false, true},
		{"remove: deleted", replace, true, true},
		{"remove: unclaimed", replace, true, true},
	} {
		t.Run(fmt.Sprintf("%s gone %v made %v", tt.step, tt.gone, tt.made), func(t *testing.T) {
			db, c, p := openDB(t), newClock(), newLateFakePeer()
			ready(t, db, c)
			a, b := newInstance(db, c, 0), newInstance(db, c, -2*time.Second)
			wa, wb := NewWorker(a, p, WorkerConfig{}), NewWorker(b, p, WorkerConfig{})
			old, other := create(t, a, newRequest("t1", 1)), create(t, a, newRequest("t2", 3))
			for range 2 {
				if err := wa.do(t.Context(), mustPop(t.Context(), a)); err != nil {
					t.Fatal(err)
				}
			}
			c.add(5 * time.Second)
			crashAt(a, tt.step, 1)
			if err := tt.op(t.Context(), a, wa, old); !errors.Is(err, errCrash) {
				t.Fatalf("it did not stop: %v", err)
			}
			for range 3 { // what is put off comes later
				c.add(10 * time.Minute)
				passAll(t, wb)
			}
			whole(t, db, p)
			page, err := b.List(t.Context(), "t1", Query{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			has := func(cid string) bool {
				return slices.ContainsFunc(page.Results, func(r Request) bool { return r.CID == cid && r.Status == Pinned })
			}
			if has(testCID(1)) == tt.gone || has(testCID(2)) != tt.made {
				t.Errorf("left are\n%s", texts(page.Results))
			}
			if r, err := b.Get(t.Context(), "t2", other.ID); err != nil || r.Status != Pinned {
				t.Errorf("the other tenant's: %+v, %v", r, err)
			}
		})
	}
}

// mustPop is the work that an operation has left.
func mustPop(ctx context.Context, s *Service) work {
	w, err := s.queue.pop(ctx)
	if err != nil {
		return work{}
	}
	return w
}

// TestChurn: two instances make and remove requests of two tenants for the same CIDs, are
// killed and started again, the cluster loses answers and does late what it is asked, and who is
// told of claims does not listen at times. At the end the cluster has what is claimed, and
// nothing else, and all of that was told.
func TestChurn(t *testing.T) {
	const cids, rounds = 20, 60
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	ready(t, db, c)
	p.fail, p.late, p.delay = 10, 15, 30*time.Millisecond
	hears := newEar(t)
	hears.fail = 20
	var users sync.WaitGroup
	for i := range 2 {
		tenant := fmt.Sprint("t", i)
		users.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			s, stop := startInstance(t, db, c, p, time.Duration(i)*time.Second, hears)
			defer func() { stop() }()
			var held []Request
			for round := range rounds {
				if round%20 == 19 {
					stop()
					s, stop = startInstance(t, db, c, p, time.Duration(i)*time.Second, hears)
				}
				if len(held) == 0 || rnd.IntN(2) == 0 {
					r, err := s.Create(t.Context(), newRequest(tenant, rnd.IntN(cids)))
					if err != nil {
						t.Error(err)
						return
					}
					held = append(held, r)
				} else {
					j := rnd.IntN(len(held))
					if err := s.Remove(t.Context(), tenant, held[j].ID); err != nil {
						t.Error(err)
						return
					}
					held = slices.Delete(held, j, j+1)
				}
				c.add(10 * time.Millisecond)
			}
		})
	}
	users.Wait()
	p.running.Wait() // as Peer promises, all takes effect before the look
	last := newInstance(db, c, 0)
	last.told = hears
	w := NewWorker(last, p, WorkerConfig{})
	for round := range 12 {
		if round == 6 {
			hears.listen(0)
		}
		c.add(70 * time.Minute)
		passAll(t, w)
		p.running.Wait()
	}
	whole(t, db, p)
	hears.accounted(t, w.service, "t0", "t1")
	for tenant := range 2 {
		page, err := w.service.List(t.Context(), fmt.Sprint("t", tenant), Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Results {
			if r.Status != Pinned {
				t.Errorf("%s is %s", r.CID, r.Status)
			}
		}
		t.Logf("%d requests are left", len(page.Results))
	}
}

// startInstance starts an instance with a worker, which stop ends.
func startInstance(t *testing.T, db *scylla.DB, c *clock, p Peer, skew time.Duration, hears Claims) (*Service, func()) {
	s := newInstance(db, c, skew)
	s.told = hears
	w := NewWorker(s, p, WorkerConfig{Parallel: 4})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { w.work(ctx) })
	}
	running.Go(func() { w.poll(ctx) })
	return s, func() {
		cancel()
		running.Wait()
	}
}

// TestSettleLooksAgain: an instance that has seen no claim asks for the removal of the pin
// after another one has claimed the CID and pinned it. It sees that and pins again, without
// any look later.
func TestSettleLooksAgain(t *testing.T) {
	db, c, p := openDB(t), newClock(), newLateFakePeer()
	a, b := newInstance(db, c, 0), newInstance(db, c, 0)
	wa, wb := NewWorker(a, p, WorkerConfig{}), NewWorker(b, p, WorkerConfig{})
	old := create(t, a, newRequest("t1", 1))
	if err := wa.do(t.Context(), mustPop(t.Context(), a)); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove(t.Context(), "t1", old.ID); err != nil {
		t.Fatal(err)
	}
	var between sync.Once
	a.at = func(step string) (err error) {
		if step == "settle: claims read" {
			between.Do(func() {
				create(t, b, newRequest("t2", 1))
				err = wb.do(t.Context(), mustPop(t.Context(), b))
			})
		}
		return err
	}
	if err := wa.do(t.Context(), mustPop(t.Context(), a)); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.has(testCID(1)); !ok || p.unpinned[testCID(1)] != 1 {
		t.Errorf("pinned %v, unpinned %d times", ok, p.unpinned[testCID(1)])
	}
}

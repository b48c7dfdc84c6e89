package pins

import (
	"fmt"
	"testing"
	"time"
)

// TestTooMuch: who asks for more copies than the cluster makes keeps a CID from nobody, and is
// told.
func TestTooMuch(t *testing.T) {
	const told = "asked for copies on 9 peers, and the cluster makes copies on "
	for name, tt := range map[string]struct {
		defaultMin, defaultMax int
		first, second          [2]int // replication
		pin, info              string
		pinned                 int
	}{
		"after a pin":       {2, 3, [2]int{0, 0}, [2]int{9, 9}, "2 3", told + "2 to 3 peers", 1},
		"before a pin":      {2, 3, [2]int{9, 9}, [2]int{0, 0}, "2 3", told + "2 to 3 peers", 1},
		"after a small one": {3, 3, [2]int{1, 2}, [2]int{9, 9}, "3 3", told + "3 peers", 2},
		"after a large one": {2, 3, [2]int{3, 4}, [2]int{9, 9}, "3 4", told + "3 to 4 peers", 1},
		"unknown default":   {0, 0, [2]int{1, 2}, [2]int{9, 9}, "1 2", told + "1 to 2 peers", 1},
	} {
		t.Run(name, func(t *testing.T) {
			db, c, p := openDB(t), newClock(), newLateFakePeer()
			p.most = 5
			s := newInstance(db, c, 0)
			w := NewWorker(s, p, WorkerConfig{DefaultMin: tt.defaultMin, DefaultMax: tt.defaultMax})
			ids := make(map[string]Request)
			for i, repl := range [][2]int{tt.first, tt.second} {
				n := newRequest(fmt.Sprint("t", i), 1)
				n.ReplMin, n.ReplMax = repl[0], repl[1]
				ids[n.Tenant] = create(t, s, n)
				c.add(time.Second)
				if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
					t.Fatal(err)
				}
			}
			if pin, _ := p.has(testCID(1)); fmt.Sprint(pin.ReplMin, pin.ReplMax) != tt.pin || p.pinned[testCID(1)] != tt.pinned {
				t.Errorf("%+v, pinned %d times", pin, p.pinned[testCID(1)])
			}
			for tenant, made := range ids {
				want := ""
				if made.ReplMin == 9 {
					want = tt.info
				}
				if r, err := s.Get(t.Context(), tenant, made.ID); err != nil || r.Status != Pinned || r.Info["replication"] != want {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
}

// TestDefaultCounts: a request for the default counts as one for so many beside others.
func TestDefaultCounts(t *testing.T) {
	db, c := openDB(t), newClock()
	s := newInstance(db, c, 0)
	for n, tt := range []struct {
		defaultMin, defaultMax int
		want                   string
	}{{2, 3, "2 5"}, {-1, -1, "-1 -1"}, {0, 0, "1 5"}} {
		r := newRequest("t1", n)
		create(t, s, r)
		r.ReplMin, r.ReplMax = 1, 5
		create(t, s, r)
		all, err := s.claims(t.Context(), testCID(n), &WorkerConfig{DefaultMin: tt.defaultMin, DefaultMax: tt.defaultMax})
		if got := fmt.Sprint(all.replMin, all.replMax); err != nil || got != tt.want {
			t.Errorf("%s, %v, want %s", got, err, tt.want)
		}
	}
}

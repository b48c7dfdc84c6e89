package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestSweep: each kind is counted, and nothing else is.
func TestSweep(t *testing.T) {
	now := time.Now()
	const recursive, direct = api.PinModeRecursive, api.PinModeDirect
	other := statetest.Peer("other")
	for name, tt := range map[string]struct {
		make func(w *world, c api.Cid)
		opts func(*Options)
		want Report
	}{
		"as it should be":         {make: func(w *world, c api.Cid) { w.row(c, state.PlacementPinned, recursive, old) }, want: Report{Desired: 1}},
		"without a row":           {make: func(w *world, c api.Cid) { w.pin(c, recursive, old) }, want: Report{Others: 1}}, // scrub finds it
		"lost":                    {make: func(w *world, c api.Cid) { delete(w.ipfs, c) }, want: Report{Desired: 1, Missing: 1, Unequal: 1}},
		"failed":                  {make: func(w *world, c api.Cid) { w.row(c, state.PlacementPinError, recursive, old); delete(w.ipfs, c) }, want: Report{Desired: 1, Missing: 1, Unequal: 1}},
		"the row has another rev": {make: func(w *world, c api.Cid) { w.revs[c] = revision(old.Add(time.Second)) }, want: Report{Desired: 1}},
		"direct and not recursive": {
			make: func(w *world, c api.Cid) { w.ipfs[c] = direct }, want: Report{Desired: 1, WrongMode: 1, Unequal: 1}},
		"recursive and not direct": {
			make: func(w *world, c api.Cid) { w.pin(c, direct, old) }, want: Report{Desired: 1, WrongMode: 1, Unequal: 1}},
		"removed":               {make: func(w *world, c api.Cid) { delete(w.pins, c) }, want: Report{Extra: 1, Unequal: 1}},
		"removed and forgotten": {make: func(w *world, c api.Cid) { delete(w.pins, c); delete(w.revs, c) }, want: Report{Extra: 1, Unequal: 1}},
		"removed and gone":      {make: func(w *world, c api.Cid) { delete(w.pins, c); delete(w.ipfs, c) }, want: Report{}},
		"given to another":      {make: func(w *world, c api.Cid) { w.pin(c, recursive, old, other) }, want: Report{Extra: 1, Unequal: 1}},
		"an unpin that failed": {
			make: func(w *world, c api.Cid) { delete(w.pins, c); w.row(c, state.PlacementUnpinError, recursive, old) }, want: Report{Extra: 1, Unequal: 1}},
		"an unpin that is refused by configuration": {
			make: func(w *world, c api.Cid) { delete(w.pins, c); w.row(c, state.PlacementUnpinError, recursive, old) },
			opts: func(o *Options) { o.KeepContent = true }, want: Report{Kept: 1, Unequal: 1}},
		"removed, and not asked for where unpins are refused": {make: func(w *world, c api.Cid) { delete(w.pins, c) },
			opts: func(o *Options) { o.KeepContent = true }, want: Report{Extra: 1, Unequal: 1}},
		"lost, where unpins are refused": {make: func(w *world, c api.Cid) { delete(w.ipfs, c); w.row(c, state.PlacementUnpinError, recursive, old) },
			opts: func(o *Options) { o.KeepContent = true }, want: Report{Desired: 1, Missing: 1, Unequal: 1}},
		"somebody else's recursive pin in place of our direct one": {
			make: func(w *world, c api.Cid) { delete(w.pins, c); w.row(c, state.PlacementPinned, direct, old) }, want: Report{Others: 1, Unequal: 1}},
		"a direct pin that was ours": {make: func(w *world, c api.Cid) {
			delete(w.pins, c)
			w.row(c, state.PlacementPinned, direct, old)
			w.ipfs[c] = direct
		}, want: Report{Extra: 1, Unequal: 1}},
		"somebody else's":                      {make: func(w *world, c api.Cid) { delete(w.pins, c); delete(w.rows, c) }, want: Report{Others: 1, Unequal: 1}},
		"somebody else's, and others' pin":     {make: func(w *world, c api.Cid) { w.pin(c, recursive, old, other); delete(w.rows, c) }, want: Report{Others: 1, Unequal: 1}},
		"changed a moment ago":                 {make: func(w *world, c api.Cid) { w.pin(c, direct, now.Add(-50*time.Second)) }, want: Report{InFlight: 1, Unequal: 1}},
		"changed a while ago":                  {make: func(w *world, c api.Cid) { w.pin(c, direct, now.Add(-70*time.Second)) }, want: Report{Desired: 1, WrongMode: 1, Unequal: 1}},
		"changed by a clock that is ahead":     {make: func(w *world, c api.Cid) { w.pin(c, direct, now.Add(50*time.Second)) }, want: Report{InFlight: 1, Unequal: 1}},
		"pinned a moment ago, and lost":        {make: func(w *world, c api.Cid) { w.row(c, state.PlacementPinned, recursive, now); delete(w.ipfs, c) }, want: Report{InFlight: 1}},
		"removed a moment ago":                 {make: func(w *world, c api.Cid) { delete(w.pins, c); w.revs[c] = revision(now) }, want: Report{InFlight: 1, Unequal: 1}},
		"queued":                               {make: func(w *world, c api.Cid) { w.row(c, state.PlacementQueued, recursive, old); delete(w.ipfs, c) }, want: Report{InFlight: 1}},
		"being unpinned":                       {make: func(w *world, c api.Cid) { delete(w.pins, c); w.row(c, state.PlacementUnpinning, recursive, old) }, want: Report{InFlight: 1, Unequal: 1}},
		"worked on":                            {make: func(w *world, c api.Cid) { delete(w.ipfs, c) }, opts: func(o *Options) { o.AtWork = func(api.Cid) bool { return true } }, want: Report{InFlight: 1}},
		"unreadable":                           {make: func(w *world, c api.Cid) { w.corrupt[c] = true }, want: Report{Unreadable: 1, Unequal: 1}},
		"listed twice":                         {make: func(w *world, c api.Cid) { w.twice = []api.Cid{c, c} }, want: Report{Desired: 1, Others: 2, Unequal: 1}},
		"one that others stand for":            {make: func(w *world, c api.Cid) { p := w.pins[c]; p.Type = api.MetaType; w.pins[c] = p }, want: Report{Extra: 1, Unequal: 1}},
		"what every peer holds, without a row": {make: func(w *world, c api.Cid) { everywhere(w, c); delete(w.rows, c) }, want: Report{Desired: 1}},
		"what every peer holds, lost":          {make: func(w *world, c api.Cid) { everywhere(w, c); delete(w.rows, c); delete(w.ipfs, c) }, want: Report{Desired: 1, Missing: 1, Unequal: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c := w.settled("a", recursive)
			if name == "without a row" {
				delete(w.rows, c)
				tt.want.Unequal = 1
			}
			tt.make(w, c)
			var found []Finding
			got := w.sweep(t, func(o *Options) {
				o.Found = func(f Finding) error { found = append(found, f); return nil }
				if tt.opts != nil {
					tt.opts(o)
				}
			})
			if got != tt.want {
				t.Errorf("%+v\nwant %+v", got, tt.want)
			}
			if int64(len(found)) != got.Drift() || len(found) > 0 && found[0].Cid != c {
				t.Errorf("it was told of %v", found)
			}
		})
	}
}

func everywhere(w *world, c api.Cid) {
	p := w.pins[c]
	p.Allocations, p.ReplicationFactorMin, p.ReplicationFactorMax = nil, -1, -1
	w.pins[c] = p
}

// TestSweepByHand: what a sweep counts is what a comparison of the sets counts, whatever is
// wrong; and it asks for no more pins than there are in the buckets that are not equal.
func TestSweepByHand(t *testing.T) {
	for seed := range uint64(10) {
		draw := rand.New(rand.NewPCG(seed, 7))
		w := newWorld()
		want := map[Kind][]api.Cid{}
		desired, others := int64(0), int64(0)
		differs := map[int]bool{}
		inBucket := map[int]int{}
		for i := range 2000 {
			label := fmt.Sprint(seed, "/", i)
			c := w.settled(label, api.PinMode(draw.IntN(2)))
			bucket := state.Bucket(c)
			inBucket[bucket]++
			desired++
			drifts := func(kind Kind) {
				want[kind] = append(want[kind], c)
				differs[bucket] = true
			}
			switch draw.IntN(200) {
			case 0:
				delete(w.ipfs, c)
				drifts(Missing)
			case 1:
				w.ipfs[c] = other(w.ipfs[c])
				drifts(WrongMode)
			case 2:
				delete(w.pins, c)
				desired--
				drifts(Extra)
			case 3:
				delete(w.pins, c)
				delete(w.rows, c)
				desired--
				others++
				inBucket[bucket]--
				differs[bucket] = true
			}
		}
		found := map[Kind][]api.Cid{}
		got := w.sweep(t, func(o *Options) {
			o.Found = func(f Finding) error { found[f.Kind] = append(found[f.Kind], f.Cid); return nil }
		})
		most := 0
		for bucket := range differs {
			most += 2*inBucket[bucket] + 2
		}
		if n := int64(len(want[Missing])); got.Desired != desired || got.Missing != n || got.Others != others || got.InFlight != 0 || got.Unequal != len(differs) {
			t.Fatalf("%+v: want %d desired, %d missing, %d others, %d buckets", got, desired, n, others, len(differs))
		}
		byPlace := func(a, b api.Cid) int { return state.PlaceOf(a).Compare(state.PlaceOf(b)) }
		for _, kind := range []Kind{Missing, Extra, WrongMode} {
			slices.SortFunc(want[kind], byPlace)
			if !slices.Equal(found[kind], want[kind]) {
				t.Fatalf("%s: %v, want %v", kind, found[kind], want[kind])
			}
		}
		if w.lists != 2 || w.questions > most {
			t.Errorf("IPFS was asked for %d lists and %d pins, at most %d are in the buckets that differ", w.lists, w.questions, most)
		}
	}
}

// TestWalks: buckets that differ and are side by side are listed together.
func TestWalks(t *testing.T) {
	w := newWorld()
	for i := 0; len(w.ipfs) < 5; i++ {
		if c := statetest.Cid(fmt.Sprint(i)); state.Bucket(c) >= 10 && state.Bucket(c) < 15 {
			w.ipfs[c] = api.PinModeDirect
		}
	}
	buckets := map[int]bool{}
	for c := range w.ipfs {
		buckets[state.Bucket(c)] = true
	}
	parts := 0
	for bucket := range buckets {
		if !buckets[bucket-1] {
			parts++
		}
	}
	got := w.sweep(t)
	if len(buckets) < 3 || got.Others != 5 || got.Unequal != len(buckets) || w.walks != 1+parts {
		t.Errorf("%+v after %d lists, want %d buckets in %d parts", got, w.walks, len(buckets), parts)
	}
}

// TestOthersOfABucket: what is in flight and not in IPFS yet takes no others away.
func TestOthersOfABucket(t *testing.T) {
	w := newWorld()
	for i, seen := 0, 0; seen < 4; i++ {
		c := statetest.Cid(fmt.Sprint(i))
		if state.Bucket(c) != 10 {
			continue
		}
		w.pin(c, api.PinModeRecursive, old)
		w.row(c, state.PlacementQueued, api.PinModeRecursive, old)
		if seen++; seen == 4 {
			w.row(c, state.PlacementPinned, api.PinModeRecursive, old)
		}
	}
	if got, want := w.sweep(t), (Report{Desired: 1, Missing: 1, InFlight: 3, Unequal: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestChangesMeanwhile: what changes while it is compared does not count.
func TestChangesMeanwhile(t *testing.T) {
	for name, change := range map[string]func(w *world, c api.Cid){
		"removed": func(w *world, c api.Cid) { delete(w.pins, c); w.revs[c] = revision(time.Now()) },
		"written": func(w *world, c api.Cid) { w.revs[c] = revision(old.Add(time.Second)) },
		"noted": func(w *world, c api.Cid) {
			w.row(c, state.PlacementPinError, api.PinModeRecursive, old.Add(time.Second))
		},
		"taken up":  func(w *world, c api.Cid) { w.row(c, state.PlacementQueued, api.PinModeRecursive, old) },
		"forgotten": func(w *world, c api.Cid) { delete(w.pins, c); delete(w.revs, c); delete(w.rows, c) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c := w.settled("a", api.PinModeRecursive)
			delete(w.ipfs, c)
			w.asked = func(c api.Cid) {
				w.mu.Lock()
				defer w.mu.Unlock()
				change(w, c)
			}
			if got := w.sweep(t); got.Drift() != 0 || got.InFlight != 1 || got.Desired != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestSweepFails: an error of IPFS or of the database, wherever it comes, leaves nothing
// that looks like a result.
func TestSweepFails(t *testing.T) {
	make := func() *world {
		w := newWorld()
		for i := range 300 {
			c := w.settled(fmt.Sprint(i), api.PinModeRecursive)
			if i%10 == 0 {
				delete(w.ipfs, c)
			}
		}
		return w
	}
	for _, what := range []string{"ls", "list", "pins", "ask", "row"} {
		failed := 0
		for after := 1; ; after += 1 + after/3 {
			w := make()
			w.failing[what] = after
			metrics := NewMetrics()
			before := gather(t, metrics)
			report, err := w.meter(func(o *Options) { o.Metrics = metrics }).Sweep(t.Context())
			if err == nil {
				if report.Missing != 30 {
					t.Errorf("%s: %+v", what, report)
				}
				break
			}
			failed++
			if report != (Report{}) {
				t.Errorf("%s, after %d: %+v and %v", what, after, report, err)
			}
			after := gather(t, metrics)
			if after["ipfscluster_drift_errors_total"] != 1 {
				t.Errorf("%s: %v errors were counted", what, after["ipfscluster_drift_errors_total"])
			}
			if got := after["ipfscluster_drift_sweep_progress"]; !math.IsNaN(got) {
				t.Errorf("%s: a sweep that failed has come to %v", what, got)
			}
			for _, name := range []string{"ipfscluster_drift_ratio", `ipfscluster_drift_pins{missing}`, "ipfscluster_drift_last_sweep_timestamp_seconds"} {
				if !same(after[name], before[name]) {
					t.Errorf("%s: %s is %v after an error", what, name, after[name])
				}
			}
		}
		if failed < 2 {
			t.Errorf("%s: it failed %d times", what, failed)
		}
	}
}

// TestConstantMemory: what a sweep keeps does not depend on the number of pins.
func TestConstantMemory(t *testing.T) {
	most := func(n int) uint64 {
		all := newMany(n, 1000)
		var base, peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&base)
		high, next := uint64(0), 0.0
		look := func() {
			runtime.GC()
			runtime.ReadMemStats(&peak)
			high = max(high, peak.HeapAlloc-min(base.HeapAlloc, peak.HeapAlloc))
		}
		m := New(Options{Store: all, Kubo: all, Hurry: true, Progress: func(p Progress) {
			if p.Listed == int64(n/2/tellEvery*tellEvery) && p.Done == 0 {
				look()
			}
			if p.Done >= next {
				next += 0.1
				look()
			}
		}})
		report, err := m.Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := int64((n + 999) / 1000); report.Desired != int64(n) || report.Missing != want {
			t.Fatalf("%+v, want %d missing", report, want)
		}
		runtime.KeepAlive(all)
		return high
	}
	few, lots := most(20_000), most(200_000)
	t.Logf("%d bytes with 20,000 pins, %d with 200,000", few, lots)
	if lots > few+few/2 || lots > 4<<20 {
		t.Errorf("it keeps %d bytes with 20,000 pins and %d with 200,000", few, lots)
	}
}

package scyllastate

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestMetricsFollowTheRules(t *testing.T) {
	own := NewMetrics()
	own.cql = nil // those of requests have tests of their own
	metrictest.Check(t, own, "ipfscluster_", map[string][]string{"operation": {"update", "replace", "write_if", "fence"}})
	var none *Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
	if values := metrictest.Values(t, NewMetrics()); len(values) == 0 {
		t.Error("there are no metrics")
	} else if _, there := values["cql_client_in_flight"]; !there {
		t.Error("those of requests are not among them")
	}
	cfg := &Config{Metrics: NewMetrics(), SlowQuery: time.Second, Trace: scylla.Tracing{AfterSlow: 3}}
	keep := cfg.Metrics
	must(t, cfg.LoadJSON([]byte("{}")))
	if cfg.Metrics != keep || cfg.SlowQuery != time.Second || cfg.Trace.AfterSlow != 3 {
		t.Error("loading the section drops what is measured")
	}
}

// TestMetricsOfWrites: each conditional write that somebody else was faster than counts as a
// conflict of its operation, and each pin that was written with how many it took.
func TestMetricsOfWrites(t *testing.T) {
	mem := newMemTables()
	s := newMemStore(mem)
	s.random = func(time.Duration) time.Duration { return 0 }
	s.metrics = NewMetrics()
	pin := held("a", statetest.Peer("holder"))
	other := 0 // how many times somebody else is faster
	mem.swapping = func(_ context.Context, w *write, apply func() (bool, row)) (bool, row, error) {
		if other > 0 {
			other--
			next, err := encodePin(pin)
			must(t, err)
			now, _ := mem.readPin(t.Context(), w.cid, gocql.Quorum)
			mem.put(&write{cid: w.cid, old: now, rev: nextRev(time.Now(), now.rev), next: next})
		}
		applied, now := apply()
		return applied, now, nil
	}
	before := metrictest.Values(t, s.metrics)
	const rounds = "ipfscluster_cas_rounds_count"
	conflicts := func(op operation) string { return `ipfscluster_cas_conflicts_total{operation="` + string(op) + `"}` }
	must(t, s.Add(t.Context(), pin))
	metrictest.WantMoved(t, s.metrics, before, map[string]float64{rounds: 1, "ipfscluster_cas_rounds_sum": 1})
	before, other = metrictest.Values(t, s.metrics), 2
	must(t, s.Add(t.Context(), pin))
	metrictest.WantMoved(t, s.metrics, before, map[string]float64{conflicts(byReplace): 2, rounds: 1, "ipfscluster_cas_rounds_sum": 3})
	before, other = metrictest.Values(t, s.metrics), 1
	must(t, s.Update(t.Context(), pin.Cid, func(current *api.Pin) (*api.Pin, error) { return current, nil }))
	metrictest.WantMoved(t, s.metrics, before, map[string]float64{conflicts(byUpdate): 1, rounds: 1, "ipfscluster_cas_rounds_sum": 2})
	_, rev, err := s.GetVersion(t.Context(), pin.Cid)
	must(t, err)
	before, other = metrictest.Values(t, s.metrics), 1
	if err := s.PutIf(t.Context(), pin, rev); !errors.Is(err, state.ErrChanged) {
		t.Errorf("PutIf returned %v", err)
	}
	metrictest.WantMoved(t, s.metrics, before, map[string]float64{conflicts(byWriteIf): 1})
	before = metrictest.Values(t, s.metrics)
	must(t, s.Tell(t.Context(), statetest.Peer("holder"), pin.Cid, statetest.Cid("b")))
	metrictest.WantMoved(t, s.metrics, before, map[string]float64{"ipfscluster_feed_repaired_total": 2})
}

// TestPinsOfOwnWrites: a pin that is made or removed changes the number of pins, one that is replaced
// or was not there does not.
func TestPinsOfOwnWrites(t *testing.T) {
	s := newMemStore(newMemTables())
	want := func(what string, n int64) {
		t.Helper()
		if got := s.pins.n.Load(); got != n {
			t.Errorf("%s: there are %d pins, want %d", what, got, n)
		}
	}
	a, b := held("a", statetest.Peer("holder")), held("b", statetest.Peer("holder"))
	must(t, errors.Join(s.Add(t.Context(), a), s.Add(t.Context(), b), s.Add(t.Context(), a)))
	want("two were made", 2)
	must(t, errors.Join(s.Rm(t.Context(), a.Cid), s.Rm(t.Context(), a.Cid), s.Rm(t.Context(), statetest.Cid("c"))))
	want("one was removed", 1)
	must(t, s.Add(t.Context(), a))
	want("it was made again", 2)
}

// TestEstimate: the number of pins on the whole ring follows from those on a part of it,
// wherever that begins.
func TestEstimate(t *testing.T) {
	const pins, sample = 100_000, pinsSample
	tokens := make([]int64, pins)
	for i := range tokens {
		tokens[i] = int64(rand.Uint64())
	}
	slices.Sort(tokens)
	for _, from := range []int64{0, math.MaxInt64 - 1, math.MaxInt64 / 2} {
		first, _ := slices.BinarySearch(tokens, from)
		last := tokens[(first+sample-1)%pins]
		if got := estimate(sample, from, last); math.Abs(float64(got-pins)) > pins/8 {
			t.Errorf("from %d on there are %d pins, want some %d", from, got, pins)
		}
	}
}

// TestMetricsOfTheFeed: changes count once, those that came late also as strays; what waits for
// its writer, or is not done, is seen while it is so.
func TestMetricsOfTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics()
		var done []func(error)
		r := newFeedRig(t, func(r *feedRig, ch state.Change) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			done = append(done, ch.Done)
			return state.ErrLater
		}, func(r *feedRig) {
			r.pins = make(map[string]row)
			r.store.metrics = m
			r.store.intents = newAppender(r.store)
		})
		m.reads(&feedReader{r.tail, r.d})
		values := func() map[string]float64 { synctest.Wait(); return metrictest.Values(t, m) }
		want := func(what string, names map[string]float64) {
			t.Helper()
			got := values()
			for name, n := range names {
				if got["ipfscluster_feed_"+name] != n {
					t.Errorf("%s: %s is %v, want %v", what, name, got["ipfscluster_feed_"+name], n)
				}
			}
		}
		time.Sleep(quietAfter / 2)
		want("nothing came", map[string]float64{"rows_total": 0, "strays_total": 0, "lag_rows": 0, "pending": 0})
		if lag := values()["ipfscluster_feed_lag_seconds"]; lag > 5 {
			t.Errorf("a peer that has read everything is %v s behind", lag)
		}
		for _, label := range []string{"a", "b", "c"} {
			r.write(ownName, label)
		}
		time.Sleep(5 * time.Second)
		r.writeAt(ownName, "late", time.Now().Add(-time.Second))
		r.write(ownName, "d")
		time.Sleep(time.Minute)
		want("five came, none is done", map[string]float64{"rows_total": 5, "lag_rows": 5, "pending": 0})
		if lag := values()["ipfscluster_feed_lag_seconds"]; lag < 60 || lag > 70 {
			t.Errorf("the oldest change is %v s old, want 65", lag)
		}
		r.mu.Lock()
		ended := slices.Clone(done)
		r.mu.Unlock()
		for _, f := range ended {
			f(nil)
		}
		want("all are done", map[string]float64{"rows_total": 5, "lag_rows": 0, "strays_total": 0})
		r.write(ownName, "e")
		time.Sleep(5 * time.Second)
		r.writeAt(ownName, "stray", time.Now().Add(-7*time.Second)) // it is before e
		time.Sleep(time.Minute)
		want("one came late", map[string]float64{"rows_total": 7, "strays_total": 1, "fenced_total": 0})

		// A change whose writer was stopped before it wrote.
		c := statetest.Cid("stopped")
		r.mu.Lock()
		at := newUUID(time.Now())
		r.rows[ownName] = append(r.rows[ownName], changeRow{at: at, cid: c.Bytes(), rev: at, kind: kindPin})
		r.mu.Unlock()
		time.Sleep(2 * time.Second)
		want("a writer has time", map[string]float64{"pending": 1, "rows_total": 8, "fenced_total": 0})
		time.Sleep(2 * time.Minute)
		want("its time is over", map[string]float64{"pending": 0, "fenced_total": 1})

		// The feed cannot be read.
		r.mu.Lock()
		r.fails = func(string, int64) bool { return true }
		for _, f := range done {
			go f(nil)
		}
		r.mu.Unlock()
		before := values()["ipfscluster_feed_lag_seconds"]
		time.Sleep(10 * time.Minute)
		if lag := values()["ipfscluster_feed_lag_seconds"]; lag < before+500 {
			t.Errorf("after ten minutes in which the feed could not be read the peer is %v s behind, and was %v", lag, before)
		}
	})
}

// TestMetricsOfOtherFeeds: those that this process reads for others, and those of events, are not counted.
func TestMetricsOfOtherFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics()
		before := metrictest.Values(t, m)
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil }, func(r *feedRig) {
			r.store.metrics = m
			r.feed.shared, r.feed.follows = nil, true
		})
		r.write(ownName, "a")
		time.Sleep(time.Minute)
		if len(r.calls("a")) != 1 {
			t.Error("the change was not handled")
		}
		metrictest.WantMoved(t, m, before, nil)
	})
}

// TestPinsAreCounted: a sample that is larger than the pinset counts all, a smaller one gives an
// estimate; markers of removed pins do not count.
func TestPinsAreCounted(t *testing.T) {
	conf := testConfig(t)
	conf.Metrics = NewMetrics()
	s := openStore(t, conf)
	waitFor(t, "the first count", func() bool { return metrictest.Values(t, s.metrics)["ipfscluster_pins_exact"] == 1 })
	if n := metrictest.Values(t, s.metrics)["ipfscluster_state_schema_version"]; n < 2 {
		t.Errorf("the schema has version %v", n)
	}
	const pins = 300
	for i := range pins {
		must(t, s.Add(t.Context(), held(string(rune('a'+i)), statetest.Peer("holder"))))
	}
	must(t, s.Rm(t.Context(), statetest.Cid("a")))
	if n := s.pins.n.Load(); n != pins-1 {
		t.Errorf("after the writes of this process there are %d pins", n)
	}
	for _, from := range []int64{0, math.MaxInt64 - 1, rand.Int64()} {
		s.pins.n.Store(0)
		exact, err := s.countPins(t.Context(), from, pinsSample)
		must(t, err)
		if n := s.pins.n.Load(); !exact || n != pins-1 {
			t.Errorf("from %d on %d pins were counted, all: %t", from, n, exact)
		}
	}
	exact, err := s.countPins(t.Context(), rand.Int64(), 100)
	must(t, err)
	if n := s.pins.n.Load(); exact || n < pins/2 || n > 2*pins || metrictest.Values(t, s.metrics)["ipfscluster_pins_exact"] != 0 {
		t.Errorf("a hundred of %d pins give %d, all: %t", pins-1, n, exact)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.countPins(ended, 0, 100); err == nil {
		t.Error("a count that was ended has succeeded")
	}
}

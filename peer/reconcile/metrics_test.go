package reconcile

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const movesOf = "ipfscluster_repin_moves_total"

func moves(result string) string { return movesOf + `{result="` + result + `"}` }

// counting has a Reconciler of alice count.
func (w *world) counting(m *Metrics, change ...func(*Options)) *Reconciler {
	return w.reconciler(alice, append(change, func(o *Options) { o.Counts = m })...)
}

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, NewMetrics(), "ipfscluster_", map[string][]string{
		"result": {"moved", "settled", "starved", "changed", "failed"},
		"what":   {"told", "stray", "moved", "bad_row", "suspect", "starved", "alone"},
		"of":     {"pinset", "held"},
	})
	var none *Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
}

// TestMetricsOfMoves: pins of a dead peer that are moved, cannot be taken, fail, or are
// changed by somebody else are counted as such; while nothing may be moved nothing is.
func TestMetricsOfMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.set(func() { w.idle = true })
		moved, starved, broken, changed := w.add(1, 1, 1, bob), w.add(2, 3, 3, bob, alice, carol), w.add(3, 1, 1, bob), w.add(4, 1, 1, bob)
		kept := w.add(5, 1, 2, alice, bob) // a dead peer keeps what enough others have
		w.store.fail = func(call string, c api.Cid) error {
			switch {
			case call != "PutIf":
			case c.Equals(broken):
				return errors.New("it is broken")
			case c.Equals(changed):
				return state.ErrChanged
			}
			return nil
		}
		m := NewMetrics()
		r := w.counting(m)
		before := metrictest.Values(t, m)
		move := func(c api.Cid) { _, _ = r.moveAway(t.Context(), r.metrics(t.Context()), bob, c) }
		move(moved)
		metrictest.WantMoved(t, m, before, nil) // bob is alive
		w.die(bob)
		w.set(func() { w.repin = false })
		move(moved)
		metrictest.WantMoved(t, m, before, nil) // nothing may be moved
		w.set(func() { w.repin = true })
		for _, c := range []api.Cid{moved, starved, broken, changed, kept} {
			move(c)
		}
		metrictest.WantMoved(t, m, before, map[string]float64{
			moves("moved"): 1, moves("starved"): 1, moves("failed"): 1, moves("changed"): 1,
		})
		w.wantHolders(moved, alice, bob)
	})
}

// TestMetricsOfEndedMoves: a move is settled once, by whoever finds that enough others have
// the content.
func TestMetricsOfEndedMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.set(func() { w.idle = true })
		c := w.add(1, 1, 1, alice, bob)
		m := NewMetrics()
		r := w.counting(m)
		before := metrictest.Values(t, m)
		_, rev, err := w.store.GetVersion(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		w.store.hold(alice, c, state.PlacementPinned)
		r.Confirmed(t.Context(), *w.store.pin(c), rev)
		for range 2 {
			if err := r.endMoves(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		metrictest.WantMoved(t, m, before, map[string]float64{moves("settled"): 1})
	})
}

// TestMetricsOfARepin: the buckets of a dead peer are left until they are done, and the stop
// rule is seen.
func TestMetricsOfARepin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		for _, p := range []peer.ID{bob, carol, dave} { // so that all is the work of alice
			w.member(p, func(m *membership.Peer) { m.Role = membership.RoleFollower })
		}
		for n := range 40 {
			w.add(n, 1, 1, bob)
		}
		impossible := w.add(100, 3, 3, alice, bob, carol)
		w.set(func() { w.noMetric[dave] = true })
		used := len(w.store.buckets(bob))
		m := NewMetrics()
		r := w.counting(m)
		var mu sync.Mutex
		var running, left []float64
		w.onAllocate = func(api.Cid) {
			got := metrictest.Values(t, m)
			mu.Lock()
			defer mu.Unlock()
			running, left = append(running, got["ipfscluster_repin_running"]), append(left, got["ipfscluster_repin_left_buckets"])
		}
		l := newRepin(r)
		w.remove(bob)
		pass(10 * time.Minute) // long enough to have stopped
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(running) == 0 || running[0] != 1 || left[0] != float64(used) {
			t.Errorf("while it ran the gauges were %v and %v, want 1 and %d", running, left, used)
		}
		got := metrictest.Values(t, m)
		if got["ipfscluster_repin_running"] != 0 || got["ipfscluster_repin_left_buckets"] >= float64(used) {
			t.Errorf("after the pass the gauges are %v and %v", got["ipfscluster_repin_running"], got["ipfscluster_repin_left_buckets"])
		}
		if starved := got[moves("starved")]; starved != 1 || got["ipfscluster_repin_left_buckets"] != 1 {
			t.Errorf("%v pins are starved, in %v buckets", starved, got["ipfscluster_repin_left_buckets"])
		}
		w.wantHolders(impossible, alice, bob, carol)
		if got["ipfscluster_repin_stopped"] != 0 {
			t.Error("the stop rule is said to hold")
		}
		w.die(carol, dave)
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if metrictest.Values(t, m)["ipfscluster_repin_stopped"] != 1 {
			t.Error("two of three peers are dead, and the stop rule is not said to hold")
		}
		w.revive(carol)
		w.revive(dave)
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if metrictest.Values(t, m)["ipfscluster_repin_stopped"] != 0 {
			t.Error("the peers are back, and the stop rule is said to hold")
		}
	})
}

// TestMetricsOfAHandOver: what a peer that leaves still has, and what it has handed over.
func TestMetricsOfAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.set(func() { w.idle = true })
		given, starved := w.add(1, 1, 1, alice), w.add(2, 2, 2, alice, bob)
		w.add(3, 1, 1, bob)
		m := NewMetrics()
		d := newDrain(w.counting(m))
		before := metrictest.Values(t, m)
		step := func(want map[string]float64) {
			t.Helper()
			if err := d.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			metrictest.WantMoved(t, m, before, want)
		}
		step(nil)
		w.member(alice, func(p *membership.Peer) { p.Leaving = true })
		const left, nobody, over = "ipfscluster_handover_left_pins", "ipfscluster_handover_starved_pins", "ipfscluster_handover_moves_total"
		step(map[string]float64{left: 2, nobody: 1})
		w.store.hold(bob, given, state.PlacementPinned)
		step(map[string]float64{left: 1, nobody: 1, over: 1})
		w.wantHolders(given, bob)
		w.wantHolders(starved, alice, bob)
		w.member(alice, func(p *membership.Peer) { p.Leaving = false })
		step(map[string]float64{over: 1})
	})
}

// TestMetricsOfExpiry: a pin that was removed counts once, with how late it was.
func TestMetricsOfExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		m := NewMetrics()
		before := metrictest.Values(t, m)
		start := time.Now()
		late, later := w.addExpiring(1, start.Add(-20*time.Minute)), w.addExpiring(2, start.Add(time.Hour))
		gone := w.addExpiring(3, start.Add(10*time.Minute))
		r := w.counting(m)
		for _, c := range []api.Cid{late, late, later} {
			if _, err := r.expire(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		seconds := start.Sub(start.Add(-20 * time.Minute).Truncate(time.Second)).Seconds()
		metrictest.WantMoved(t, m, before, map[string]float64{
			"ipfscluster_expiry_removed_total": 1, "ipfscluster_expiry_lateness_seconds_count": 1, "ipfscluster_expiry_lateness_seconds_sum": seconds,
		})
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "DeleteIf" {
				return errors.New("it is broken")
			}
			return nil
		}
		pass(time.Hour)
		if _, err := r.expire(t.Context(), gone); err == nil {
			t.Fatal("a pin was removed from a broken store")
		}
		if got := metrictest.Values(t, m)["ipfscluster_expiry_removed_total"]; got != 1 {
			t.Errorf("%v pins are said to be removed", got)
		}
	})
}

// TestMetricsOfAScrub: what it repairs and finds, and how far it is.
func TestMetricsOfAScrub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		m := NewMetrics()
		before := metrictest.Values(t, m)
		forgotten := w.addUnheld(1, 1, 1, bob)
		w.add(2, 1, 1, alice)
		pass(scrubAge + time.Second)
		r := w.counting(m, func(o *Options) { o.ScrubEvery = 24 * time.Hour })
		if _, err := r.ScrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		metrictest.WantMoved(t, m, before, map[string]float64{
			"ipfscluster_scrub_pins_total": 2, `ipfscluster_scrub_repairs_total{what="told"}`: 1,
		})
		if told := w.store.toldOf(forgotten); len(told) != 1 || told[0] != bob {
			t.Errorf("told %v", told)
		}
		before = metrictest.Values(t, m)
		w.set(func() { w.members = map[peer.ID]membership.Peer{alice: w.members[alice]} })
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "ScanFrom" {
				return errors.New("it is broken")
			}
			return nil
		}
		stop := w.start(r)
		pass(5 * time.Minute)
		stop()
		got := metrictest.Moved(t, m, before)
		if part := got[`ipfscluster_scrub_progress{of="held"}`]; part <= 0 || part > 1 || got[`ipfscluster_scrub_failures_total{of="held"}`] != 0 {
			t.Errorf("of what the peers hold these have moved: %v", got)
		}
		if got[`ipfscluster_scrub_progress{of="pinset"}`] != 0 || got[`ipfscluster_scrub_failures_total{of="pinset"}`] == 0 {
			t.Errorf("of the pinset, which cannot be read, these have moved: %v", got)
		}
	})
}

// TestMetricsOfRounds: a part that is done moves the progress, one that fails counts, one that
// was ended does neither.
func TestMetricsOfRounds(t *testing.T) {
	m := NewMetrics()
	before := metrictest.Values(t, m)
	var err error
	do := m.round(ofHeld, 4, func(context.Context, int) error { return err })
	_ = do(t.Context(), 2)
	err = errors.New("it is broken")
	_ = do(t.Context(), 3)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = do(ended, 3)
	metrictest.WantMoved(t, m, before, map[string]float64{
		`ipfscluster_scrub_progress{of="held"}`: 0.75, `ipfscluster_scrub_failures_total{of="held"}`: 1,
	})
}

package reconcile

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

func TestWhoHoldsAPin(t *testing.T) {
	w := newWorld(t, alice, bob, carol, dave)
	w.member(bob, func(m *membership.Peer) { m.Live, m.DeadSince = false, time.Now() })
	w.member(carol, func(m *membership.Peer) { m.Role = membership.RoleAPI })
	w.remove(dave)
	view := w.view(alice)
	pin := func(kind api.PinType, factor int, allocations ...peer.ID) api.Pin {
		p := api.PinWithOpts(testCid(t, 1), api.PinOptions{ReplicationFactorMin: factor, ReplicationFactorMax: factor})
		p.Type, p.Allocations = kind, allocations
		return p
	}
	for name, c := range map[string]struct {
		pin             api.Pin
		must            []peer.ID
		bobMay, erinMay bool
	}{
		"allocated":  {pin(api.DataType, 3, alice, bob, dave, "stranger"), []peer.ID{alice, bob}, true, false},
		"everywhere": {pin(api.DataType, -1), []peer.ID{alice}, true, true},
		"meta":       {pin(api.MetaType, -1), nil, true, true},
		"meta, once": {pin(api.MetaType, 1), nil, true, true},
		"shard":      {pin(api.ShardType, 1, alice), []peer.ID{alice}, false, false},
	} {
		if got := mustHold(c.pin, view); !slices.Equal(got, c.must) {
			t.Errorf("%s: must be held by %q, want %q", name, got, c.must)
		}
		if mayHold(&c.pin, bob) != c.bobMay || mayHold(&c.pin, erin) != c.erinMay {
			t.Errorf("%s: wrong about who may hold it", name)
		}
	}
	for name, c := range map[string]struct {
		pin  api.Pin
		want bool
	}{
		"allocated":       {pin(api.DataType, 1, bob, alice), true},
		"not allocated":   {pin(api.DataType, 1, bob), false},
		"everywhere":      {pin(api.DataType, -1, alice), false},
		"meta":            {pin(api.MetaType, 1, alice), false},
		"cluster DAG pin": {pin(api.ClusterDAGType, 1, alice), true},
	} {
		if got := allocatedTo(c.pin, alice); got != c.want {
			t.Errorf("%s: allocated %v", name, got)
		}
	}
	if mayHold(nil, alice) {
		t.Error("a removed pin may be held")
	}
}

// metricsOf gives each peer the named metrics.
func metricsOf(peers map[peer.ID][]string) peerMetrics {
	set := api.MetricsSet{"disk": nil, "tag": nil}
	for p, names := range peers {
		for _, n := range names {
			set[n] = append(set[n], api.Metric{Name: n, Peer: p, Valid: true})
		}
	}
	return byPeer(set)
}

func TestClassify(t *testing.T) {
	both := []string{"disk", "tag"}
	pin := api.Pin{Cid: testCid(t, 1), Allocations: []peer.ID{dave, alice, bob}}
	c := classify(metricsOf(map[peer.ID][]string{
		alice: both, bob: {"disk"}, carol: both, dave: both, erin: both, "frank": {"tag"}, "grace": both,
	}), pin, func(p peer.ID, allocated bool) bool {
		if allocated != slices.Contains(pin.Allocations, p) {
			t.Errorf("%s: allocated %v", p, allocated)
		}
		return p != "grace"
	})
	if want := []peer.ID{dave, alice, bob}; !slices.Equal(c.holders, want) {
		t.Errorf("holders %q, want %q: bob lacks a metric and has the pin", c.holders, want)
	}
	if c.available != 2 {
		t.Errorf("%d are available, want carol and erin", c.available)
	}
	for name, set := range map[string]struct {
		got  metricsSet
		want []peer.ID
	}{
		"current": {c.current, []peer.ID{alice, dave}}, "candidates": {c.candidates, []peer.ID{carol, erin}},
	} {
		for _, metric := range both {
			var got []peer.ID
			for _, m := range set.got[metric] {
				if m.Peer != bob { // has one of them
					got = append(got, m.Peer)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, set.want) {
				t.Errorf("%s have %s of %q, want of %q", name, metric, got, set.want)
			}
		}
	}
}

// TestFill has the outcomes of upstream's obtainAllocations, except that nothing
// is taken from those who have it.
func TestFill(t *testing.T) {
	everybody := []peer.ID{alice, bob, carol, dave, erin}
	for _, c := range []struct {
		name       string
		rmin, rmax int
		holders    []peer.ID
		candidates []peer.ID
		want       []peer.ID // nil: leave it
		starved    bool
	}{
		{"enough", 1, 3, []peer.ID{alice}, []peer.ID{carol}, nil, false},
		{"exactly enough", 2, 2, []peer.ID{alice, bob}, []peer.ID{carol}, nil, false},
		{"more than the maximum", 1, 1, []peer.ID{alice, bob}, []peer.ID{carol}, nil, false},
		{"one too few", 2, 2, []peer.ID{alice}, []peer.ID{carol, dave}, []peer.ID{alice, carol}, false},
		{"up to the maximum", 2, 4, []peer.ID{alice}, []peer.ID{bob, carol, dave, erin}, []peer.ID{alice, bob, carol, dave}, false},
		{"as many as there are", 2, 4, []peer.ID{alice}, []peer.ID{carol}, []peer.ID{alice, carol}, false},
		{"nobody left", 1, 2, nil, []peer.ID{carol, dave}, []peer.ID{carol, dave}, false},
		{"too few candidates", 3, 3, []peer.ID{alice}, []peer.ID{carol}, nil, true},
		{"vetoed candidates", 2, 2, []peer.ID{alice}, []peer.ID{"mallory"}, nil, true},
		{"no candidates", 1, 1, nil, nil, nil, true},
		{"everywhere", -1, -1, nil, everybody, nil, false},
	} {
		names := map[peer.ID][]string{}
		for _, p := range append(slices.Clone(c.holders), c.candidates...) {
			names[p] = []string{"disk", "tag"}
		}
		pin := api.PinWithOpts(testCid(t, 1), api.PinOptions{ReplicationFactorMin: c.rmin, ReplicationFactorMax: c.rmax})
		pin.Allocations = c.holders
		cl := classify(metricsOf(names), pin, func(peer.ID, bool) bool { return true })
		got, err := fill(t.Context(), newWorld(t), pin, cl)
		if !slices.Equal(got, c.want) || errors.Is(err, errNoCandidates) != c.starved || !c.starved && err != nil {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// TestWhoMayBeGivenAPin goes through moveAway: bob is dead and had the pin.
func TestWhoMayBeGivenAPin(t *testing.T) {
	trusted := func(o *Options, only, not bool) {
		o.OnlyTrusted, o.OnlyUntrusted = only, not
		o.Trusted = trustOnly(carol, alice)
	}
	for name, c := range map[string]struct {
		rmin, rmax int
		holders    []peer.ID
		change     func(*world, *Options)
		want       []peer.ID
	}{
		"everybody":      {1, 5, []peer.ID{bob}, func(*world, *Options) {}, []peer.ID{alice, carol, dave, erin}},
		"no metric":      {1, 5, []peer.ID{bob}, func(w *world, _ *Options) { w.noMetric[alice] = true }, []peer.ID{carol, dave, erin}},
		"holder without": {2, 2, []peer.ID{bob, alice}, func(w *world, _ *Options) { w.noMetric[alice] = true }, []peer.ID{alice, carol}},
		"role api": {1, 5, []peer.ID{bob}, func(w *world, _ *Options) {
			w.member(alice, func(m *membership.Peer) { m.Role = membership.RoleAPI })
		}, []peer.ID{carol, dave, erin}},
		"leaving": {1, 5, []peer.ID{bob}, func(w *world, _ *Options) {
			w.member(alice, func(m *membership.Peer) { m.Leaving = true })
		}, []peer.ID{carol, dave, erin}},
		"leaving holder stays": {2, 2, []peer.ID{bob, alice}, func(w *world, _ *Options) {
			w.member(alice, func(m *membership.Peer) { m.Leaving = true })
		}, []peer.ID{alice, carol}},
		"other dead holder goes": {2, 2, []peer.ID{bob, alice}, func(w *world, _ *Options) {
			w.die(alice)
		}, []peer.ID{carol, dave}},
		"trusted":   {1, 5, []peer.ID{bob}, func(_ *world, o *Options) { trusted(o, true, false) }, []peer.ID{alice, carol}},
		"untrusted": {1, 5, []peer.ID{bob}, func(_ *world, o *Options) { trusted(o, false, true) }, []peer.ID{dave, erin}},
		"either":    {1, 5, []peer.ID{bob}, func(_ *world, o *Options) { trusted(o, false, false) }, []peer.ID{alice, carol, dave, erin}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol, dave, erin)
				w.idle = true
				id := w.add(1, c.rmin, c.rmax, c.holders...)
				w.die(bob)
				r := w.reconciler(dave, func(o *Options) { c.change(w, o) })
				if moved, err := r.moveAway(t.Context(), r.metrics(t.Context()), bob, id); err != nil || !moved.changed {
					t.Fatalf("moved %v, %v", moved, err)
				}
				want := slices.Concat(c.want, c.holders) // who is gone stays until others have it
				slices.Sort(want)
				w.wantHolders(id, slices.Compact(want)...)
			})
		})
	}
}

package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// openedEvents is a gateway of which nothing but the events is open.
func openedEvents(t *testing.T, urls []string) *Gateway {
	t.Helper()
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{config: config.Config{Name: "test", Events: config.Events{URLs: urls, Cluster: "the cluster"}}, metrics: m, stop: func() {}}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := g.openEvents(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestClaimsAreTold: each fact is told as its event, through NATS, and nobody is told without.
func TestClaimsAreTold(t *testing.T) {
	if g := openedEvents(t, nil); g.claims() != nil || g.events != nil {
		t.Error("without NATS somebody is told")
	}
	cluster := natstest.Start(t, 1)
	g := openedEvents(t, cluster.URLs())
	g.events.prepare(t.Context())
	b, err := bus.Connect(bus.Config{URLs: cluster.URLs(), Cluster: "the cluster"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()
	begun := time.UnixMilli(1_700_000_000_000).UTC()
	all := pins.Claim{
		Tenant: "acme", ID: "r1", CID: "c1", Name: "n", Created: begun, Pinned: begun.Add(time.Second), Removed: begun.Add(time.Hour), ReplMax: -1, Size: 7,
	}
	var facts []pins.Claim
	for f := pins.FactAccepted; f <= pins.FactEnded; f++ {
		all.Fact = f
		facts = append(facts, all)
	}
	if err := g.claims().Tell(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	c, err := claims.New(claims.Options{Bus: b, Name: "test", Handler: func(_ context.Context, batch []claims.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range batch {
			if d.Err != nil || d.Event.Source != events.Source("the cluster") {
				t.Errorf("%s: %v", d.Data, d.Err)
				continue
			}
			e := d.Event.Claim
			got = append(got, fmt.Sprint(d.Event.Type.Kind(), " ", e.Owner, e.RequestID, e.Cid, e.Name, e.Replicas, " ", e.Size, !e.Pinned.IsZero(), !e.Removed.IsZero()))
		}
		if len(got) >= 4 {
			cancel()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Run(ctx) // it ends by cancel
	slices.Sort(got)
	want := "claim.added acmer1c1n-1 0 false false, claim.pinned acmer1c1n-1 0 true false, claim.removed acmer1c1n-1 7 true true, claim.sized acmer1c1n-1 7 true false"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
	counted := make(map[string]float64)
	families, err := g.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		one := family.GetMetric()[0]
		counted[family.GetName()] = one.GetCounter().GetValue() + one.GetGauge().GetValue()
	}
	if counted["ipfscluster_events_claims_published_total"] != 4 || counted["ipfscluster_events_connected"] != 1 {
		t.Errorf("counted %v", counted)
	}
	cluster.Kill(0)
	if err := g.claims().Tell(t.Context(), facts); err == nil {
		t.Error("told without a server")
	}
}

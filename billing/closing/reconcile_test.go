package closing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// source is a gateway that has claims.
type source struct {
	all map[string][]events.ClaimData
	err error // after all claims of an owner
}

func (s *source) Owners(_ context.Context, f func(string) error) error {
	for owner := range s.all {
		if err := f(owner); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) Claims(_ context.Context, owner string, since time.Time, f func(events.ClaimData) error) error {
	for _, d := range s.all[owner] {
		if !d.Removed.IsZero() && d.Removed.Before(since) {
			continue
		}
		if err := f(d); err != nil {
			return err
		}
	}
	return s.err
}

func policy() claim.Policy {
	return claim.Policy{Start: claim.StartAccepted, Replicas: claim.ReplicasRequested, DefaultReplicas: 2, AllReplicas: 5}
}

func deliveries(t *testing.T, all ...events.ClaimData) []claims.Delivery {
	t.Helper()
	var out []claims.Delivery
	for _, d := range all {
		e := events.ClaimEvent("gateway", d.Latest(), d)
		data, err := e.Encode()
		must(t, err)
		out = append(out, claims.Delivery{Event: e, Data: data, Delivered: 1, Stored: time.Now()})
	}
	return out
}

// What billing lacks, or has otherwise, or has and the gateway does not is told; a repair counts what is
// missing by the way that events go, and then nothing is wrong that it can mend.
func TestReconcile(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-billing): it compares every partition of some owners for a minute")
	}
	db := openDB(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	w := newWorld(t, db, 1)
	w.clock.ms.Store(now.UnixMilli())
	alice, bob, carol := w.owner(0, "alice"), w.owner(0, "bob"), w.owner(0, "carol")
	begin := now.Add(-40 * 24 * time.Hour)
	yesterday := usage.DayOf(now.UnixMilli()) - 1
	in, err := ingest.New(ingest.Options{Store: w.store, Policy: policy()})
	must(t, err)
	claimed := func(owner, request string, ago time.Duration) events.ClaimData {
		d := events.ClaimData{Cid: "cid-" + request, Owner: owner, RequestID: request, Accepted: now.Add(-ago), Replicas: 3}
		d.Pinned, d.Size = d.Accepted.Add(time.Second), 1000
		return d
	}
	const day = 24 * time.Hour
	same, sizedByPeer, gone, ended := claimed(alice, "same", 5*day), claimed(alice, "peer", 5*day), claimed(alice, "gone", 5*day), claimed(alice, "ended", 38*day)
	ended.Removed = now.Add(-36 * day)
	lacking, behind, different, live, recent, strange := claimed(bob, "lacking", 5*day), claimed(bob, "behind", 5*day), claimed(bob, "different", 5*day), claimed(bob, "live", 5*day), claimed(bob, "recent", time.Minute), claimed(bob, "strange", 5*day)
	told := []events.ClaimData{same, sizedByPeer, gone, ended, live}
	b := behind
	b.Size, b.Pinned = 0, time.Time{}
	d := different
	d.Replicas = 2
	l := live
	l.Removed = now.Add(-2 * day)
	told = append(told, b, d, l)
	behind.Removed = now.Add(-3 * day)
	sizedByPeer.Size = 0
	strange.Size = -1
	moving := claimed(carol, "moving", 5*day) // is among both
	told = append(told, moving)
	moved := moving
	moved.Removed = now.Add(-time.Second)
	must(t, in.Claims(t.Context(), deliveries(t, told...)))
	gateway := &source{all: map[string][]events.ClaimData{
		alice: {same, sizedByPeer}, bob: {lacking, behind, different, live, recent, strange}, carol: {moving, moved},
	}}
	c := w.closer(func(o *Options) { o.First = begin })
	w.pass(c)
	if last, err := c.Last(t.Context()); err != nil || last < yesterday-1 {
		t.Fatalf("closed until %d, %v", last-yesterday, err)
	}
	metrics := NewMetrics()
	r := Reconciling{Store: w.store, Source: gateway, Policy: policy(), First: begin, Metrics: metrics, Now: w.clock.now}
	compare := func() Report {
		t.Helper()
		got, err := Reconcile(t.Context(), r)
		must(t, err)
		slices.SortFunc(got.Examples, func(a, b Example) int { return strings.Compare(a.RequestID, b.RequestID) })
		return got
	}
	is := func(what string, got Report, want ...string) {
		t.Helper()
		var said []string
		for _, e := range got.Examples {
			said = append(said, fmt.Sprintf("%s %s: %s", e.RequestID, e.Kind, e.Detail))
		}
		slices.Sort(want)
		if len(said) != len(want) {
			t.Fatalf("%s: %q\nwant %q", what, said, want)
		}
		for i := range said {
			if !strings.HasPrefix(said[i], want[i]) {
				t.Errorf("%s: %q, want %q", what, said[i], want[i])
			}
		}
	}
	got := compare()
	is("at first", got, "lacking lacking: accepted", "behind behind: billing does not know of pinned and size and removed", "different different: they differ in terms",
		"live different: they differ in removed", "gone extra: it has not ended", "strange refused")
	// alice: gone is 3000 bytes and a pin too much. bob: lacking, and live that was ended, are 3000
	// bytes and a pin too few each; of behind the pin is too much; different has 1000 bytes too few.
	if got.Owners != 3 || got.Claims != 9 || got.DriftBytes.Int64() != 3000+7000 || got.DriftPins.Int64() != 1+1 || len(got.Drifting) != 2 || got.Repaired != 0 {
		t.Errorf("%d owners, %d claims, drift %s and %s: %+v", got.Owners, got.Claims, got.DriftBytes, got.DriftPins, got.Drifting)
	}
	r.Repair = in
	if got := compare(); got.Repaired != 2 {
		t.Errorf("%d repaired", got.Repaired)
	}
	w.pass(c) // what was late
	got = compare()
	is("when it is repaired", got, "different different", "live different", "gone extra", "strange refused")
	if got.DriftBytes.Int64() != 3000+4000 || got.DriftPins.Int64() != 2 {
		t.Errorf("drift %s and %s: %+v", got.DriftBytes, got.DriftPins, got.Drifting)
	}
	if m := valuesOf(t, metrics); m[`pin_billing_drift{of="bytes"}`] != 7000 || m[`pin_billing_reconcile_claims{what="different"}`] != 2 ||
		m[`pin_billing_reconcile_claims{what="lacking"}`] != 0 || m["pin_billing_repaired_claims_total"] != 2 || m["pin_billing_reconciled_timestamp_seconds"] != float64(now.Unix()) {
		t.Errorf("%v", m)
	}
	delete(gateway.all, carol)
	got = compare()
	is("when an owner is not known", got, "different different", "live different", "gone extra", "moving extra: it has not ended", "strange refused")
	if got.Owners != 3 || got.DriftBytes.Int64() != 3000+4000+3000 {
		t.Errorf("%d owners, drift %s", got.Owners, got.DriftBytes)
	}
	gateway.err = errors.New("cut off")
	if _, err := Reconcile(t.Context(), r); !errors.Is(err, gateway.err) {
		t.Errorf("a part was taken for the whole: %v", err)
	}
	gateway.err = nil
	gateway.all[alice][0].Owner = bob
	if _, err := Reconcile(t.Context(), r); err == nil {
		t.Error("claims of another owner were compared")
	}
}

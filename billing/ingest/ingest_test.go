package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
)

func TestNew(t *testing.T) {
	if _, err := New(Options{Policy: policy()}); err == nil {
		t.Error("without a store")
	}
	if _, err := New(Options{Store: &ledger.Store{}}); err == nil || !strings.Contains(err.Error(), "policy") {
		t.Errorf("without a policy: %v", err)
	}
}

// What cannot be counted is put aside, with what is good in the batch counted, and does not keep
// the batch from being acknowledged.
func TestPutAside(t *testing.T) {
	in := instance(t, openDB(t), policy())
	good := claimed("alice", "good", time.Hour)
	with := func(change func(*events.ClaimData)) claims.Delivery {
		d := claimed("alice", "bad", time.Hour)
		change(&d)
		return told(d, events.ClaimAdded)[0]
	}
	unknown := claims.Delivery{Err: fmt.Errorf("a type: %w", events.ErrUnknown), Data: []byte("{}"), Stored: now}
	malformed := claims.Delivery{Err: fmt.Errorf("no JSON: %w", events.ErrMalformed), Data: []byte{0, 1, 2}, Stored: now}
	noClaim := delivery(events.Event{Source: "s", Type: events.PeerCame, Peer: &events.PeerData{Peer: "p", At: good.At}})
	noClaim.Event, noClaim.Err = events.Event{Type: events.PeerCame}, nil
	bad := map[string]claims.Delivery{
		"unknown": unknown, "malformed": malformed, "unknown ": noClaim,
		"owner":    with(func(d *events.ClaimData) { d.Owner = claim.Suspense }),
		"owner ":   with(func(d *events.ClaimData) { d.Owner = strings.Repeat("x", 600) }),
		"replicas": with(func(d *events.ClaimData) { d.Replicas = -2 }),
		"future":   with(func(d *events.ClaimData) { d.Accepted = now.Add(claim.Ahead + time.Second) }),
		"old":      with(func(d *events.ClaimData) { d.Accepted = now.Add(-61 * 24 * time.Hour) }),
	}
	before := metrictest.Values(t, in.metrics)
	batch := told(good, events.ClaimAdded)
	want := make(map[string]float64)
	for why, d := range bad {
		batch = append(batch, d)
		want[`billing_ingest_quarantined_total{reason="`+strings.TrimSpace(why)+`"}`]++
	}
	handle(t, in, batch...)
	want["billing_ingest_events_total"], want["billing_ingest_facts_total"] = float64(len(batch)), 1
	metrictest.WantMoved(t, in.metrics, before, want)
	aside := asideOf(t, in)
	if len(aside) != len(bad) {
		t.Errorf("put aside are\n%s", strings.Join(aside, "\n"))
	}
	for why := range bad {
		if why = strings.TrimSpace(why) + ": "; !strings.Contains("\n"+strings.Join(aside, "\n"), "\n"+why) {
			t.Errorf("not put aside is %s", why)
		}
	}
	if got := kindsOn(t, in, "alice", dayOf(now)); got != "start" {
		t.Errorf("counted is %q", got)
	}
}

// Of a claim that is too old nothing is counted, and of one that was counted when it was new its
// end is.
func TestOld(t *testing.T) {
	db := openDB(t)
	in := instance(t, db, policy())
	d := claimed("alice", "known", 100*24*time.Hour)
	long := policy()
	long.Window = 0
	handle(t, instance(t, db, long), told(d, events.ClaimAdded)...) // in time, then
	unknown := claimed("alice", "unknown", 100*24*time.Hour)
	unknown.Removed, d.Removed = now, now
	handle(t, in, append(told(d, events.ClaimRemoved), told(unknown, events.ClaimRemoved)...)...)
	if got := factsOn(t, in, "alice", dayOf(now)); len(got) != 1 || !strings.Contains(got[0], "stop") || !strings.Contains(got[0], " known ") {
		t.Errorf("counted is %q", got)
	}
	if got := asideOf(t, in); len(got) != 1 || !strings.HasPrefix(got[0], "old: ") {
		t.Errorf("put aside is %q", got)
	}
}

// Without an owner a claim is counted for nobody, and is not mixed up with anybody's.
func TestSuspense(t *testing.T) {
	in := instance(t, openDB(t), policy())
	d := claimed("", "r", time.Hour)
	before := metrictest.Values(t, in.metrics)
	handle(t, in, told(d, events.ClaimAdded)...)
	d.Removed = now
	handle(t, in, told(d, events.ClaimRemoved)...)
	if got := kindsOn(t, in, claim.Suspense, dayOf(now)); got != "start stop" {
		t.Errorf("counted is %q", got)
	}
	metrictest.WantMoved(t, in.metrics, before, map[string]float64{
		"billing_ingest_events_total": 2, "billing_ingest_facts_total": 2, "billing_ingest_suspense_total": 2, "billing_ingest_unsized_total": 1,
	})
}

// A failure of the database is one of the batch.
func TestFailure(t *testing.T) {
	db := openDB(t)
	in := instance(t, &dying{DB: db}, policy())
	if err := in.Claims(t.Context(), told(claimed("alice", "r", 0), events.ClaimAdded)); !errors.Is(err, errCrash) {
		t.Errorf("it is %v", err)
	}
	malformed := claims.Delivery{Err: events.ErrMalformed, Stored: now}
	if err := in.Claims(t.Context(), []claims.Delivery{malformed}); !errors.Is(err, errCrash) {
		t.Errorf("of what is put aside it is %v", err)
	}
	handle(t, instance(t, db, policy())) // nothing
}

// Facts of a day whose close has begun are late, once: what was there is not, however often it is
// told.
func TestLate(t *testing.T) {
	db := openDB(t)
	in := instance(t, db, policy())
	yesterday := dayOf(now) - 1
	early, d := claimed("alice", "early", 20*time.Hour), claimed("alice", "late", 20*time.Hour)
	open := claimed("bob", "open", 44*time.Hour) // the day before is open
	handle(t, in, append(told(early, events.ClaimAdded), told(open, events.ClaimAdded)...)...)
	equal(t, "late before the close are", lateOn(t, in, dayOf(now)), nil)
	_, err := in.store.BeginClose(t.Context(), yesterday, ledger.ShardOf("alice"), 1)
	must(t, err)
	early.Removed = now
	handle(t, in, told(early, events.ClaimAdded, events.ClaimRemoved)...)
	handle(t, instance(t, db, policy()), told(early, events.ClaimAdded)...)
	handle(t, in, told(claimed("alice", "today", 0), events.ClaimAdded)...)
	equal(t, "late with what was there are", lateOn(t, in, dayOf(now)), nil)
	for range 2 {
		handle(t, in, told(d, events.ClaimAdded)...)
		equal(t, "late are", lateOn(t, in, dayOf(now)), []string{"alice -1"})
	}
	if got := kindsOn(t, in, "alice", yesterday); got != "start start" {
		t.Errorf("counted are %q", got)
	}
	equal(t, "put aside are", asideOf(t, in), nil)
}

// Who closes a day reads each of its facts, or it is noted as late.
func TestCloseAtOnce(t *testing.T) {
	in := instance(t, openDB(t), policy())
	yesterday := dayOf(now) - 1
	for i := range min(rounds(600), ledger.Shards) {
		owner := ownerIn(i)
		wrote := make(chan error)
		go func() {
			wrote <- in.Claims(t.Context(), told(claimed(owner, "r", 20*time.Hour), events.ClaimAdded))
		}()
		_, err := in.store.BeginClose(t.Context(), yesterday, i, 1)
		must(t, err)
		seen := kindsOn(t, in, owner, yesterday)
		must(t, <-wrote)
		late := false
		must(t, in.store.EachLate(t.Context(), dayOf(now), i, func(ledger.OwnerDay) error {
			late = true
			return nil
		}))
		if seen == "" && !late {
			t.Errorf("shard %d was closed without a fact, which is not late", i)
		}
	}
}

// ownerIn is an owner of a shard.
func ownerIn(shard int) string {
	for i := 0; ; i++ {
		if owner := fmt.Sprint("owner ", i); ledger.ShardOf(owner) == shard {
			return owner
		}
	}
}

// A day that is over while its facts are written may be closed by then.
func TestMidnight(t *testing.T) {
	in := instance(t, openDB(t), policy())
	d := claimed("alice", "r", 0)
	calls := 0
	in.now = func() time.Time { // the last look is that after the write
		if calls++; calls > 2 {
			return now.Add(24 * time.Hour)
		}
		return now
	}
	_, err := in.store.BeginClose(t.Context(), usage.DayOf(now.UnixMilli()), ledger.ShardOf("alice"), 1)
	must(t, err)
	handle(t, in, told(d, events.ClaimAdded)...)
	equal(t, "late are", lateOn(t, in, dayOf(now)+1), []string{"alice 0"})
}

func TestMetrics(t *testing.T) {
	var all []string
	for _, why := range reasons() {
		all = append(all, string(why))
	}
	metrictest.Check(t, NewMetrics(), "billing_ingest_", map[string][]string{"reason": all})
	var none *Metrics
	none.add(received, 1)
	none.putAside(ReasonUnknown)
}

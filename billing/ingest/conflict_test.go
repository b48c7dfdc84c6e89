package ingest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// different are events that say something else of a claim that one of the others does.
func different(d events.ClaimData) map[string][]claims.Delivery {
	with := func(change func(*events.ClaimData), t events.Type) []claims.Delivery {
		c := d
		change(&c)
		return told(c, t)
	}
	return map[string][]claims.Delivery{
		"terms":   with(func(c *events.ClaimData) { c.Accepted = c.Accepted.Add(-24 * time.Hour) }, events.ClaimAdded),
		"terms ":  with(func(c *events.ClaimData) { c.Replicas++ }, events.ClaimSized),
		"terms  ": with(func(c *events.ClaimData) { c.Cid = "another" }, events.ClaimPinned),
		"sizes":   with(func(c *events.ClaimData) { c.Size++ }, events.ClaimSized),
		"removed": with(func(c *events.ClaimData) { c.Removed = c.Removed.Add(time.Millisecond) }, events.ClaimRemoved),
	}
}

// What an event says that was counted stays, whatever others say of the same claim. They are put
// aside, each once, and what comes of it from then on, too.
func TestConflict(t *testing.T) {
	db := openDB(t)
	var wantAside []string
	in := instance(t, db, policy())
	for columns := range different(events.ClaimData{}) {
		request := "r" + fmt.Sprint(len(columns)) + strings.TrimSpace(columns)
		d := claimed("alice "+request, request, time.Hour)
		d.Pinned, d.Size, d.Removed = d.Accepted, 10, now.Add(-time.Minute)
		good := told(d, events.ClaimAdded, events.ClaimSized, events.ClaimRemoved)
		handle(t, in, good...)
		want := factsOn(t, in, d.Owner, dayOf(now))
		if len(want) != 4 {
			t.Fatalf("%d facts", len(want))
		}
		for range 2 {
			handle(t, in, different(d)[columns]...)
			handle(t, instance(t, db, policy()), good...) // of which whoever looks sees all
		}
		equal(t, "the facts after a conflict in "+columns, factsOn(t, in, d.Owner, dayOf(now)), want)
		equal(t, "the facts of the day before", factsOn(t, in, d.Owner, dayOf(now)-1), nil)
		wantAside = append(wantAside, fmt.Sprintf("conflict: the events of the request %q do not agree in %s", request, strings.TrimSpace(columns)))
		// And nothing more is counted of such a claim.
		later := d
		later.Size = 11
		handle(t, in, told(later, events.ClaimRemoved)...)
		equal(t, "the facts after more of it", factsOn(t, in, d.Owner, dayOf(now)), want)
	}
	got := asideOf(t, in)
	for _, why := range wantAside {
		if !slices.Contains(got, why) {
			t.Errorf("not put aside: %s", why)
		}
	}
	if len(got) != 5*len(wantAside) {
		t.Errorf("put aside are\n%s", strings.Join(got, "\n"))
	}
}

// If two say different things of a claim at the same time, at two processes, one of them is
// counted or none, and one at least is put aside.
func TestConflictAtOnce(t *testing.T) {
	db := openDB(t)
	for i := range rounds(400) {
		d := claimed(fmt.Sprint("owner ", i), fmt.Sprint("request ", i), time.Hour)
		other := d
		other.Accepted = now.Add(-26 * time.Hour) // of another day
		d.Pinned, d.Size, other.Pinned, other.Size = d.Accepted, 10, d.Accepted, 10
		var both sync.WaitGroup
		for _, c := range []events.ClaimData{d, other} {
			in := instance(t, db, policy())
			both.Go(func() {
				if err := in.Claims(t.Context(), told(c, events.ClaimSized)); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		in := instance(t, db, policy())
		today, before := kindsOn(t, in, d.Owner, dayOf(now)), kindsOn(t, in, d.Owner, dayOf(now)-1)
		if counted := today + before; counted != "" && counted != "size start" {
			t.Fatalf("round %d: today %q, before %q", i, today, before)
		}
		n := 0
		must(t, in.store.EachQuarantined(t.Context(), dayOf(now), func(item ledger.Item) error {
			if item.Owner == d.Owner {
				n++
			}
			return nil
		}))
		if n == 0 {
			t.Fatalf("round %d: nothing is put aside", i)
		}
	}
}

// When it was pinned does not matter where that is not what is counted from.
func TestPinnedAtTwoTimes(t *testing.T) {
	db := openDB(t)
	for start, want := range map[string]string{"accepted": "free size start stop", "pinned": "size start"} {
		p := policy()
		p.Start = start
		in := instance(t, db, p)
		d := claimed(start, "r", time.Hour)
		d.Pinned, d.Size = d.Accepted.Add(time.Minute), 5
		handle(t, in, told(d, events.ClaimSized)...)
		d.Pinned, d.Removed = d.Pinned.Add(-time.Second), now
		handle(t, in, told(d, events.ClaimRemoved)...)
		if got := kindsOn(t, in, d.Owner, dayOf(now)); got != want {
			t.Errorf("from %s: %s, want %s", start, got, want)
		}
	}
}

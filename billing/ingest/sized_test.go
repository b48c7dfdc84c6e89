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
)

// size is what a peer tells of a CID.
func size(cid string, bytes int64) events.Event {
	version := events.Version("1ef00000000000080000000000000001"[:31])
	return events.Event{
		Source: "cluster", Type: events.PinSized,
		Status: &events.StatusData{Cid: cid, Version: version, At: version, Peer: "peer", Status: "pinned", Size: bytes},
	}
}

// unsizedOf are the claims that lack a size, by the CID.
func unsizedOf(tb testing.TB, in *Ingest) []string {
	tb.Helper()
	var out []string
	must(tb, in.store.EachUnsizedOfAll(tb.Context(), func(cid string, k ledger.Key) error {
		out = append(out, cid+" "+k.Owner)
		return nil
	}))
	slices.Sort(out)
	return out
}

// Claims without a size get that which a peer tells of their CID, whoever comes first; each is
// shown until then, and those that have one keep it.
func TestSizes(t *testing.T) {
	db := openDB(t)
	in := instance(t, db, policy())
	claimOf := func(owner string) events.ClaimData {
		d := claimed(owner, owner+"'s", time.Hour)
		d.Cid, d.Pinned = "cid", d.Accepted
		return d
	}
	own := claimOf("own")
	own.Size = 70
	handle(t, in, told(own, events.ClaimPinned, events.ClaimSized)...)
	handle(t, in, told(claimOf("before"), events.ClaimPinned)...)
	gone := claimOf("gone")
	gone.Removed = now
	handle(t, in, told(gone, events.ClaimRemoved)...)
	handle(t, in, told(claimOf("queued"), events.ClaimAdded)...) // nothing is pinned yet
	equal(t, "without a size are", unsizedOf(t, in), []string{"cid before", "cid gone"})
	for range 2 {
		must(t, in.Sized(t.Context(), size("cid", 10)))
		must(t, in.Sized(t.Context(), size("another", 11)))
		handle(t, in, told(claimOf("after"), events.ClaimPinned)...)
		equal(t, "without a size are", unsizedOf(t, in), nil)
		for owner, want := range map[string]string{"own": "size start", "before": "size start", "after": "size start", "gone": "free size start stop", "queued": "start"} {
			if got := kindsOn(t, in, owner, dayOf(now)); got != want {
				t.Errorf("%s has %q, want %q", owner, got, want)
			}
		}
		for owner, want := range map[string]string{"own": "210 bytes", "before": ": 30 bytes", "gone": "-30 bytes"} {
			if all := strings.Join(factsOn(t, in, owner, dayOf(now)), "\n"); !strings.Contains(all, want) {
				t.Errorf("%s has\n%s", owner, all)
			}
		}
	}
	equal(t, "put aside are", asideOf(t, in), nil)
}

// What comes at the same time at two processes finds each other.
func TestSizeAtOnce(t *testing.T) {
	db := openDB(t)
	a, b := instance(t, db, policy()), instance(t, db, policy())
	for i := range rounds(400) {
		d := claimed("owner", fmt.Sprint(i), time.Hour)
		d.Pinned, d.Owner = d.Accepted, fmt.Sprint("owner ", i)
		var both sync.WaitGroup
		both.Go(func() {
			if err := a.Claims(t.Context(), told(d, events.ClaimPinned)); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := b.Sized(t.Context(), size(d.Cid, 10)); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if got := kindsOn(t, a, d.Owner, dayOf(now)); got != "size start" {
			t.Fatalf("round %d: %q", i, got)
		}
	}
}

// A process that is killed while it gives a size leaves nothing that the next try does not do.
func TestKilledWhileSizing(t *testing.T) {
	db := openDB(t)
	for left, dead := 0, true; dead; left++ {
		d := claimed(fmt.Sprint("owner ", left), "r", 40*time.Hour)
		d.Cid, d.Pinned, d.Removed = fmt.Sprint("cid ", left), d.Accepted, now
		in := instance(t, db, policy())
		handle(t, in, told(d, events.ClaimRemoved)...)
		dead = instance(t, &dying{DB: db, left: left}, policy()).Sized(t.Context(), size(d.Cid, 10)) != nil
		must(t, in.Sized(t.Context(), size(d.Cid, 10)))
		if got := kindsOn(t, in, d.Owner, dayOf(d.Accepted)) + ", " + kindsOn(t, in, d.Owner, dayOf(now)); got != "size start, free stop" {
			t.Fatalf("after %d writes: %s", left, got)
		}
		equal(t, "without a size are", unsizedOf(t, in), nil)
	}
}

// Peers that do not agree give no size, and neither is counted afterwards.
func TestSizesInConflict(t *testing.T) {
	in := instance(t, openDB(t), policy())
	d := claimed("early", "r", time.Hour)
	d.Cid, d.Pinned = "cid", d.Accepted
	handle(t, in, told(d, events.ClaimPinned)...)
	must(t, in.Sized(t.Context(), size("cid", 10)))
	must(t, in.Sized(t.Context(), size("cid", 11)))
	d.Owner = "late"
	handle(t, in, told(d, events.ClaimPinned)...)
	if early, late := kindsOn(t, in, "early", dayOf(now)), kindsOn(t, in, "late", dayOf(now)); early != "size start" || late != "start" {
		t.Errorf("the early one has %q, the late one %q", early, late)
	}
	equal(t, "put aside are", asideOn(t, in, dayOf(size("cid", 1).Time())), []string{"conflict: peers have told different sizes of cid"})
	equal(t, "without a size are", unsizedOf(t, in), []string{"cid late"})
	must(t, in.Sized(t.Context(), events.Event{Type: events.PeerCame}))
	must(t, in.Sized(t.Context(), size("cid", 0)))
}

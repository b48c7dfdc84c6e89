package statetest

import (
	"fmt"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func batchTests() []test {
	return []test{
		{"waits for commit", testBatchWaits},
		{"several commits", testBatchSeveralCommits},
		{"order", testBatchOrder},
		{"unmarshal", testBatchUnmarshal},
		{"samples", testBatchSamples},
		{"concurrent", testBatchConcurrent},
	}
}

func commit(t tester, s state.BatchingStore) {
	t.Helper()
	if err := s.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// testBatchWaits has one write of each kind in a batch: a new pin, a replaced
// one and a removed one.
func testBatchWaits(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	commit(t, batching) // of nothing
	wantPinset(t, committed)

	older, doomed := named("a", "older"), named("b", "doomed")
	newer, added := named("a", "newer"), named("c", "added")
	add(t, committed, older, doomed)
	add(t, batching, newer, added)
	rm(t, batching, doomed.Cid, Cid("missing"))
	for _, view := range []state.Store{committed, batching} {
		wantPinset(t, view, asStored(t, older), asStored(t, doomed))
		wantPin(t, view, asStored(t, older))
		wantPin(t, view, asStored(t, doomed))
		wantMissing(t, view, added.Cid)
		sameRecords(t, marshal(t, view), marshal(t, upstreamWith(t, older, doomed)))
	}
	commit(t, batching)
	for _, view := range []state.Store{committed, batching} {
		wantPinset(t, view, asStored(t, newer), asStored(t, added))
		wantMissing(t, view, doomed.Cid)
	}
}

func testBatchSeveralCommits(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	var want []api.Pin
	for i := range 3 {
		p := named(fmt.Sprint("pin ", i), fmt.Sprint("commit ", i))
		add(t, batching, p)
		wantMissing(t, committed, p.Cid)
		commit(t, batching)
		want = append(want, asStored(t, p))
		wantPinset(t, committed, want...)
	}
	commit(t, batching)
	wantPinset(t, committed, want...)
}

// testBatchOrder writes one CID several times in a batch: the last call wins.
func testBatchOrder(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	replaced, removed, back := named("replaced", "before"), named("removed", "before"), named("back", "before")
	add(t, committed, replaced, removed, back)

	newReplaced, newBack := named("replaced", "after"), named("back", "after")
	shortLived, twice := named("short-lived", "never seen"), named("twice", "second")
	add(t, batching, named("replaced", "in between"), newReplaced)
	add(t, batching, named("removed", "in between"))
	rm(t, batching, removed.Cid, back.Cid)
	add(t, batching, newBack)
	add(t, batching, shortLived)
	rm(t, batching, shortLived.Cid)
	add(t, batching, named("twice", "first"))
	rm(t, batching, twice.Cid)
	add(t, batching, twice)
	commit(t, batching)

	wantPinset(t, committed, asStored(t, newReplaced), asStored(t, newBack), asStored(t, twice))
	wantMissing(t, committed, removed.Cid)
	wantMissing(t, committed, shortLived.Cid)
}

func testBatchUnmarshal(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	older, newer, added := named("a", "older"), named("a", "newer"), named("b", "added")
	add(t, committed, older)
	unmarshal(t, batching, marshal(t, upstreamWith(t, newer, added)))
	wantPinset(t, committed, asStored(t, older))
	commit(t, batching)
	wantPinset(t, committed, asStored(t, newer), asStored(t, added))
}

func testBatchSamples(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	pins := samplePins(t)
	add(t, batching, pins...)
	wantPinset(t, committed)
	commit(t, batching)
	for i, p := range pins {
		pins[i] = asStored(t, p)
	}
	wantPinset(t, committed, pins...)
}

// testBatchConcurrent writes from several goroutines, some of which commit.
func testBatchConcurrent(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	var want []api.Pin
	var g errgroup.Group
	for writer := range 4 {
		var pins []api.Pin
		for i := range 25 {
			p := named(fmt.Sprint("pin ", writer, " ", i), "concurrent")
			pins = append(pins, p)
			want = append(want, asStored(t, p))
		}
		g.Go(func() error {
			for i, p := range pins {
				if err := batching.Add(t.Context(), p); err != nil {
					return fmt.Errorf("add %s: %w", p.Cid, err)
				}
				if writer == 0 && i%10 == 9 {
					if err := batching.Commit(t.Context()); err != nil {
						return fmt.Errorf("commit: %w", err)
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	commit(t, batching)
	wantPinset(t, committed, want...)
}

// upstreamWith returns a dsstate that holds pins.
func upstreamWith(t tester, pins ...api.Pin) state.Store {
	t.Helper()
	s := upstream(t)
	add(t, s, pins...)
	return s
}

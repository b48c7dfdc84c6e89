package scyllastate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestOutcomeThatIsKnown loses the answer of a conditional update. What the row
// tells then is said: that it was applied, or that it never can be, in which case the
// write is decided again. The caller is told that the outcome is unknown only where
// nothing tells.
func TestOutcomeThatIsKnown(t *testing.T) {
	ours := held("a", statetest.Peer("p"))
	ours.Name = "ours"
	theirs := ours
	theirs.Name = "theirs"
	// other makes so many writes of somebody else.
	other := func(m *memTables, times int) {
		next, err := encodePin(theirs)
		if err != nil {
			panic(err)
		}
		for range times {
			old := m.pins[ours.Cid.KeyString()]
			m.put(&write{cid: ours.Cid, old: old, rev: nextRev(time.Now(), old.rev), next: next})
		}
	}
	for _, tt := range []struct {
		name          string
		there         int // writes before
		before, after int // writes of somebody else before and after the update arrives
		unknown       bool
		decided       int
		want          string
	}{
		{name: "it was applied", decided: 1, want: "ours"},
		{name: "it was applied and replaced", there: 1, after: 1, decided: 1, want: "theirs"},
		{name: "somebody else created it", before: 1, decided: 2, want: "ours"},
		{name: "somebody else replaced the same row", there: 1, before: 1, decided: 2, want: "ours"},
		{name: "replaced twice before", there: 1, before: 2, unknown: true, decided: 1, want: "theirs"},
		{name: "applied, and replaced twice", there: 1, after: 2, unknown: true, decided: 1, want: "theirs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemTables()
				s := newMemStore(m)
				other(m, tt.there)
				lost := false
				m.swapping = func(_ context.Context, _ *write, apply func() (bool, row)) (bool, row, error) {
					if lost {
						applied, now := apply()
						return applied, now, nil
					}
					lost = true
					other(m, tt.before)
					apply()
					other(m, tt.after)
					return false, row{}, gocql.ErrTimeoutNoResponse
				}
				decided := 0
				err := s.Update(t.Context(), ours.Cid, func(*api.Pin) (*api.Pin, error) {
					decided++
					return &ours, nil
				})
				if got := errors.Is(err, state.ErrOutcomeUnknown); got != tt.unknown || !got && err != nil {
					t.Errorf("the write ended with %v, want unknown %t", err, tt.unknown)
				}
				if decided != tt.decided {
					t.Errorf("it was decided %d times, want %d", decided, tt.decided)
				}
				wantPin(t, s, ours.Cid, &api.Pin{PinOptions: api.PinOptions{Name: tt.want}})
			})
		})
	}
}

// TestNoHintFromALocalRead: a read of one data centre may miss the marker of an
// unpin that another one has. What it does not find is no base for a write.
func TestNoHintFromALocalRead(t *testing.T) {
	pin := held("a", statetest.Peer("p"))
	for _, tt := range []struct {
		cons  gocql.Consistency
		reads int // at QUORUM until the pin is written
	}{
		{gocql.LocalQuorum, 1},
		{gocql.Quorum, 1}, // that of Get, which the write goes by
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTables()
			s := newMemStore(m)
			s.read = tt.cons
			if tt.cons == gocql.LocalQuorum {
				m.pins[pin.Cid.KeyString()] = row{rev: newUUID(time.Now())} // a marker
				m.lagging[pin.Cid.KeyString()] = true
			}
			if _, err := s.Get(t.Context(), pin.Cid); err != state.ErrNotFound {
				t.Fatal(err)
			}
			tries := 0
			m.swapping = func(_ context.Context, _ *write, apply func() (bool, row)) (bool, row, error) {
				tries++
				applied, now := apply()
				return applied, now, nil
			}
			must(t, s.Add(t.Context(), pin))
			if tries != 1 || m.reads[gocql.Quorum] != tt.reads {
				t.Errorf("%s: written at try %d after %d reads at QUORUM, want 1 and %d", tt.cons, tries, m.reads[gocql.Quorum], tt.reads)
			}
		})
	}
}

// TestBatchKeepsTheOrder: a Commit that stalls and fails leaves nothing behind that
// a newer write of the same CID has replaced, also if another Commit is to make that
// one meanwhile.
func TestBatchKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTables()
		s := newMemStore(m)
		b := s.Batching()
		pin := held("a", statetest.Peer("p"))
		must(t, b.Add(t.Context(), pin))
		m.swapping = func(ctx context.Context, w *write, apply func() (bool, row)) (bool, row, error) {
			m.swapping = nil
			<-ctx.Done()
			return false, row{}, gocql.ErrNoConnections
		}
		commit := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() { done <- b.Commit(ctx) }()
			synctest.Wait()
			return done
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := commit(ctx)
		must(t, b.Rm(t.Context(), pin.Cid))
		second := commit(t.Context())
		left, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if err := b.Commit(left); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Commit whose turn did not come: %v", err)
		}
		cancel()
		if err := <-first; err == nil {
			t.Error("the Commit that stalled did not fail")
		}
		must(t, <-second)
		must(t, b.Commit(t.Context()))
		wantPin(t, s, pin.Cid, nil)
	})
}

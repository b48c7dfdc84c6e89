package statetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The tests of this theme are at their best under -race.
func concurrencyTests() []test {
	return []test{
		{"distinct cids", testConcurrentDistinct},
		{"one cid", testConcurrentOneCid},
		{"add and rm", testConcurrentAddRm},
	}
}

// testConcurrentDistinct has writers that own their CIDs, read what they have
// just written, and remove every third pin. Listings run alongside.
func testConcurrentDistinct(t *testing.T, s Suite) {
	store := s.New(t)
	const writers, each = 6, 15
	settled := numbered(t, 20) // there before, and untouched
	addMany(t, store, settled)

	known := make(map[api.Cid]api.Pin)
	for _, p := range settled {
		known[p.Cid] = asStored(t, p)
	}
	want := make([]api.Pin, 0, len(known)+writers*each)
	for _, p := range known {
		want = append(want, p)
	}
	work := make([][]api.Pin, writers)
	for w := range work {
		for i := range each {
			p := named(fmt.Sprint("writer ", w, " pin ", i), fmt.Sprint(w, "/", i))
			work[w] = append(work[w], p)
			known[p.Cid] = asStored(t, p)
			if i%3 != 0 {
				want = append(want, known[p.Cid])
			}
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	readers, writing := new(errgroup.Group), new(errgroup.Group)
	readers.Go(func() error {
		for ctx.Err() == nil {
			if err := checkListing(t.Context(), store, known, settled); err != nil {
				return err
			}
		}
		return nil
	})
	for w, pins := range work {
		writing.Go(func() error {
			for i, p := range pins {
				if err := writeAndCheck(t.Context(), store, p, known[p.Cid], i%3 == 0); err != nil {
					return fmt.Errorf("writer %d, pin %d: %w", w, i, err)
				}
			}
			return nil
		})
	}
	writeErr := writing.Wait()
	stop()
	if err := errors.Join(writeErr, readers.Wait()); err != nil {
		t.Fatal(err)
	}
	wantPinset(t, store, want...)
}

// writeAndCheck adds p, reads it back, and removes it again if told to.
func writeAndCheck(ctx context.Context, s state.Store, p, stored api.Pin, remove bool) error {
	if err := s.Add(ctx, p); err != nil {
		return fmt.Errorf("add: %w", err)
	}
	got, err := s.Get(ctx, p.Cid)
	if err != nil {
		return fmt.Errorf("get after add: %w", err)
	}
	if !reflect.DeepEqual(got, stored) {
		return fmt.Errorf("get after add returns %s", asJSON(got))
	}
	if !remove {
		return nil
	}
	if err := s.Rm(ctx, p.Cid); err != nil {
		return fmt.Errorf("rm: %w", err)
	}
	switch has, err := s.Has(ctx, p.Cid); {
	case err != nil:
		return fmt.Errorf("has after rm: %w", err)
	case has:
		return errors.New("has after rm is true")
	}
	return nil
}

// checkListing runs List while others write. Pins that nobody touches must be
// in it; of the others any may be; none comes twice or changed.
func checkListing(ctx context.Context, s state.Store, known map[api.Cid]api.Pin, settled []api.Pin) error {
	seen := make(map[api.Cid]bool)
	var wrong error
	err, broken := follow(ctx, s, func(p api.Pin) {
		switch {
		case seen[p.Cid]:
			wrong = errors.Join(wrong, fmt.Errorf("listed twice: %s", p.Cid))
		case !reflect.DeepEqual(p, known[p.Cid]):
			wrong = errors.Join(wrong, fmt.Errorf("listed, but nobody wrote it: %s", asJSON(p)))
		}
		seen[p.Cid] = true
	})
	if err != nil || broken != nil {
		return errors.Join(wrong, fmt.Errorf("list: %w", errors.Join(err, broken)))
	}
	for _, p := range settled {
		if !seen[p.Cid] {
			wrong = errors.Join(wrong, fmt.Errorf("not listed, but there all the time: %s", p.Cid))
		}
	}
	return wrong
}

// testConcurrentOneCid lets writers fight for one CID. Readers see one of the
// written pins, whole, and never go back to an older one.
func testConcurrentOneCid(t *testing.T, s Suite) {
	store := s.New(t)
	const writers, each = 4, 8
	write := func(writer, i int) api.Pin {
		p := named("contended", fmt.Sprint(writer, "/", i))
		// One step per writer and turn in every field, to see mixtures.
		p.ReplicationFactorMin, p.ReplicationFactorMax = 1+writer, 100+i
		p.Metadata = map[string]string{fmt.Sprint("writer ", writer): fmt.Sprint(i)}
		p.Allocations = []peer.ID{Peer(fmt.Sprint(writer)), Peer(fmt.Sprint(i))}
		return p
	}
	written := make(map[string]api.Pin) // by name, as stored
	turn := make(map[string][2]int)
	for w := range writers {
		for i := range each {
			p := asStored(t, write(w, i))
			written[p.Name], turn[p.Name] = p, [2]int{w, i}
		}
	}
	initial := named("contended", "initial")
	add(t, store, initial)
	written[initial.Name], turn[initial.Name] = asStored(t, initial), [2]int{writers, 0}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	readers, writing := new(errgroup.Group), new(errgroup.Group)
	for range 2 {
		readers.Go(func() error {
			var last [writers + 1]int
			current, past := initial.Name, make(map[string]bool)
			for ctx.Err() == nil {
				got, err := store.Get(t.Context(), initial.Cid)
				if err != nil {
					return fmt.Errorf("get: %w", err)
				}
				if !reflect.DeepEqual(got, written[got.Name]) {
					return fmt.Errorf("get returns a pin that nobody wrote: %s", asJSON(got))
				}
				w, i := turn[got.Name][0], turn[got.Name][1]
				if i < last[w] {
					return fmt.Errorf("get returns turn %d of writer %d after turn %d", i, w, last[w])
				}
				last[w] = i
				if got.Name != current {
					past[current] = true
					current = got.Name
				}
				if past[current] { // each pin is written once
					return fmt.Errorf("get returns %s again after a newer pin", current)
				}
			}
			return nil
		})
	}
	for w := range writers {
		writing.Go(func() error {
			for i := range each {
				if err := store.Add(t.Context(), write(w, i)); err != nil {
					return fmt.Errorf("add: %w", err)
				}
			}
			return nil
		})
	}
	writeErr := writing.Wait()
	stop()
	if err := errors.Join(writeErr, readers.Wait()); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), initial.Cid)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if turn[got.Name][1] != each-1 {
		t.Fatalf("the pin that remains is %q: want the last write of one of the writers", got.Name)
	}
	wantPinset(t, store, written[got.Name])
}

// testConcurrentAddRm adds and removes one CID at once. Any order is right,
// but Get, Has and List must agree on it, and the CID must stay usable.
func testConcurrentAddRm(t *testing.T, s Suite) {
	store := s.New(t)
	p := named("contended", "contended")
	want := asStored(t, p)
	var g errgroup.Group
	for range 2 {
		g.Go(func() error {
			for range 8 {
				if err := store.Add(t.Context(), p); err != nil {
					return fmt.Errorf("add: %w", err)
				}
			}
			return nil
		})
		g.Go(func() error {
			for range 8 {
				if err := store.Rm(t.Context(), p.Cid); err != nil {
					return fmt.Errorf("rm: %w", err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	switch has, err := store.Has(t.Context(), p.Cid); {
	case err != nil:
		t.Fatalf("Has: %v", err)
	case has:
		wantPin(t, store, want)
		wantPinset(t, store, want)
	default:
		wantMissing(t, store, p.Cid)
		wantPinset(t, store)
	}
	add(t, store, p)
	wantPinset(t, store, want)
	rm(t, store, p.Cid)
	wantPinset(t, store)
}

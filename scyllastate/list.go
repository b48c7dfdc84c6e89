package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"go.opencensus.io/stats"
	"go.opencensus.io/trace"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// rangesPerNode is how many pieces of the ring one listing makes for
	// each node. Many small ones keep all nodes busy until the end.
	rangesPerNode = 16
	// readersPerNode is how many pieces are read at the same time.
	readersPerNode = 2
	// listPage is the number of rows that one request returns: together
	// with the readers it bounds the memory of a listing.
	listPage = 1000
)

// List sends every pin to out and closes it. The order is that of the ring, in
// pieces. It is no snapshot: a pin that is written meanwhile may be in it or
// not. Memory does not depend on the number of pins.
func (s *Store) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	ctx, span := trace.StartSpan(ctx, "state/scylla/List")
	defer span.End()

	var total atomic.Int64
	err := s.scan(ctx, func(ctx context.Context, key, value []byte) error {
		c, err := castKey(key)
		if err != nil {
			return err
		}
		pin, err := decodePin(c, value)
		if err != nil {
			return err
		}
		if err := send(ctx, out, pin); err != nil {
			return err
		}
		if n := total.Add(1); n%500_000 == 0 {
			logger.Infof("listing the pinset: %d pins so far", n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the pinset, incomplete after %d pins: %w", total.Load(), err)
	}
	stats.Record(ctx, observations.Pins.M(total.Load()))
	return nil
}

// Keys sends the CID of every pin to out and closes it. Unlike List it does not
// look at the pins, so that it also names those that cannot be decoded. A row
// whose key is no CID is passed over, and Keys returns an error at the end.
func (s *Store) Keys(ctx context.Context, out chan<- api.Cid) error {
	defer close(out)
	var bad atomic.Int64
	var first atomic.Pointer[error]
	err := s.scan(ctx, func(ctx context.Context, key, _ []byte) error {
		c, err := castKey(key)
		if err != nil {
			bad.Add(1)
			first.CompareAndSwap(nil, &err)
			return nil
		}
		return send(ctx, out, c)
	})
	if err == nil && bad.Load() > 0 {
		err = fmt.Errorf("%d rows were passed over, one of them because %w", bad.Load(), *first.Load())
	}
	if err != nil {
		return fmt.Errorf("listing the CIDs of the pinset: %w", err)
	}
	return nil
}

// Count returns the number of rows that hold a pin, whatever is in them. It
// reads the whole pinset, and calls progress after each row with the number so
// far, one call at a time.
func (s *Store) Count(ctx context.Context, progress func(n int)) (int, error) {
	var mu sync.Mutex
	n := 0
	err := s.scan(ctx, func(context.Context, []byte, []byte) error {
		mu.Lock()
		defer mu.Unlock()
		n++
		progress(n)
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("counting the pins: %w", err)
	}
	return n, nil
}

func castKey(key []byte) (api.Cid, error) {
	c, err := api.CastCid(key)
	if err != nil {
		return api.CidUndef, fmt.Errorf("the key 0x%x of pins is no CID: %w", key, err)
	}
	return c, nil
}

func send[T any](ctx context.Context, out chan<- T, v T) error {
	select {
	case out <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scan calls f for each row that holds a pin, from several goroutines. An error of f or of the
// database ends it.
func (s *Store) scan(ctx context.Context, f func(ctx context.Context, key, value []byte) error) error {
	return s.eachRange(ctx, func(ctx context.Context, r tokenRange) error { return s.scanRange(ctx, r, f) })
}

// eachRange calls f for pieces that make up the ring, from several goroutines, until
// one of them fails.
func (s *Store) eachRange(ctx context.Context, f func(context.Context, tokenRange) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(4, s.db.Nodes*readersPerNode))
	for _, r := range tokenRanges(max(1, s.db.Nodes) * rangesPerNode) {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return f(gctx, r) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err() // it may have ended between two pieces
}

// scanRange reads one piece. A server gives up on a page that is full of removed
// pins; the rest of the piece is then read in two halves.
func (s *Store) scanRange(ctx context.Context, r tokenRange, f func(ctx context.Context, key, value []byte) error) error {
	done, err := s.scanPiece(ctx, r, f)
	var overwhelmed *gocql.RequestErrReadFailure
	rest := tokenRange{done, r.upTo}
	if !errors.As(err, &overwhelmed) || uint64(rest.upTo)-uint64(rest.after) <= 1 {
		return err
	}
	middle := rest.after + int64((uint64(rest.upTo)-uint64(rest.after))/2)
	if err := s.scanRange(ctx, tokenRange{rest.after, middle}, f); err != nil {
		return err
	}
	return s.scanRange(ctx, tokenRange{middle, rest.upTo}, f)
}

// scanPiece reads one piece and returns up to which token it came.
func (s *Store) scanPiece(ctx context.Context, r tokenRange, f func(ctx context.Context, key, value []byte) error) (done int64, err error) {
	ctx = scylla.WithTrail(ctx)
	iter := s.db.Query(selectRange+s.db.Dialect.Scan(), r.after, r.upTo).WithContext(ctx).
		Consistency(s.read).Idempotent(true).PageSize(listPage).Iter()
	var (
		token      int64
		key, value []byte
	)
	done = r.after
	for iter.Scan(&token, &key, &value) {
		if len(value) > 0 { // else the marker of a removed pin
			if err := f(ctx, key, value); err != nil {
				_ = iter.Close() // err is the reason
				return done, err
			}
		}
		done = token
		key, value = nil, nil // the pin may keep them
	}
	if err := iter.Close(); err != nil {
		return done, fmt.Errorf("reading pins: %w", scylla.Describe(ctx, err))
	}
	return r.upTo, nil
}

// tokenRange is a piece of the ring, (after, upTo].
type tokenRange struct{ after, upTo int64 }

// tokenRanges cuts the ring into n equal pieces, in random order so that
// several listings do not follow each other over the same nodes. No key has the
// smallest token.
func tokenRanges(n int) []tokenRange {
	out := make([]tokenRange, n)
	width := math.MaxUint64/uint64(n) + 1
	after := int64(math.MinInt64)
	for i := range out {
		upTo := int64(uint64(after) + width)
		if i == n-1 {
			upTo = math.MaxInt64
		}
		out[i] = tokenRange{after, upTo}
		after = upTo
	}
	rand.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

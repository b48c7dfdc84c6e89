package scyllastate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"go.opencensus.io/stats"
	"go.opencensus.io/trace"
)

// List sends every pin to out and closes it. The order is that of the ring, in
// pieces. It is no snapshot: a pin that is written meanwhile may be in it or
// not. Memory does not depend on the number of pins.
func (s *Store) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	ctx, span := trace.StartSpan(ctx, "state/scylla/List")
	defer span.End()

	var total atomic.Int64
	err := s.scanAll(ctx, s.read, func(ctx context.Context, row scanned) error {
		c, err := castKey(row.key)
		if err != nil {
			return err
		}
		pin, err := decodePin(c, row.value)
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
		return answer(fmt.Errorf("listing the pinset, incomplete after %d pins: %w", total.Load(), err))
	}
	s.pins.counted(total.Load())
	s.metrics.countsPins(true)
	stats.Record(ctx, observations.Pins.M(total.Load()))
	return nil
}

// Keys sends the CID of every pin to out and closes it. Unlike List it does not
// look at the pins, so that it also names those that cannot be decoded. A row
// whose key is not a CID is passed over, and Keys returns an error at the end.
func (s *Store) Keys(ctx context.Context, out chan<- api.Cid) error {
	defer close(out)
	var bad atomic.Int64
	var first atomic.Pointer[error]
	err := s.scanAll(ctx, s.read, func(ctx context.Context, row scanned) error {
		c, err := castKey(row.key)
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
	err := s.scanAll(ctx, s.read, func(context.Context, scanned) error {
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
		return api.CidUndef, fmt.Errorf("the key 0x%x of pins is not a CID: %w", key, err)
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

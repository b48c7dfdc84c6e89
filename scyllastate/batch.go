package scyllastate

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Batch is a Store whose Add and Rm wait for Commit. Reads show the database,
// not what waits. Commit makes the writes one by one, many at a time: it saves
// waiting, it is not atomic. It is safe for concurrent use; the writes of one CID
// keep their order, also over several Commits.
type Batch struct {
	*Store
	// turn has the one token that a Commit holds. What a Commit could not write it
	// puts back, unless there is a newer write of that CID: a Commit beside it would
	// have taken that, and could make it first.
	turn chan struct{}

	mu sync.Mutex
	// ops holds the last operation for each CID; nil removes.
	ops map[api.Cid]*content
}

var _ state.BatchingStore = (*Batch)(nil)

// Batching returns an empty batch over s.
func (s *Store) Batching() *Batch {
	return &Batch{Store: s, turn: make(chan struct{}, 1), ops: make(map[api.Cid]*content)}
}

// Add remembers that the pin shall be stored.
func (b *Batch) Add(_ context.Context, pin api.Pin) error {
	if !pin.Cid.Defined() {
		return fmt.Errorf("adding a pin: %w", errNoCid)
	}
	next, err := encodePin(pin)
	if err != nil {
		return err
	}
	b.put(pin.Cid, next)
	return nil
}

// Rm remembers that the pin of c shall be removed.
func (b *Batch) Rm(_ context.Context, c api.Cid) error {
	if !c.Defined() {
		return nil
	}
	b.put(c, nil)
	return nil
}

func (b *Batch) put(c api.Cid, next *content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ops[c] = next
}

// Unmarshal adds every pin of the stream to the batch.
func (b *Batch) Unmarshal(r io.Reader) error {
	return readEntries(r, func(next *content) error {
		b.put(next.pin.Cid, next)
		return nil
	})
}

// Commit makes the writes that wait. After an error those that were not made
// wait for the next Commit. Of two at once one waits until the other has ended.
func (b *Batch) Commit(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for another Commit to end: %w", ctx.Err())
	}
	b.mu.Lock()
	ops := b.ops
	b.ops = make(map[api.Cid]*content)
	b.mu.Unlock()

	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for c, next := range ops {
		g.Go(func() error {
			err := gctx.Err()
			if err == nil {
				err = b.Store.replace(gctx, c, next)
			}
			if err != nil {
				b.putBack(c, next)
			}
			return err
		})
	}
	return answer(g.Wait())
}

// putBack keeps an operation for the next Commit, unless there is a newer one.
func (b *Batch) putBack(c api.Cid, next *content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, newer := b.ops[c]; !newer {
		b.ops[c] = next
	}
}

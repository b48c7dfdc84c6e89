package statetest

import (
	"context"
	"io"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// faulty is a store in which some methods are replaced.
type faulty struct {
	state.Store
	add       func(context.Context, api.Pin) error
	rm        func(context.Context, api.Cid) error
	get       func(context.Context, api.Cid) (api.Pin, error)
	has       func(context.Context, api.Cid) (bool, error)
	list      func(context.Context, chan<- api.Pin) error
	marshal   func(io.Writer) error
	unmarshal func(io.Reader) error
	migrate   func(context.Context, io.Reader) error
}

func (f faulty) Add(ctx context.Context, p api.Pin) error {
	if f.add != nil {
		return f.add(ctx, p)
	}
	return f.Store.Add(ctx, p)
}

func (f faulty) Rm(ctx context.Context, c api.Cid) error {
	if f.rm != nil {
		return f.rm(ctx, c)
	}
	return f.Store.Rm(ctx, c)
}

func (f faulty) Get(ctx context.Context, c api.Cid) (api.Pin, error) {
	if f.get != nil {
		return f.get(ctx, c)
	}
	return f.Store.Get(ctx, c)
}

func (f faulty) Has(ctx context.Context, c api.Cid) (bool, error) {
	if f.has != nil {
		return f.has(ctx, c)
	}
	return f.Store.Has(ctx, c)
}

func (f faulty) List(ctx context.Context, out chan<- api.Pin) error {
	if f.list != nil {
		return f.list(ctx, out)
	}
	return f.Store.List(ctx, out)
}

func (f faulty) Marshal(w io.Writer) error {
	if f.marshal != nil {
		return f.marshal(w)
	}
	return f.Store.Marshal(w)
}

func (f faulty) Unmarshal(r io.Reader) error {
	if f.unmarshal != nil {
		return f.unmarshal(r)
	}
	return f.Store.Unmarshal(r)
}

func (f faulty) Migrate(ctx context.Context, r io.Reader) error {
	if f.migrate != nil {
		return f.migrate(ctx, r)
	}
	return f.Store.Migrate(ctx, r)
}

type faultyBatching struct {
	faulty
	commit func(context.Context) error
}

func (f faultyBatching) Commit(ctx context.Context) error { return f.commit(ctx) }

// mutate returns a suite whose plain stores have a bug.
func mutate(bug func(state.Store) faulty) Suite {
	return Suite{
		New: func(tb testing.TB) state.Store {
			return bug(strictStore{newUpstream(tb, inmem.New())})
		},
		NewBatching: strictSuite().NewBatching,
	}
}

// mutateBatching returns a suite whose batching stores have a bug.
func mutateBatching(bug func(batching state.BatchingStore, committed state.Store) faultyBatching) Suite {
	s := strictSuite()
	sound := s.NewBatching
	s.NewBatching = func(tb testing.TB) (state.BatchingStore, state.Store) {
		batching, committed := sound(tb)
		return bug(batching, committed), committed
	}
	return s
}

// forward lists s into out by way of send, which is not called any more once
// it returned false. It closes nothing.
func forward(ctx context.Context, s state.Store, send func(api.Pin) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := make(chan api.Pin)
	returned := make(chan error, 1)
	go func() { returned <- s.List(ctx, in) }()
	for p := range in {
		if !send(p) {
			return nil
		}
	}
	return <-returned
}

// sendTo returns a send for forward that gives up when ctx ends.
func sendTo(ctx context.Context, out chan<- api.Pin) func(api.Pin) bool {
	return func(p api.Pin) bool {
		select {
		case out <- p:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

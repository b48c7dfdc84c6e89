package multipeer

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"

	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// watched is the store of one peer, which tells the tests how far the peer is.
type watched struct {
	*scyllastate.Store
	self peer.ID
	// members counts the reads of the peers that succeeded.
	members atomic.Int64
	// looks counts how often the peer has looked through all it has to do with.
	looks atomic.Int64
	feed  stop
}

var _ sharedpeer.Store = (*watched)(nil)

// ListMembers implements state.Members.
func (w *watched) ListMembers(ctx context.Context) ([]state.Member, error) {
	rows, err := w.Store.ListMembers(ctx)
	if err == nil {
		w.members.Add(1)
	}
	return rows, err
}

// ListOwn implements state.OwnPins.
func (w *watched) ListOwn(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	return w.looked(p, w.Store.ListOwn(ctx, p, after, f))
}

// ListPlaced implements state.OwnPins.
func (w *watched) ListPlaced(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	return w.looked(p, w.Store.ListPlaced(ctx, p, after, f))
}

func (w *watched) looked(p peer.ID, err error) error {
	if err == nil && p == w.self {
		w.looks.Add(1)
	}
	return err
}

// OpenFeed implements peer.Store. The feed tells the peer of nothing while it is
// stopped.
func (w *watched) OpenFeed(ctx context.Context, id peer.ID) (state.OwnFeed, error) {
	feed, err := w.Store.OpenFeed(ctx, id)
	if err != nil {
		return nil, err
	}
	return stoppable{feed, &w.feed}, nil
}

type stoppable struct {
	state.OwnFeed
	stop *stop
}

// Consume implements state.Feed.
func (f stoppable) Consume(ctx context.Context, handle state.Handler) error {
	return f.OwnFeed.Consume(ctx, func(ctx context.Context, ch state.Change) error {
		if err := f.stop.wait(ctx); err != nil {
			return err
		}
		return handle(ctx, ch)
	})
}

// stop holds up those who come by while it is set. The zero value holds up nobody.
type stop struct {
	mu    sync.Mutex
	ended chan struct{} // nil while it is not set
}

func (s *stop) set() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = make(chan struct{})
	}
}

func (s *stop) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
}

func (s *stop) wait(ctx context.Context) error {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

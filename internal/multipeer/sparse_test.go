package multipeer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Each look through what a peer holds reads 4096 partitions, and a peer does so
// three times when it starts. On small machines that is most of the time of a
// test, and nearly all of these partitions are empty. Worlds that are not whole
// spare that: partitions that were empty a moment ago are not read, and
// upstream's recovery does nothing.

// sparse is a store that does not read empty partitions of the placements.
type sparse struct {
	*scyllastate.Store
	w *world
	// lists counts the partitions that were asked for.
	lists atomic.Int64
	// members counts the reads of the peers that succeeded.
	members atomic.Int64

	mu     sync.Mutex
	looked time.Time
	filled map[string]bool
}

var _ sharedpeer.Store = (*sparse)(nil)

// sparseAge is how long what was seen of all partitions counts. A look through
// them takes longer.
const sparseAge = 100 * time.Millisecond

// ListPlacements implements state.Placements.
func (s *sparse) ListPlacements(ctx context.Context, p peer.ID, bucket int, f func(state.Placement) error) error {
	filled, err := s.look(ctx)
	s.lists.Add(1)
	if err != nil || !filled[partition(p.String(), bucket)] {
		return err
	}
	return s.Store.ListPlacements(ctx, p, bucket, f)
}

func partition(id string, bucket int) string { return fmt.Sprintf("%s/%d", id, bucket) }

// ListMembers implements state.Members.
func (s *sparse) ListMembers(ctx context.Context) ([]state.Member, error) {
	rows, err := s.Store.ListMembers(ctx)
	if err == nil {
		s.members.Add(1)
	}
	return rows, err
}

// look returns the partitions that are not empty. It fails when the peer is cut
// off from the database: the test's own way there must not help it.
func (s *sparse) look(ctx context.Context) (map[string]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < sparseAge {
		return s.filled, nil
	}
	// A read of the peer's own, so that an outage is one.
	if _, err := s.Store.ListMembers(ctx); err != nil {
		return nil, err
	}
	filled := make(map[string]bool)
	iter := s.w.sql.Query("SELECT DISTINCT peer, bucket FROM " + s.w.conf.Keyspace + ".placements").WithContext(ctx).Iter()
	var id string
	var bucket int
	for iter.Scan(&id, &bucket) {
		filled[partition(id, bucket)] = true
	}
	if err := iter.Close(); err != nil {
		return nil, err
	}
	s.looked, s.filled = time.Now(), filled
	return filled, nil
}

// noRecovery is a tracker that upstream's recovery does nothing with.
type noRecovery struct{ sharedpeer.Tracker }

func (noRecovery) RecoverAll(_ context.Context, out chan<- api.PinInfo) error {
	close(out)
	return nil
}

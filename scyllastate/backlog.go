package scyllastate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxBacklog bounds the CIDs that are kept of the changes a peer has not done yet,
// and with them the memory.
const maxBacklog = 1 << 16

// backlog returns the keys of changes for peer p that its cursor has not passed,
// sorted, by bucket, from one bucket up to another, next, of which there was no room
// for all. A peer without a cursor has none but the newest: it will begin to read
// there. One that has not started yet may have one, see appender.open.
func (s *Store) backlog(ctx context.Context, p peer.ID, from int) (changed map[int][][]byte, next int, err error) {
	name := p.String()
	at, err := s.tables.readCursor(ctx, name, name)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the cursor of feed %s: %w", name, err)
	}
	now := s.now()
	upTo, oldest := now.Add(s.lim.skew()), now.Add(-feedTTL)
	after := at.position
	switch {
	case at.holder == nil && at.position.IsZero():
		after = now.Add(-s.lim.window())
	case after.Before(oldest) || after.After(upTo): // the feed is read again from there
		after = oldest
	}
	found, feeds := newKeySet(maxBacklog, from), append(sharedFeeds(), name)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(ownReaders)
	for slot := slotOf(after); slot <= slotOf(upTo) && gctx.Err() == nil; slot++ {
		g.Go(func() error {
			return s.tables.readChanges(gctx, feeds, slot, after, upTo, func(r changeRow) error {
				found.add(r.cid)
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, fmt.Errorf("reading changes: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	changed, next = found.byBucket()
	return changed, next, nil
}

// keySet is a bounded set of the keys of CIDs, by bucket. When it is full it gives
// up the last bucket that it has, and takes no key of that and later ones any more.
// It keeps one bucket, however large. It is safe for concurrent use.
type keySet struct {
	most, from int

	mu      sync.Mutex
	n       int
	next    int // the first bucket of which keys may be missing
	buckets map[int]map[string]struct{}
}

func newKeySet(most, from int) *keySet {
	return &keySet{most: most, from: from, next: state.Buckets, buckets: make(map[int]map[string]struct{})}
}

func (k *keySet) add(key []byte) {
	c, err := api.CastCid(key)
	if err != nil {
		return // the feed logs it
	}
	bucket := state.Bucket(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	if bucket < k.from || bucket >= k.next {
		return
	}
	keys := k.buckets[bucket]
	if keys == nil {
		keys = make(map[string]struct{})
		k.buckets[bucket] = keys
	}
	if _, known := keys[string(key)]; known {
		return
	}
	keys[string(key)] = struct{}{}
	k.n++
	for k.n > k.most && len(k.buckets) > 1 {
		last := -1
		for b := range k.buckets {
			last = max(last, b)
		}
		k.next = last
		k.n -= len(k.buckets[last])
		delete(k.buckets, last)
	}
}

// byBucket returns the keys in order, and the first bucket of which some may be
// missing.
func (k *keySet) byBucket() (out map[int][][]byte, next int) {
	out = make(map[int][][]byte, len(k.buckets))
	for bucket, keys := range k.buckets {
		sorted := make([][]byte, 0, len(keys))
		for key := range keys {
			sorted = append(sorted, []byte(key))
		}
		slices.SortFunc(sorted, bytes.Compare)
		out[bucket] = sorted
	}
	return out, k.next
}

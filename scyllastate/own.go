package scyllastate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// ownReaders is how many partitions ListOwn reads at the same time.
	ownReaders = 16
	// maxUnconsumed bounds the CIDs of changes that the peer has not done yet,
	// and with them the memory.
	maxUnconsumed = 1 << 16
)

var _ state.OwnPins = (*Store)(nil)

// ListOwn implements state.OwnPins. A pin of peer p is found by one of three
// ways: p has a placement of it, every peer holds it, or its change is in a feed
// that p has not read so far. Each of them is in the order of the CIDs within a
// bucket, so that none is sent twice. When more than 65,536 CIDs have changes
// that p has not read, it does not wait for the rest of them: they reach p by its
// feed.
func (s *Store) ListOwn(ctx context.Context, p peer.ID, out chan<- api.Pin) error {
	defer close(out)
	ctx, span := trace.StartSpan(ctx, "state/scylla/ListOwn")
	defer span.End()

	buckets, err := s.ownBuckets(ctx, p)
	if err != nil {
		return answer(fmt.Errorf("listing the pins of peer %s: %w", p, err))
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(ownReaders)
	for bucket, in := range buckets {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return s.listOwnBucket(gctx, p, bucket, in, out) })
	}
	err = g.Wait()
	if err == nil {
		err = ctx.Err() // it may have ended between two buckets
	}
	if err != nil {
		return answer(fmt.Errorf("listing the pins of peer %s, incomplete: %w", p, err))
	}
	return nil
}

// ownBucket says where in one bucket there may be pins of a peer.
type ownBucket struct {
	placed, everywhere bool
	changed            [][]byte // sorted keys
}

// ownBuckets returns the buckets in which there may be pins of peer p.
func (s *Store) ownBuckets(ctx context.Context, p peer.ID) (map[int]*ownBucket, error) {
	// The changes come first. One that p has done by then has left a placement,
	// which is there when the buckets are read.
	changed, err := s.unconsumed(ctx, p)
	if err != nil {
		return nil, err
	}
	placed, err := s.bucketsOf(ctx, p.String())
	if err != nil {
		return nil, err
	}
	everywhere, err := s.bucketsOf(ctx, everyPeer)
	if err != nil {
		return nil, err
	}
	buckets := make(map[int]*ownBucket)
	at := func(bucket int) *ownBucket {
		if buckets[bucket] == nil {
			buckets[bucket] = new(ownBucket)
		}
		return buckets[bucket]
	}
	for bucket, keys := range changed {
		at(bucket).changed = keys
	}
	for _, bucket := range placed {
		at(bucket).placed = true
	}
	for _, bucket := range everywhere {
		at(bucket).everywhere = true
	}
	return buckets, nil
}

// listOwnBucket sends the pins of one bucket.
func (s *Store) listOwnBucket(ctx context.Context, p peer.ID, bucket int, in *ownBucket, out chan<- api.Pin) error {
	sources := []func() []byte{sliceKeys(in.changed)}
	var readers []*keyReader
	read := func(stmt string, values ...any) {
		k := s.keys(ctx, stmt, values...)
		readers, sources = append(readers, k), append(sources, k.next)
	}
	if in.placed {
		read(selectPlacedKeys, p.String(), bucket)
	}
	if in.everywhere {
		read(selectEverywhereKeys, bucket)
	}
	err := merge(func(key []byte) error { return s.sendOwn(ctx, p, key, out) }, sources...)
	for _, k := range readers {
		if e := k.close(); err == nil && e != nil {
			err = fmt.Errorf("reading bucket %d: %w", bucket, e)
		}
	}
	return err
}

// sendOwn sends the pin with the given key if it is one of peer p. What led to
// the key may be out of date, the pin decides.
func (s *Store) sendOwn(ctx context.Context, p peer.ID, key []byte, out chan<- api.Pin) error {
	c, err := api.CastCid(key)
	if err != nil {
		logger.Errorf("passing over the key 0x%x of peer %s, which is no CID: %s", key, p, err)
		return nil
	}
	r, err := s.readRow(ctx, c, gocql.Quorum)
	if err != nil {
		return err
	}
	pin, err := r.decode(c)
	if err != nil {
		// Nobody knows whose it is. Whoever replaces it tells every peer.
		logger.Errorf("listing the pins of peer %s: %s", p, err)
		return nil
	}
	if pin == nil || pin.Type == api.MetaType || pin.IsRemotePin(p) {
		return nil
	}
	return send(ctx, out, *pin)
}

// keyReader reads the keys of one partition in their order.
type keyReader struct {
	rows *scylla.Rows
}

func (s *Store) keys(ctx context.Context, stmt string, values ...any) *keyReader {
	return &keyReader{s.db.Rows(ctx, gocql.Quorum, placementsPage, scylla.Bind(stmt, values...))}
}

// next returns nil at the end, also after an error, which close returns.
func (k *keyReader) next() []byte {
	var key []byte
	if !k.rows.Next(&key) {
		return nil
	}
	return key
}

func (k *keyReader) close() error { return k.rows.Close() }

// sliceKeys reads the keys of a slice.
func sliceKeys(keys [][]byte) func() []byte {
	return func() []byte {
		if len(keys) == 0 {
			return nil
		}
		key := keys[0]
		keys = keys[1:]
		return key
	}
}

// merge calls f once for each key of sources that are in order, each of which
// returns nil at its end. It ends with the first error of f.
func merge(f func(key []byte) error, sources ...func() []byte) error {
	heads := make([][]byte, len(sources))
	for i, next := range sources {
		heads[i] = next()
	}
	for {
		var least []byte
		for _, key := range heads {
			if key != nil && (least == nil || bytes.Compare(key, least) < 0) {
				least = key
			}
		}
		if least == nil {
			return nil
		}
		if err := f(least); err != nil {
			return err
		}
		for i, next := range sources {
			for heads[i] != nil && bytes.Equal(heads[i], least) {
				heads[i] = next()
			}
		}
	}
}

// errEnough ends the reading of changes when there are too many.
var errEnough = errors.New("enough changes")

// unconsumed returns the keys of changes for peer p that its cursor has not
// passed, sorted, by bucket. A peer without a cursor has none but the newest: it
// will begin to read there.
func (s *Store) unconsumed(ctx context.Context, p peer.ID) (map[int][][]byte, error) {
	name := p.String()
	at, err := s.tables.readCursor(ctx, name, name)
	if err != nil {
		return nil, fmt.Errorf("reading the cursor of feed %s: %w", name, err)
	}
	now := s.now()
	upTo, oldest := now.Add(s.lim.skew()), now.Add(-feedTTL)
	after := at.position
	switch {
	case at.holder == nil:
		after = now.Add(-s.lim.window())
	case after.Before(oldest) || after.After(upTo): // the feed is read again from there
		after = oldest
	}
	sources := []string{name}
	for shard := range everywhereShards {
		sources = append(sources, "*/"+strconv.Itoa(shard))
	}
	found := newKeySet(maxUnconsumed)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(ownReaders)
	for slot := slotOf(after); slot <= slotOf(upTo) && gctx.Err() == nil; slot++ {
		for _, source := range sources {
			g.Go(func() error {
				return s.tables.readChanges(gctx, source, slot, after, upTo, func(r changeRow) error { return found.add(r.cid) })
			})
		}
	}
	switch err := g.Wait(); {
	case errors.Is(err, errEnough):
		logger.Warnf("listing the pins of peer %s: its feed is behind by more than %d changes, those after them are left out", p, maxUnconsumed)
	case err != nil:
		return nil, fmt.Errorf("reading changes: %w", err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return found.byBucket(), nil
}

// keySet is a bounded set of the keys of CIDs. It is safe for concurrent use.
type keySet struct {
	most int
	mu   sync.Mutex
	keys map[string]struct{}
}

func newKeySet(most int) *keySet { return &keySet{most: most, keys: make(map[string]struct{})} }

// add returns errEnough when there is no room for the key.
func (k *keySet) add(key []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.keys[string(key)]; !known && len(k.keys) == k.most {
		return errEnough
	}
	k.keys[string(key)] = struct{}{}
	return nil
}

// byBucket returns the keys in order; those that are no CIDs are left out.
func (k *keySet) byBucket() map[int][][]byte {
	out := make(map[int][][]byte)
	for key := range k.keys {
		c, err := api.CastCid([]byte(key))
		if err != nil {
			continue // the feed logs it
		}
		bucket := bucketOf(c)
		out[bucket] = append(out[bucket], []byte(key))
	}
	for _, keys := range out {
		slices.SortFunc(keys, bytes.Compare)
	}
	return out
}

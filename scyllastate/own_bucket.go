package scyllastate

import (
	"bytes"
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// ListBucket implements state.OwnPins. It makes two requests.
func (s *Store) ListBucket(ctx context.Context, p peer.ID, bucket int, f func(state.Own) error) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/ListBucket")
	defer span.End()

	err := checkBucket(bucket)
	if err == nil {
		err = s.readOwn(ctx, p, ownBucket{number: bucket, placed: true, everywhere: true}, f)
	}
	return incomplete(p, err)
}

// readOwn calls f for what there is in one bucket.
func (s *Store) readOwn(ctx context.Context, p peer.ID, b ownBucket, f func(state.Own) error) error {
	sources := []ownSource{&changedKeys{keys: b.changed}}
	if b.placed {
		sources = append(sources, &placedRows{rows: s.placements(ctx, p, b.number), peer: p})
	}
	if b.everywhere {
		sources = append(sources, &everywhereKeys{rows: s.everywhereKeys(ctx, b.number)})
	}
	defer func() {
		for _, source := range sources {
			_ = source.close() // what was not read does not matter
		}
	}()
	return mergeBucket(p, b.number, sources, f)
}

// mergeBucket calls f for what the sources of a bucket of peer p have.
func mergeBucket(p peer.ID, bucket int, sources []ownSource, f func(state.Own) error) error {
	return mergeOwn(bucket, sources, func(key []byte, own state.Own) error {
		c, err := api.CastCid(key)
		if err != nil {
			logger.Errorf("passing over the key 0x%x of peer %s, which is not a CID: %s", key, p, err)
			return nil
		}
		own.Cid = c
		if own.Placement != nil {
			own.Placement.Cid = c
		}
		return f(own)
	})
}

// mergeOwn calls f once for each key of a bucket's sources, which are in order, with
// what all of them know of it. It ends with the first error of f, and with a
// BucketError where a source fails: what the others have from there on would look as
// if that one did not know it.
func mergeOwn(bucket int, sources []ownSource, f func(key []byte, own state.Own) error) error {
	heads := make([][]byte, len(sources))
	advance := func(i int) error {
		if heads[i] = sources[i].next(); heads[i] != nil {
			return nil
		}
		if err := sources[i].close(); err != nil {
			return &state.BucketError{Bucket: bucket, Err: err}
		}
		return nil
	}
	for i := range sources {
		if err := advance(i); err != nil {
			return err
		}
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
		var own state.Own
		for i, source := range sources {
			for heads[i] != nil && bytes.Equal(heads[i], least) {
				source.mark(&own)
				if err := advance(i); err != nil {
					return err
				}
			}
		}
		if err := f(least, own); err != nil {
			return err
		}
	}
}

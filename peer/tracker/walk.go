package tracker

import (
	"bytes"
	"context"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// listBatch is how many pins a listing reads together.
const listBatch = 256

// walk calls f for what list lists and for what is worked on, in order and some
// hundreds at a time.
func (t *Tracker) walk(ctx context.Context, list func(context.Context, peer.ID, state.Place, func(state.Own) error) error, f func(context.Context, []entry) error) error {
	var batch []entry
	add := func(e entry) error {
		batch = append(batch, e)
		if len(batch) < listBatch {
			return nil
		}
		full := batch
		batch = nil
		return f(ctx, full)
	}
	ops := &opWalk{t: t}
	err := list(ctx, t.opts.Self, state.Place{}, func(own state.Own) error {
		if err := ops.upTo(own.Cid, add); err != nil {
			return err
		}
		return add(entry{Own: own, view: t.view(own.Cid)})
	})
	if err == nil {
		err = ops.rest(add)
	}
	if err == nil && len(batch) > 0 {
		err = f(ctx, batch)
	}
	return err
}

// opWalk goes through what is worked on, in order.
type opWalk struct {
	t      *Tracker
	bucket int
	read   bool // of bucket
	ops    []entry
}

// upTo adds what comes before a CID, and leaves that one out.
func (w *opWalk) upTo(c api.Cid, add func(entry) error) error {
	bucket, key := state.Bucket(c), c.Bytes()
	for w.bucket < bucket {
		if err := w.endBucket(add); err != nil {
			return err
		}
	}
	w.readBucket()
	for len(w.ops) > 0 && bytes.Compare(w.ops[0].Cid.Bytes(), key) <= 0 {
		e := w.ops[0]
		w.ops = w.ops[1:]
		if e.Cid == c {
			continue
		}
		if err := add(e); err != nil {
			return err
		}
	}
	return nil
}

// rest adds what is left.
func (w *opWalk) rest(add func(entry) error) error {
	for w.bucket < state.Buckets {
		if err := w.endBucket(add); err != nil {
			return err
		}
	}
	return nil
}

func (w *opWalk) endBucket(add func(entry) error) error {
	w.readBucket()
	for _, e := range w.ops {
		if err := add(e); err != nil {
			return err
		}
	}
	w.bucket++
	w.read, w.ops = false, nil
	return nil
}

func (w *opWalk) readBucket() {
	if w.read {
		return
	}
	w.read = true
	b := &w.t.buckets[w.bucket]
	b.mu.Lock()
	defer b.mu.Unlock()
	for c, o := range b.ops {
		if v := o.view(); v.phase != idle {
			w.ops = append(w.ops, entry{Own: state.Own{Cid: c}, view: v})
		}
	}
	slices.SortFunc(w.ops, func(a, b entry) int { return bytes.Compare(a.Cid.Bytes(), b.Cid.Bytes()) })
}

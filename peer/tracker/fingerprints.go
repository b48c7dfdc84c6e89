package tracker

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxFingerprints bounds what is kept of Kubo's pins: 32 MB. Beyond it the pins of
// the first buckets are kept, and Kubo lists them again for the others.
const maxFingerprints = 4 << 20

// fingerprints are the pins of IPFS in some buckets, as 64 bits of a hash each. That
// IPFS has lost one of ten million pins is missed once in 10¹² lists, and seen in the
// next one: its seed is another.
type fingerprints struct {
	seed     maphash.Seed
	began    time.Time
	from, to int // buckets, to is not of it
	kept     int
	// recursive and direct are by bucket; those of a bucket are in order once it
	// was asked for.
	recursive, direct [state.Buckets][]uint64
	sorted            int // bucket
}

// listKubo lists the pins of IPFS in the buckets from one on, as many as may be kept.
// The recursive ones come last: by what it lists last, upstream's connector tells how
// many pins there are.
func (t *Tracker) listKubo(ctx context.Context, from int) (*fingerprints, error) {
	// A row has its time in milliseconds.
	f := &fingerprints{seed: maphash.MakeSeed(), began: time.Now().Truncate(time.Millisecond), from: from, to: state.Buckets, sorted: -1}
	for _, kind := range []api.IPFSPinStatus{api.IPFSPinStatusDirect, api.IPFSPinStatusRecursive} {
		if err := t.listKind(ctx, kind, func(c api.Cid) { f.add(kind, c) }); err != nil {
			return nil, fmt.Errorf("listing what IPFS has pinned: %w", err)
		}
	}
	return f, nil
}

// listKind calls f for each pin of a kind that IPFS has.
func (t *Tracker) listKind(ctx context.Context, kind api.IPFSPinStatus, f func(api.Cid)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := make(chan api.IPFSPinInfo, 1024)
	listed := make(chan error, 1)
	go func() { listed <- t.opts.Daemon.PinLs(ctx, []string{kind.String()}, out) }()
	var wrong error
	for info := range out {
		if wrong == nil && info.Type != kind {
			wrong = fmt.Errorf("asked for %s pins it lists %s as %s", kind, info.Cid, info.Type)
			cancel()
		}
		f(info.Cid)
	}
	if err := <-listed; wrong == nil {
		return err
	}
	return wrong
}

func (f *fingerprints) hash(c api.Cid) uint64 { return maphash.Bytes(f.seed, c.Bytes()) }

// add keeps a pin. When there are too many the upper half of the buckets goes.
func (f *fingerprints) add(kind api.IPFSPinStatus, c api.Cid) {
	bucket := state.Bucket(c)
	if bucket < f.from || bucket >= f.to {
		return
	}
	of := f.of(kind)
	of[bucket] = append(of[bucket], f.hash(c))
	f.kept++
	for f.kept > maxFingerprints && f.to-f.from > 1 {
		half := (f.from + f.to) / 2
		for b := half; b < f.to; b++ {
			f.kept -= len(f.recursive[b]) + len(f.direct[b])
			f.recursive[b], f.direct[b] = nil, nil
		}
		f.to = half
	}
}

func (f *fingerprints) of(kind api.IPFSPinStatus) *[state.Buckets][]uint64 {
	if kind == api.IPFSPinStatusDirect {
		return &f.direct
	}
	return &f.recursive
}

// listed is what a list of IPFS says of a CID.
type listed struct {
	recursive, direct bool
	// began is when the list did.
	began time.Time
}

// has reports whether IPFS has listed the pin, to its depth.
func (l listed) has(depth api.PinDepth) bool {
	if depth == 0 {
		return l.direct
	}
	return l.recursive
}

// find looks for a CID. Buckets must be asked for in order: those before are
// forgotten.
func (f *fingerprints) find(c api.Cid) listed {
	bucket := state.Bucket(c)
	if bucket != f.sorted {
		for b := max(f.sorted, 0); b < bucket; b++ {
			f.recursive[b], f.direct[b] = nil, nil
		}
		slices.Sort(f.recursive[bucket])
		slices.Sort(f.direct[bucket])
		f.sorted = bucket
	}
	found := listed{began: f.began}
	_, found.recursive = slices.BinarySearch(f.recursive[bucket], f.hash(c))
	_, found.direct = slices.BinarySearch(f.direct[bucket], f.hash(c))
	return found
}

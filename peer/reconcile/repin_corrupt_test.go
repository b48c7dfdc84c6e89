package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// inOneBucket returns so many CIDs of one bucket. Their digests are no hashes, of which it
// would take too many.
func inOneBucket(t *testing.T, n int) []api.Cid {
	t.Helper()
	var cids []api.Cid
	for i := uint64(0); len(cids) < n; i++ {
		hash, err := mh.Encode(binary.BigEndian.AppendUint64(make([]byte, 24), i), mh.SHA2_256)
		if err != nil {
			t.Fatal(err)
		}
		if c := api.NewCid(cid.NewCidV1(cid.Raw, hash)); hashOf(c, state.Buckets) == 0 {
			cids = append(cids, c)
		}
	}
	return cids
}

// TestUndecodablePinsHoldUpNothing: pins that cannot be decoded are reported and
// looked at again at times, however many there are, and the others of their
// bucket move.
func TestUndecodablePinsHoldUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		const bad = 2 * maxBucketErrors
		broken := map[api.Cid]bool{}
		cids := inOneBucket(t, bad+5)
		for i, c := range cids {
			pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
			pin.Allocations = []peer.ID{bob}
			w.store.write(c, &pin)
			w.store.hold(bob, c, state.PlacementPinned)
			broken[c] = i < bad
		}
		clear(w.store.feeds)
		w.store.fail = func(call string, c api.Cid) error {
			if call == "GetVersion" && broken[c] {
				return fmt.Errorf("the stored pin of %s is %w", c, state.ErrCorrupt)
			}
			return nil
		}
		w.die(bob)
		l := newRepin(w.reconciler(alice))
		err := l.pass(t.Context())
		for _, c := range cids[bad:] {
			w.wantHolders(c, alice)
		}
		if !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("%d pins of", bad)) {
			t.Errorf("the pass returned %v", err)
		}
		passes := func(d time.Duration) {
			t.Helper()
			for range d / (30 * time.Second) {
				pass(30 * time.Second)
				if err := l.pass(t.Context()); err != nil && !errors.Is(err, state.ErrCorrupt) {
					t.Fatal(err)
				}
			}
		}
		passes(starvedFactor*30*time.Second - time.Minute)
		if n := w.store.count("ListPlacements bob"); n != 1 {
			t.Errorf("the bucket was listed %d times in a short while, want once", n)
		}
		clear(broken)
		passes(2 * time.Minute)
		for _, c := range cids {
			w.wantHolders(c, alice)
		}
	})
}

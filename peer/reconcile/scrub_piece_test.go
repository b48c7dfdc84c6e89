package reconcile

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// inFirstPiece returns so many CIDs that hashOf puts there. Their digests are no
// hashes, and it goes on with one FNV-1a over what they have in common.
func inFirstPiece(t *testing.T, n int) []api.Cid {
	t.Helper()
	common := append([]byte{1, 0x55, 0x12, 0x20}, make([]byte, 24)...) // CIDv1, raw, sha2-256
	h := fnv.New32a()
	_, _ = h.Write(common)
	var cids []api.Cid
	for i := uint64(0); len(cids) < n; i++ {
		rest := binary.BigEndian.AppendUint64(nil, i)
		sum := h.Sum32()
		for _, b := range rest {
			sum = (sum ^ uint32(b)) * 16777619
		}
		if sum%scrubPieces != 0 {
			continue
		}
		c, err := api.CastCid(append(slices.Clone(common), rest...))
		if err != nil || hashOf(c, scrubPieces) != 0 {
			t.Fatalf("%s: %v", c, err)
		}
		cids = append(cids, c)
	}
	return cids
}

// TestScrubGoesOnWithinAPiece: one read that fails does not have a scrub look at all
// of a large piece again, whatever fails, and nothing is left out.
func TestScrubGoesOnWithinAPiece(t *testing.T) {
	const pins = 2*scrubStep + scrubStep/2
	cids := inFirstPiece(t, pins)
	// One of so many calls fails: before all pins are looked at, and not in each step.
	for broken, every := range map[string]int{"GetPlacementsOf": pins / 2, "scanned": pins / 2, "Tell": 2*scrubStep/maxTell + 1} {
		t.Run(broken, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice)
				for _, c := range cids {
					pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
					pin.Allocations = []peer.ID{alice}
					w.store.write(c, &pin) // which it has not heard of
				}
				pass(scrubAge + time.Second)
				calls, failures := 0, 0
				w.store.fail = func(call string, _ api.Cid) error {
					w.store.mu.Lock()
					defer w.store.mu.Unlock()
					if call != broken {
						return nil
					}
					if calls++; calls%every == 0 {
						failures++
						return context.DeadlineExceeded
					}
					return nil
				}
				l := &pinsetScrub{r: w.reconciler(alice)}
				for tries := 1; l.share(t.Context(), 0) != nil; tries++ {
					if tries == maxPieceTries {
						t.Fatal("the piece is not done, and the next one comes")
					}
				}
				if failures == 0 {
					t.Fatal("nothing failed")
				}
				told := make(map[api.Cid]bool)
				for _, c := range w.store.told[alice] {
					told[c] = true
				}
				if len(told) != pins {
					t.Errorf("%d of %d pins were left out", pins-len(told), pins)
				}
				if n, most := w.store.count("GetPlacementsOf"), pins+failures*(scrubStep+1); n > most {
					t.Errorf("%d placements were read for %d pins and %d failures, want %d at most", n, pins, failures, most)
				}
			})
		})
	}
}

// TestScrubGivesUpAPiece: where it comes no further, the error is told and the next
// piece begins anew.
func TestScrubGivesUpAPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		c := w.addUnheld(1, 1, 1, alice)
		pass(scrubAge + time.Second)
		broken := errors.New("broken")
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "GetPlacementsOf" {
				return broken
			}
			return nil
		}
		piece := hashOf(c, scrubPieces)
		l := &pinsetScrub{r: w.reconciler(alice)}
		for range maxPieceTries {
			if err := l.share(t.Context(), piece); !errors.Is(err, broken) {
				t.Errorf("the piece ended with %v", err)
			}
		}
		if err := l.share(t.Context(), (piece+1)%scrubPieces); err != nil {
			t.Error(err)
		}
		w.store.fail = nil
		if err := l.share(t.Context(), piece); err != nil || len(w.store.toldOf(c)) == 0 {
			t.Errorf("in the next round: %v", err)
		}
	})
}

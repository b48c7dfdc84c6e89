package reconcile

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestStraysAreReadTogether: what the peers hold is compared with many pins a request,
// and each peer is told of what it should not hold, and of nothing else.
func TestStraysAreReadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		const many = 300
		s := &strays{store: w.store, tell: newTeller(w.store)}
		want := make(map[string]bool)
		var cids []api.Cid
		for n := range many {
			cids = append(cids, w.addUnheld(n, 1, 2, alice, bob))
			switch n % 50 {
			case 7: // nobody's
				w.store.write(cids[n], nil)
				want[fmt.Sprint(alice, cids[n])], want[fmt.Sprint(bob, cids[n])] = true, true
			case 9:
				w.addUnheld(n, 1, 1, alice)
				want[fmt.Sprint(bob, cids[n])] = true
			}
		}
		w.store.corrupt = cids[3]
		old := time.Now()
		pass(scrubAge + time.Second)
		young := w.addUnheld(many, 1, 1, alice)
		for _, c := range cids {
			for _, p := range []peer.ID{alice, bob} {
				if err := s.look(t.Context(), p, state.Placement{Cid: c, Updated: old}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.look(t.Context(), bob, state.Placement{Cid: young, Updated: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.rest(t.Context()), s.tell.flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		for p, told := range w.store.told {
			for _, c := range told {
				if key := fmt.Sprint(p, c); !want[key] {
					t.Errorf("%s is told of %s", p, c)
				} else {
					delete(want, key)
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("nobody was told of %v", want)
		}
		if n := w.store.count("GetVersions"); n > 2*many/50 || w.store.count("GetVersion") > 0 {
			t.Errorf("%d requests for %d placements, and %d for one pin", n, 2*many, w.store.count("GetVersion"))
		}
	})
}

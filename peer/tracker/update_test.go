package tracker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// noUpdates is a daemon that updates no pin, and may lose the other one meanwhile.
type noUpdates struct {
	*ipfs
	loses bool
	made  []api.Pin
}

var errNoUpdate = errors.New("'from' cid was not recursively pinned already")

func (n *noUpdates) Pin(ctx context.Context, pin api.Pin) error {
	n.made = append(n.made, pin)
	if !pin.PinUpdate.Defined() {
		return n.ipfs.Pin(ctx, pin)
	}
	if n.loses {
		n.edit(func() { delete(n.pins, pin.PinUpdate) })
	}
	return errNoUpdate
}

// TestUpdateOfUnpinned: an update that fails as the other pin was unpinned since it was
// looked at is made as a pin of its own; one that fails otherwise has failed.
func TestUpdateOfUnpinned(t *testing.T) {
	from, to := statetest.Cid("from"), statetest.Cid("to")
	for name, tt := range map[string]struct {
		pinned, loses bool
		want          error
		made          int
	}{
		"unpinned meanwhile": {true, true, nil, 2},
		"still pinned":       {true, false, errNoUpdate, 1},
		"was not pinned":     {false, false, errNoUpdate, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				daemon := &noUpdates{ipfs: newIPFS(), loses: tt.loses}
				if tt.pinned {
					daemon.pins[from] = -1
				}
				r := newRig(t, newStore(), daemon.ipfs, func(o *Options) { o.Daemon = daemon })
				pin := api.PinWithOpts(to, api.PinOptions{PinUpdate: from, Name: "kept"})
				if err := r.update(t.Context(), pin); !errors.Is(err, tt.want) {
					t.Errorf("update = %v, want %v", err, tt.want)
				}
				if n := len(daemon.made); n != tt.made || daemon.made[n-1].Name != "kept" {
					t.Errorf("asked for %v", daemon.made)
				}
				if daemon.has(to) != (tt.want == nil) {
					t.Errorf("pinned: %t", daemon.has(to))
				}
			})
		})
	}
}

// TestUpdateWhileKuboIsDown: whether the other pin is there is not known then, so that
// the update is not tried, nor made as a pin of its own.
func TestUpdateWhileKuboIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daemon := &noUpdates{ipfs: newIPFS()}
		daemon.down = true
		r := newRig(t, newStore(), daemon.ipfs, func(o *Options) { o.Daemon = daemon })
		pin := api.PinWithOpts(statetest.Cid("to"), api.PinOptions{PinUpdate: statetest.Cid("from")})
		if err := r.update(t.Context(), pin); err == nil || len(daemon.made) != 0 {
			t.Errorf("update = %v, asked for %v", err, daemon.made)
		}
	})
}

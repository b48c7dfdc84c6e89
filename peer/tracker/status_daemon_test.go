package tracker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// mute is an IPFS daemon that does not say what it has.
type mute struct{ *ipfs }

func (mute) PinLsCid(context.Context, api.Pin) (api.IPFSPinStatus, error) {
	return api.IPFSPinStatusBug, errors.New("connection refused")
}

// TestStatusWithoutDaemon: of a pin that IPFS cannot be asked about is told what is
// known of it.
func TestStatusWithoutDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daemon := newIPFS()
		r := newRig(t, newStore(), daemon, func(o *Options) { o.Daemon = mute{daemon} })
		pin := r.own("a")
		r.store.set(pin.Cid, pin)
		info := r.Status(t.Context(), pin.Cid)
		if info.Status != api.TrackerStatusClusterError || info.Error != "connection refused" {
			t.Errorf("%s: %s", info.Status, info.Error)
		}
		if info.Name != pin.Name || !info.Created.Equal(pin.Timestamp) || len(info.Allocations) != len(pin.Allocations) {
			t.Errorf("%+v is not of %+v", info, pin)
		}
	})
}

package reconcile

import (
	"slices"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// allocatedTo tells whether the pin names the peer. A pin that every peer holds
// names none.
func allocatedTo(pin api.Pin, p peer.ID) bool {
	return pin.Type != api.MetaType && !pin.IsPinEverywhere() && slices.Contains(pin.Allocations, p)
}

// mayHold tells whether the peer is right to have a placement of the pin (nil:
// it is not in the pinset). IPFS pins nothing for a meta pin, which some peers
// list nevertheless.
func mayHold(pin *api.Pin, p peer.ID) bool {
	return pin != nil && (pin.Type == api.MetaType || !pin.IsRemotePin(p))
}

// mustHold returns the peers that have to have a placement of the pin.
func mustHold(pin api.Pin, view membership.View) []peer.ID {
	if pin.Type == api.MetaType {
		return nil
	}
	if !pin.IsPinEverywhere() {
		return slices.DeleteFunc(slices.Clone(pin.Allocations), func(p peer.ID) bool {
			member, ok := view.Get(p)
			return !ok || member.Removed
		})
	}
	return slices.DeleteFunc(view.Live(), func(p peer.ID) bool {
		member, _ := view.Get(p)
		return member.Role == membership.RoleAPI
	})
}

// without returns a copy of peers that lacks p.
func without(peers []peer.ID, p peer.ID) []peer.ID {
	return slices.DeleteFunc(slices.Clone(peers), func(q peer.ID) bool { return q == p })
}

// goneSince is when a member that is gone was removed or found dead.
func goneSince(p membership.Peer) time.Time {
	if p.Removed {
		return p.RemovedAt
	}
	return p.DeadSince
}

// share names one part of divided work.
func share(work string, part int) []byte {
	return strconv.AppendInt([]byte(work+"/"), int64(part), 10)
}

// bucketShare names the work on one bucket of the placements of a peer.
func bucketShare(p peer.ID, bucket int) []byte {
	return strconv.AppendInt([]byte(string(p)+"|"), int64(bucket), 10)
}

package state

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Change tells a peer that it must bring its IPFS daemon in line with the pin
// of one CID.
type Change struct {
	// Cid names what changed.
	Cid api.Cid
	// Pin is the pin as it is stored now, which may be newer than the write
	// that caused this Change. It is nil when Cid is not in the pinset.
	Pin *api.Pin
}

// Handler is called with one Change. An error asks for it again.
type Handler func(context.Context, Change) error

// Feed delivers, to one peer, every change of a pin that concerns it: pins it
// is or was allocated to, and pins that every peer holds.
type Feed interface {
	// Consume calls handle for each change until ctx ends, and then returns
	// the error of ctx. Calls for one CID are made one after another in the
	// order of the writes; calls for different CIDs may overlap. Several
	// writes of one CID may arrive as one Change that shows the last of
	// them. A Change is delivered at least once: it counts as delivered when
	// handle returns nil, and comes again, also after a restart, when handle
	// fails or the process dies before.
	//
	// Errors of the database do not end Consume: it logs them and goes on.
	// It ends before ctx does only when the feed is read by another process
	// under the same name; its error then says so.
	Consume(ctx context.Context, handle Handler) error
}

package state

import (
	"context"
	"errors"

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
	// Rev is the revision of Pin, or of its removal. It is zero when the
	// pinset does not know the CID any more.
	Rev Revision
	// Traceparent is the W3C trace context of a write that caused this
	// Change, empty when it was not sampled.
	Traceparent string
}

// Handler acts on one Change. An error asks for it again. A Handler MUST NOT
// wait for work that others do: it returns ErrNotYet, and is asked again soon.
type Handler func(context.Context, Change) error

// ErrNotYet is what a Handler returns while the work on a Change goes on
// elsewhere. It is no failure.
var ErrNotYet = errors.New("the work on the change is not done yet")

// OwnFeed is the Feed of the peer that runs in this process.
type OwnFeed interface {
	Feed
	// Lagging reports that the peer is so far behind that it could lose
	// changes if it got more.
	Lagging() bool
}

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

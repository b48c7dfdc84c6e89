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
	// First is set if Pin is a recursive one that a write has made, where there was
	// none nor a removal that is remembered, and that write is told by this Change:
	// as long as this is not delivered, the next process has it as Unpassed.
	First bool
	// Unpassed is set if such a write was told to this peer before the Feed was
	// opened, and was not passed: an earlier process may have acted on it and have
	// left no trace of that but in its IPFS daemon.
	Unpassed bool
	// Done ends a Change for which the Handler returned ErrLater: with nil it
	// is delivered, with an error it comes again. It may be called from any
	// goroutine, also before the Handler returns. Nothing happens if the
	// Handler was called for the CID again meanwhile: that call takes over what
	// this one was for.
	Done func(error)
}

// Handler acts on one Change. An error asks for it again. A Handler MUST NOT
// wait for work that goes on elsewhere: it returns ErrLater and calls
// Change.Done, or returns ErrNotYet and is asked again soon.
type Handler func(context.Context, Change) error

// ErrLater is what a Handler returns that calls Change.Done when the work is
// done. Until then the Change counts as not delivered, and costs nothing.
var ErrLater = errors.New("the work on the change ends later")

// ErrBusy is what a Handler returns that has no room for the work on the Change. No
// Handler is called for a while then, whatever the Change: one after another, until
// there is room for what was refused.
var ErrBusy = errors.New("there is no room for the work on the change")

// ErrNotYet is what a Handler returns while the work on a Change goes on
// elsewhere. It is no failure.
var ErrNotYet = errors.New("the work on the change is not done yet")

// OwnFeed is the Feed of the peer that runs in this process.
type OwnFeed interface {
	Feed
	// Lagging reports that the peer is so far behind that it could lose
	// changes if it got more.
	Lagging() bool
	// Missed reports that changes may have been lost: the Feed was not read for longer
	// than they are kept, or never, before it was opened, or before an earlier process
	// opened it that has not called Compared. It does not change.
	Missed() bool
	// Compared says that the peer has made up for what was missed: it has compared all
	// that it holds with the pinset since the Feed was opened, and what it has found is
	// done, or remembered elsewhere. After it the next process has missed nothing for
	// that reason. It may be repeated, after an error as well, and does nothing where
	// nothing was missed, or another process has opened the Feed.
	Compared(ctx context.Context) error
}

// Feed delivers, to one peer, every change of a pin that concerns it: pins it
// is or was allocated to, and pins that every peer holds.
type Feed interface {
	// Consume calls handle for each change until ctx ends, and then returns
	// the error of ctx. Calls for one CID are made one after another in the
	// order of the writes; calls for different CIDs may overlap. Several
	// writes of one CID may arrive as one Change that shows the last of
	// them; one that arrives while the work on an earlier one goes on (see
	// ErrLater) is not held up by it. A Change is delivered at least once: it
	// counts as delivered when handle returns nil or ends it by Change.Done,
	// and comes again, also after a restart, when handle fails or the process
	// dies before.
	//
	// Errors of the database do not end Consume: it logs them and goes on.
	// It ends before ctx does only when the feed is read by another process
	// under the same name; its error then says so.
	Consume(ctx context.Context, handle Handler) error
}

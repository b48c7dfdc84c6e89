package state

import (
	"context"
	"errors"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
)

// Store is the pinset. It is upstream's interface under the name this project
// uses; the obligations of an implementation are in the package comment.
type Store = clusterstate.State

// BatchingStore is a Store whose writes wait for Commit.
type BatchingStore = clusterstate.BatchingState

// ErrNotFound says that a CID is not in the pinset. Upstream compares it with
// == and, across RPC, by its text: it MUST be returned bare, never wrapped.
var ErrNotFound = clusterstate.ErrNotFound

// Updater changes one pin by compare-and-set.
type Updater interface {
	// Update calls f with the pin of c as it is stored (nil: not in the
	// pinset) and stores what f returns (nil: remove it), provided that
	// nobody changed the pin in between. Otherwise f is called again with
	// the pin as it is then: f MUST be free of side effects and MUST NOT
	// keep or change its argument. Other writers MUST NOT be held up while f
	// runs. An error of f ends the update, nothing
	// is written, and Update returns that error as it is.
	//
	// When Update returns nil the change is durable. When it returns an
	// error that matches ErrOutcomeUnknown the change may or may not have
	// been made; after any other error it was not and never will be.
	Update(ctx context.Context, c api.Cid, f func(current *api.Pin) (next *api.Pin, err error)) error
}

// ErrOutcomeUnknown says that a write may or may not have been made: the
// database did not answer in time and could not be asked afterwards. Reading the
// pin does not settle it, the next write does.
var ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")

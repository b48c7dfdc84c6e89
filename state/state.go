package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

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

// ErrCorrupt is in the error of a pin that is stored and cannot be decoded. Such an
// error has the text of CorruptText.
var ErrCorrupt = errors.New("corrupt")

// CorruptText is in the text of the error of a pin that cannot be decoded. RPC leaves
// only the text of errors, as in the statuses of peers.
func CorruptText(c api.Cid) string { return fmt.Sprintf("the stored pin of %s is %s", c, ErrCorrupt) }

// ErrOutcomeUnknown says that a write may or may not have been made: the
// database did not answer in time and could not be asked afterwards. Reading the
// pin does not settle it, the next write does.
var ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")

// Revision identifies one version of the pin of a CID. It is a timeuuid: the
// later write has the later time. The zero Revision belongs to a CID of which
// the pinset knows nothing.
type Revision [16]byte

// gregorian is the number of 100 ns from the beginning of the Gregorian
// calendar, where timeuuids begin, to that of Unix time.
const gregorian = 0x01b21dd213814000

// Time is when the version was made, by the clock of its writer: the zero time for the zero
// Revision.
func (r Revision) Time() time.Time {
	if r == (Revision{}) {
		return time.Time{}
	}
	ticks := r.ticks() - gregorian
	return time.Unix(ticks/1e7, ticks%1e7*100)
}

// Before reports whether the version was made before that of other, by their times: the
// bytes of two revisions are in another order. No revision is before the zero one.
func (r Revision) Before(other Revision) bool { return r.ticks() < other.ticks() }

// ticks is the time of a timeuuid (RFC 9562, 5.1), whose 60 bits are spread over three
// fields: 100 ns since 15 October 1582.
func (r Revision) ticks() int64 {
	return int64(binary.BigEndian.Uint32(r[0:4])) |
		int64(binary.BigEndian.Uint16(r[4:6]))<<32 |
		int64(binary.BigEndian.Uint16(r[6:8])&0x0fff)<<48
}

// Conditional changes pins for the background loops of the peers, which give way
// to everybody else: what they decided on one version of a pin never replaces
// another.
type Conditional interface {
	// GetVersion returns the pin of c and its revision, by a read that sees
	// every acknowledged write. The pin is nil when c is not in the pinset.
	GetVersion(ctx context.Context, c api.Cid) (*api.Pin, Revision, error)
	// PutIf replaces the pin of pin.Cid if its revision is still rev, and
	// returns ErrChanged, having changed nothing, if it is not. It never
	// creates a pin. Errors are those of Updater.Update.
	PutIf(ctx context.Context, pin api.Pin, rev Revision) error
	// DeleteIf is PutIf for a removal.
	DeleteIf(ctx context.Context, c api.Cid, rev Revision) error
}

// ErrChanged says that a pin is not the one any more that was to be changed.
var ErrChanged = errors.New("the pin was changed meanwhile")

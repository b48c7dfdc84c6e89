package pins

import (
	"context"
	"time"
)

const (
	// MaxStatus is how many CIDs a Peer is asked for at a time.
	MaxStatus = 100
	// SettleTime is how long what a peer was asked may take effect after the asking has
	// ended.
	SettleTime = time.Minute
)

// Peer is the cluster, through whichever of its peers answers. Methods are safe for
// concurrent use, and bound their time: what one has asked for takes effect within
// SettleTime after it has returned, also if it returned an error, or never. An error means
// that the outcome is not known.
type Peer interface {
	// Pin makes the cluster hold a CID with the gateway's mark (metadata gateway=<name>). It
	// replaces the pin that is there. An error that is ErrRefused may go away with smaller
	// replication factors.
	Pin(ctx context.Context, pin PeerPin) error
	// Unpin removes the pin of a CID if it has the gateway's mark. It is no error if there is
	// none, or one without.
	Unpin(ctx context.Context, cid string) error
	// Status tells of each CID what the cluster has and does, in the order of cids, of which
	// there are at most MaxStatus. What it tells was true at some moment after the call.
	Status(ctx context.Context, cids []string) ([]PeerStatus, error)
}

// PeerPin is what the cluster is asked to hold.
type PeerPin struct {
	CID string
	// ReplMin and ReplMax are -1 for every peer, 0 for the cluster's default.
	ReplMin, ReplMax int
	// Origins are multiaddresses where the content may be had.
	Origins []string
}

// PeerStatus is what the cluster has and does for one CID.
type PeerStatus struct {
	CID string
	// Present says that the pin is in the pinset, Ours that it has the gateway's mark.
	Present, Ours bool
	// Status is that of the content: Pinned if as many peers hold it as ReplMin asks for,
	// Failed if none does or tries any more. It means nothing without Present.
	Status Status
	// Errors are those of peers, by peer. Delegates are the multiaddresses of those that hold
	// the content or are to.
	Errors    map[string]string
	Delegates []string
	// Size of the content in bytes, 0 if it is not known.
	Size int64
	// ReplMin and ReplMax are those of the pin.
	ReplMin, ReplMax int
}

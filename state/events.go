package state

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// EventShards is the number of feeds that events are divided into.
const EventShards = 16

// EventShard is the feed of a CID: the last byte of it. Stored rows depend on it, it
// never changes.
func EventShard(c api.Cid) int {
	key := c.Bytes()
	if len(key) == 0 {
		return 0
	}
	return int(key[len(key)-1]) % EventShards
}

// EventFeedName is what a Waker calls the feed of a shard.
func EventFeedName(shard int) string { return "events/" + strconv.Itoa(shard) }

// EventKind is what an Event tells of.
type EventKind int8

// What happened to the pinset.
const (
	// EventAccepted is a pin where there was none.
	EventAccepted EventKind = iota + 1
	// EventUpdated is a pin that a user has replaced.
	EventUpdated
	// EventReallocated is a pin that was given to other peers.
	EventReallocated
	// EventUnpinned is a pin that a user has removed.
	EventUnpinned
	// EventExpired is a pin that has run out.
	EventExpired
)

// What one peer did with a pin.
const (
	// EventPinned is that it has it pinned.
	EventPinned EventKind = iota + 6
	// EventFailed is that it has failed to pin or unpin it. It tries again.
	EventFailed
	// EventSized is that it has found the size of what it has pinned.
	EventSized
	// EventDropped is that it has unpinned it.
	EventDropped
)

// What became of a peer.
const (
	// EventPeerCame is that it is alive, and was not.
	EventPeerCame EventKind = iota + 10
	// EventPeerDied is that it was not heard of for too long.
	EventPeerDied
	// EventPeerLeft is that it was removed from the cluster.
	EventPeerLeft
)

// Event is one fact that others than the peers are told. One of Status and Peer is set
// if it is not about the pinset.
type Event struct {
	Kind EventKind
	// Cid is the CID that it is about, undefined for that of a peer.
	Cid api.Cid
	// At identifies the fact and is a timeuuid of when it was noted. It is that of the
	// last write if several are told as one.
	At Revision
	// Rev is the revision of Pin, or of its removal: of two events of the pinset with one
	// Cid that with the later Rev counts.
	Rev Revision
	// Pin is the pin as it is stored now, which may be newer than the write that caused
	// the event. It is nil after a removal.
	Pin *api.Pin
	// Traceparent is the W3C trace context of what caused it, empty if that was not
	// sampled.
	Traceparent string

	Status *StatusEvent
	Peer   *PeerEvent
}

// StatusEvent is what one peer did with a pin.
type StatusEvent struct {
	Kind EventKind
	Cid  api.Cid
	Peer peer.ID
	// Rev is the revision of the pin that the peer acted on.
	Rev Revision
	// Status is that of the peer's placement from then on, 0 if there is none.
	Status PlacementStatus
	// Size is that of the DAG in bytes, 0 if it is not known.
	Size int64
	// Error is what went wrong. A store MAY cut it off.
	Error string
	// Traceparent is that of the write that the peer acted on.
	Traceparent string
}

// PeerEvent is what became of a peer.
type PeerEvent struct {
	Kind EventKind
	ID   peer.ID
	Name string
	// Incarnation is the process that runs, or ran, as the peer.
	Incarnation Incarnation
	// At is when it was found.
	At time.Time
}

// EventLog takes what only the peers know. What is logged is durable when a call returns
// nil, and may have been logged when it does not: who tries again logs it twice. A store
// without events takes everything, and does nothing.
type EventLog interface {
	// LogStatus notes what a peer is about to note in its placements: it comes first, so
	// that no placement lacks its event. What comes to nothing after it is done again.
	LogStatus(ctx context.Context, events ...StatusEvent) error
	// LogPeer notes what became of a peer.
	LogPeer(ctx context.Context, event PeerEvent) error
}

// ErrEventsOff says that no events are kept.
var ErrEventsOff = errors.New("events are off in this keyspace")

// ErrEventsGone says that events are not kept any more of all of the time that was
// asked for.
var ErrEventsGone = errors.New("events of that time are not kept any more")

// Events are the events of a pinset, as long as the store keeps them. All processes that
// write to the pinset write them once EventsSince says so, also those that do not read
// them.
type Events interface {
	EventLog
	// EventsSince is from when on events are kept, zero if they are not.
	EventsSince() time.Time
	// OpenEvents takes the feed of a shard: who has read it before must stop. It returns
	// ErrEventsOff if there are none.
	OpenEvents(ctx context.Context, shard int) (EventFeed, error)
	// ReadEvents calls f with what was written to a shard in (after, upTo], and ends with
	// the first error of f. It does not touch the feed. Of a pin it tells the truth of now, as a
	// rule once; what its writer may yet write it leaves out. Of the time in which rows
	// may still appear it tells what is there: only what an EventFeed has passed is
	// complete. A zero after is as long ago as there are events. It returns ErrEventsGone
	// if some are not kept any more that are later than after, also when they ran out while it
	// was reading.
	ReadEvents(ctx context.Context, shard int, after, upTo time.Time, f func([]Event) error) error
	// TryLease takes the right to do one named thing, or keeps it for ttl more, and
	// returns false while another holder has it. The epoch is another, larger one each
	// time that the holder changes. A holder that is paused may find out too late: what
	// it does must be safe to do twice. The name of a holder is that of one process.
	TryLease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error)
	// FreeLease gives back what TryLease took. If that fails it runs out.
	FreeLease(ctx context.Context, name, holder string, epoch int64) error
}

// EventFeed delivers the events of a shard to the one who reads it.
type EventFeed interface {
	// From is where the feed begins: what was noted until then was delivered before, or
	// is not kept any more.
	From() time.Time
	// Consume calls handle with events, one call after another, until ctx ends, and then
	// returns the error of ctx. What it tells of a pin is settled: the pin as it is when
	// it is told, or a newer one is told later. Several writes of one CID may arrive as
	// one event. The events of one CID come in the order of the revisions of its pin, and
	// what peers did in the order in which it was noted; but what came before comes again
	// after a restart, also behind what is newer.
	//
	// through is the time up to which everything was delivered with that call. It never
	// goes back. Now and then a call has no events, and only through has moved. Nothing
	// counts as delivered before handle has returned nil: after an error the same
	// comes again after a pause, with what has arrived since, and so it does in the next
	// process.
	//
	// Errors of the database do not end Consume. It ends before ctx does only when another
	// process has taken the feed, or with ErrEventsGone when events have run out before they
	// were read, as handle has failed for so long; a feed that is opened then begins after
	// them. It must be called once.
	Consume(ctx context.Context, handle func(ctx context.Context, events []Event, through time.Time) error) error
}

// Waker lets what one process has written wake the feeds of others, by whatever carries
// that. Feeds are read by time as well: what is lost is seen later.
type Waker interface {
	// OnWrite sets what is called after a write with the names of the feeds that have a
	// change for it, nil for nothing. It must not block.
	OnWrite(func(feeds []string))
	// Feeds are the names of the feeds that a peer reads.
	Feeds(id peer.ID) []string
	// Wake lets the readers of feeds in this process look at once.
	Wake(feeds ...string)
	// SetWoken says that Wake is called for what others write. While it is, feeds are
	// looked at a tenth as often. When it is not any more they are looked at at once.
	SetWoken(woken bool)
}

package scyllastate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Values of the column kind in the feeds of events.
const (
	// What is written to the pinset. As in the feeds of peers, a row says that its writer
	// is about to.
	kindAccepted    int8 = 16
	kindUpdated     int8 = 17
	kindUnpinned    int8 = 18
	kindExpired     int8 = 19
	kindReallocated int8 = 20
	kindEventFence  int8 = 21
	// lastPinKind is the last of them, also of those of later versions.
	lastPinKind int8 = 23

	// What a peer has done, or is.
	kindPinned      int8 = 24
	kindPinFailed   int8 = 25
	kindSized       int8 = 26
	kindDropped     int8 = 27
	kindCame        int8 = 28
	kindDied        int8 = 29
	kindLeft        int8 = 30
	kindUnpinFailed int8 = 31
)

// eventsPrefix begins the names of the feeds of events.
const eventsPrefix = "events/"

// isEventFeed reports whether a feed has a name of state.EventFeedName.
func isEventFeed(feed string) bool { return strings.HasPrefix(feed, eventsPrefix) }

// withEvents adds the feed of events of c, if the keyspace has events.
func (s *Store) withEvents(feeds []string, c api.Cid) []string {
	if s.eventsSince.IsZero() {
		return feeds
	}
	return append(feeds, state.EventFeedName(state.EventShard(c)))
}

// eventKindOf is what a write does to the pinset.
func eventKindOf(ctx context.Context, w *write) int8 {
	cause := state.CauseOf(ctx)
	switch {
	case w.next == nil && cause == state.CauseExpiry:
		return kindExpired
	case w.next == nil:
		return kindUnpinned
	case w.old.pin == nil:
		return kindAccepted
	case cause == state.CauseMove:
		return kindReallocated
	default:
		return kindUpdated
	}
}

// pinEventOf is what a row of the pinset tells of that is now there, or is not. A row of
// a write that was not made may say something else.
func pinEventOf(kind int8, there bool) state.EventKind {
	switch {
	case there && kind == kindAccepted:
		return state.EventAccepted
	case there && kind == kindReallocated:
		return state.EventReallocated
	case there:
		return state.EventUpdated
	case kind == kindExpired:
		return state.EventExpired
	default:
		return state.EventUnpinned
	}
}

// statusIntent is the row of what a peer did.
func statusIntent(e state.StatusEvent) (intent, error) {
	var kind int8
	switch {
	case e.Kind == state.EventPinned:
		kind = kindPinned
	case e.Kind == state.EventSized:
		kind = kindSized
	case e.Kind == state.EventDropped:
		kind = kindDropped
	case e.Kind == state.EventFailed && e.Status == state.PlacementPinError:
		kind = kindPinFailed
	case e.Kind == state.EventFailed && e.Status == state.PlacementUnpinError:
		kind = kindUnpinFailed
	}
	if kind == 0 || !e.Cid.Defined() || e.Peer == "" || e.Rev == (state.Revision{}) {
		return intent{}, fmt.Errorf("an event of kind %d with status %d of %s on peer %q, revision %x, is not one of what a peer did", e.Kind, e.Status, e.Cid, e.Peer, e.Rev)
	}
	return intent{
		Feed: state.EventFeedName(state.EventShard(e.Cid)), Cid: e.Cid.Bytes(), Rev: gocql.UUID(e.Rev), Kind: kind,
		Traceparent: e.Traceparent, Peer: e.Peer.String(), Size: e.Size, Error: errorText(e.Error),
	}, nil
}

// statusEvent is the inverse of statusIntent.
func statusEvent(r changeRow) (state.Event, error) {
	var kind state.EventKind
	var status state.PlacementStatus
	switch r.kind {
	case kindPinned:
		kind, status = state.EventPinned, state.PlacementPinned
	case kindSized:
		kind, status = state.EventSized, state.PlacementPinned
	case kindDropped:
		kind = state.EventDropped
	case kindPinFailed:
		kind, status = state.EventFailed, state.PlacementPinError
	case kindUnpinFailed:
		kind, status = state.EventFailed, state.PlacementUnpinError
	default:
		return state.Event{}, fmt.Errorf("kind %d is not known", r.kind)
	}
	c, err := api.CastCid(r.cid)
	if err != nil {
		return state.Event{}, fmt.Errorf("its key 0x%x is not a CID: %w", r.cid, err)
	}
	id, err := peer.Decode(r.peer)
	if err != nil {
		return state.Event{}, fmt.Errorf("its peer %q is not a peer ID: %w", r.peer, err)
	}
	return state.Event{
		Kind: kind, Cid: c, At: state.Revision(r.at), Rev: state.Revision(r.rev), Traceparent: r.traceparent,
		Status: &state.StatusEvent{
			Kind: kind, Cid: c, Peer: id, Rev: state.Revision(r.rev), Status: status,
			Size: r.size, Error: r.text, Traceparent: r.traceparent,
		},
	}, nil
}

// peerIntent is the row of what became of a peer. What has no column of its own is in
// error: the incarnation, and after a space the name.
func peerIntent(e state.PeerEvent) (intent, error) {
	kind, known := map[state.EventKind]int8{
		state.EventPeerCame: kindCame, state.EventPeerDied: kindDied, state.EventPeerLeft: kindLeft,
	}[e.Kind]
	if !known || e.ID == "" || e.At.IsZero() {
		return intent{}, fmt.Errorf("an event of kind %d at %s is not one of what became of peer %q", e.Kind, e.At, e.ID)
	}
	c := api.NewCid(peer.ToCid(e.ID))
	return intent{
		Feed: state.EventFeedName(state.EventShard(c)), Cid: c.Bytes(), Rev: newUUID(e.At), Kind: kind,
		Peer: e.ID.String(), Error: errorText(gocql.UUID(e.Incarnation).String() + " " + e.Name),
	}, nil
}

// peerEvent is the inverse of peerIntent.
func peerEvent(r changeRow) (state.Event, error) {
	kind := map[int8]state.EventKind{
		kindCame: state.EventPeerCame, kindDied: state.EventPeerDied, kindLeft: state.EventPeerLeft,
	}[r.kind]
	id, err := peer.Decode(r.peer)
	if err != nil {
		return state.Event{}, fmt.Errorf("its peer %q is not a peer ID: %w", r.peer, err)
	}
	incarnation, name, _ := strings.Cut(r.text, " ")
	parsed, err := gocql.ParseUUID(incarnation)
	if err != nil {
		return state.Event{}, fmt.Errorf("its incarnation %q is not a UUID: %w", incarnation, err)
	}
	return state.Event{
		Kind: kind, At: state.Revision(r.rev), Rev: state.Revision(r.rev),
		Peer: &state.PeerEvent{Kind: kind, ID: id, Name: name, Incarnation: state.Incarnation(parsed), At: r.rev.Time()},
	}, nil
}

// otherEvent is what a row tells of that is not about the pinset.
func otherEvent(r changeRow) (state.Event, error) {
	switch r.kind {
	case kindCame, kindDied, kindLeft:
		return peerEvent(r)
	default:
		return statusEvent(r)
	}
}

// eventValues are the columns of insertEvent, in its order. A null would be a tombstone.
func eventValues(i intent, slot int64, at time.Time) []any {
	var trace, size, text any = gocql.UnsetValue, gocql.UnsetValue, gocql.UnsetValue
	if i.Traceparent != "" {
		trace = i.Traceparent
	}
	if i.Size > 0 {
		size = i.Size
	}
	if i.Error != "" {
		text = i.Error
	}
	return []any{i.Feed, slot, newUUID(at), i.Cid, i.Rev, i.Kind, trace, i.Peer, size, text}
}

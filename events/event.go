package events

import (
	"net/url"
	"time"
)

// Event is one fact. All that is not a field follows from the data.
type Event struct {
	// Source is the cluster, see Source.
	Source string
	Type   Type
	// Traceparent is the W3C trace context of what caused it, empty if that was not
	// sampled.
	Traceparent string

	// The data that belong to Type. The others are nil.
	Pin    *PinData
	Status *StatusData
	Peer   *PeerData
	Claim  *ClaimData
}

// Source returns the source of the events of a cluster.
func Source(cluster string) string { return "/clusters/" + url.PathEscape(cluster) }

// fact is the data of an event. The texts have no meaning if it is not valid.
type fact interface {
	// key names what the fact is about.
	key() string
	// version orders the facts with one key.
	version() Version
	subject() string
	// id is unique among the facts of one source.
	id(kind string) string
	// check says what is wrong with the data in an event of type t.
	check(t Type) error
}

// ID returns the id of the fact: the same however often it is told.
func (e Event) ID() string {
	if f := e.fact(); f != nil {
		return f.id(e.Type.Kind())
	}
	return ""
}

// Key returns what the event is about: of two events with one Key the one with the
// Newer Version counts.
func (e Event) Key() string {
	if f := e.fact(); f != nil {
		return f.key()
	}
	return ""
}

// Version returns the version that orders the events with one Key.
func (e Event) Version() Version {
	if f := e.fact(); f != nil {
		return f.version()
	}
	return ""
}

// Subject returns the CID that the event is about, or the peer's ID.
func (e Event) Subject() string {
	if f := e.fact(); f != nil {
		return f.subject()
	}
	return ""
}

// Time returns when it happened: the time of Version.
func (e Event) Time() time.Time { return e.Version().Time() }

// fact returns the data that belong to the type, nil if they are not set or the type
// is unknown.
func (e Event) fact() fact {
	switch family := e.Type.family(); {
	case family == pinFamily && e.Pin != nil:
		return e.Pin
	case family == statusFamily && e.Status != nil:
		return e.Status
	case family == peerFamily && e.Peer != nil:
		return e.Peer
	case family == claimFamily && e.Claim != nil:
		return e.Claim
	}
	return nil
}

// facts counts the data that are set.
func (e Event) facts() int {
	n := 0
	for _, set := range []bool{e.Pin != nil, e.Status != nil, e.Peer != nil, e.Claim != nil} {
		if set {
			n++
		}
	}
	return n
}

package relay

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// encode returns the messages of facts, without those that cannot be told: no retry would
// help.
func (r *Relay) encode(facts []state.Event) []bus.Message {
	batch := make([]bus.Message, 0, len(facts))
	for _, fact := range facts {
		e, err := Wire(r.opts.Cluster, fact)
		var data []byte
		if err == nil {
			data, err = e.Encode()
		}
		if err != nil {
			r.passOver(fact, err)
			continue
		}
		batch = append(batch, bus.Message{ID: e.ID(), At: timeOf(fact.At), Data: data})
	}
	return batch
}

// maxPassed is how many rows a Relay remembers that cannot be told. There are none but by a
// bug.
const maxPassed = 1 << 10

// row names a row of a feed.
type row struct {
	about string
	kind  state.EventKind
	at    state.Revision
}

// passOver counts a fact that cannot be told, and says so: once, however often its row is
// read by this process, as it is with each retry of its batch and each replay.
func (r *Relay) passOver(fact state.Event, why error) {
	passed := row{about(fact), fact.Kind, fact.At}
	if said, _ := r.passed.ContainsOrAdd(passed, struct{}{}); said {
		return
	}
	r.stats.malformed.Add(1)
	logger.Errorf("passing over an event of %s that cannot be told: %s", passed.about, why)
}

func about(fact state.Event) string {
	if fact.Peer != nil {
		return "peer " + fact.Peer.ID.String()
	}
	return fact.Cid.String()
}

// timeOf is the time of a timeuuid.
func timeOf(r state.Revision) time.Time { return time.Unix(uuid.UUID(r).Time().UnixTime()).UTC() }

// typeOf is the type of the event that tells of a kind of fact, empty for one that is
// not told.
func typeOf(kind state.EventKind) events.Type {
	switch kind {
	case state.EventAccepted:
		return events.PinAccepted
	case state.EventUpdated:
		return events.PinUpdated
	case state.EventReallocated:
		return events.PinReallocated
	case state.EventUnpinned:
		return events.PinUnpinned
	case state.EventExpired:
		return events.PinExpired
	case state.EventPinned:
		return events.PinPinned
	case state.EventFailed:
		return events.PinFailed
	case state.EventSized:
		return events.PinSized
	case state.EventDropped:
		return events.PinDropped
	case state.EventPeerCame:
		return events.PeerCame
	case state.EventPeerDied:
		return events.PeerDied
	case state.EventPeerLeft:
		return events.PeerLeft
	}
	return ""
}

// Wire returns a fact of a cluster as it is told.
func Wire(cluster string, fact state.Event) (events.Event, error) {
	e := events.Event{Source: events.Source(cluster), Type: typeOf(fact.Kind), Traceparent: fact.Traceparent}
	if e.Type == "" {
		return e, fmt.Errorf("events of kind %d cannot be told", fact.Kind)
	}
	at := events.VersionOf(fact.At)
	switch {
	case fact.Status != nil:
		s := fact.Status
		e.Status = &events.StatusData{
			Cid: fact.Cid.String(), Version: events.VersionOf(s.Rev), At: at, Peer: s.Peer.String(),
			Status: statusName(s), Size: s.Size, Error: s.Error,
		}
	case fact.Peer != nil:
		p := fact.Peer
		e.Peer = &events.PeerData{Peer: p.ID.String(), Name: p.Name, Incarnation: uuid.UUID(p.Incarnation).String(), At: at}
	default:
		e.Pin = &events.PinData{Cid: fact.Cid.String(), Version: events.VersionOf(fact.Rev)}
		if fact.Pin != nil {
			e.Pin.Pin = pinOf(*fact.Pin)
		}
	}
	return e, nil
}

// statusName is the word of ipfs-cluster's REST API for what a peer did.
func statusName(s *state.StatusEvent) string {
	switch {
	case s.Kind == state.EventDropped:
		return api.TrackerStatusUnpinned.String()
	case s.Kind == state.EventFailed && s.Status.Leaving():
		return api.TrackerStatusUnpinError.String()
	case s.Kind == state.EventFailed:
		return api.TrackerStatusPinError.String()
	default:
		return api.TrackerStatusPinned.String()
	}
}

// pinOf is a pin as the REST API has it.
func pinOf(pin api.Pin) *events.Pin {
	out := &events.Pin{
		Name: pin.Name, Type: pin.Type.String(), Mode: pin.Mode.String(), MaxDepth: int(pin.MaxDepth),
		ReplicationFactorMin: pin.ReplicationFactorMin, ReplicationFactorMax: pin.ReplicationFactorMax,
		ShardSize: pin.ShardSize, ExpireAt: pin.ExpireAt, Created: pin.Timestamp, Metadata: pin.Metadata,
	}
	for _, p := range pin.Allocations {
		out.Allocations = append(out.Allocations, p.String())
	}
	for _, a := range pin.Origins {
		out.Origins = append(out.Origins, a.String())
	}
	if pin.PinUpdate.Defined() {
		out.PinUpdate = pin.PinUpdate.String()
	}
	if pin.Reference != nil && pin.Reference.Defined() {
		out.Reference = pin.Reference.String()
	}
	return out
}

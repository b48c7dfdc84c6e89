package relay_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestWire: each kind of fact is told as the event of that name, with all that is known,
// and whoever reads it has the same.
func TestWire(t *testing.T) {
	at, rev := newRevision(), newRevision()
	c, update, reference := cidOf(t, 1), cidOf(t, 2), cidOf(t, 3)
	holder, err := peer.Decode("12D3KooWQiK1sYbGNnD9XtWF1sP95cawwwNy3d2WUwtP71McwUfZ")
	must(t, err)
	origin, err := multiaddr.NewMultiaddr("/ip4/192.0.2.1/tcp/4001/p2p/" + holder.String())
	must(t, err)
	pin := api.PinWithOpts(c, api.PinOptions{
		Name: "a name", Mode: api.PinModeRecursive, ReplicationFactorMin: 1, ReplicationFactorMax: 2, ShardSize: 7,
		ExpireAt: time.Unix(4e9, 0).UTC(), Metadata: map[string]string{"k": "v"}, PinUpdate: update, Origins: []api.Multiaddr{api.NewMultiaddrWithValue(origin)},
	})
	pin.Allocations, pin.Timestamp, pin.Reference = []peer.ID{holder}, time.Unix(1e9, 0).UTC(), &reference
	status := func(kind state.EventKind, s state.PlacementStatus) state.Event {
		return state.Event{Kind: kind, Cid: c, At: at, Status: &state.StatusEvent{Kind: kind, Cid: c, Peer: holder, Rev: rev, Status: s, Size: 42, Error: "why"}}
	}
	became := func(kind state.EventKind) state.Event {
		return state.Event{Kind: kind, At: at, Peer: &state.PeerEvent{Kind: kind, ID: holder, Name: "a peer", Incarnation: state.Incarnation(rev)}}
	}
	tests := []struct {
		fact   state.Event
		want   events.Type
		status string
	}{
		{fact: state.Event{Kind: state.EventAccepted, Cid: c, At: at, Rev: rev, Pin: &pin, Traceparent: "00-1-2-01"}, want: events.PinAccepted},
		{fact: state.Event{Kind: state.EventUpdated, Cid: c, At: at, Rev: rev, Pin: &pin}, want: events.PinUpdated},
		{fact: state.Event{Kind: state.EventReallocated, Cid: c, At: at, Rev: rev, Pin: &pin}, want: events.PinReallocated},
		{fact: state.Event{Kind: state.EventUnpinned, Cid: c, At: at, Rev: rev}, want: events.PinUnpinned},
		{fact: state.Event{Kind: state.EventExpired, Cid: c, At: at, Rev: rev}, want: events.PinExpired},
		{fact: status(state.EventPinned, state.PlacementPinned), want: events.PinPinned, status: "pinned"},
		{fact: status(state.EventFailed, state.PlacementPinError), want: events.PinFailed, status: "pin_error"},
		{fact: status(state.EventFailed, state.PlacementUnpinError), want: events.PinFailed, status: "unpin_error"},
		{fact: status(state.EventSized, state.PlacementPinned), want: events.PinSized, status: "pinned"},
		{fact: status(state.EventDropped, 0), want: events.PinDropped, status: "unpinned"},
		{fact: became(state.EventPeerCame), want: events.PeerCame},
		{fact: became(state.EventPeerDied), want: events.PeerDied},
		{fact: became(state.EventPeerLeft), want: events.PeerLeft},
	}
	for _, tt := range tests {
		e, err := relay.Wire("our cluster", tt.fact)
		must(t, err)
		encoded, err := e.Encode()
		must(t, err)
		e, err = events.Parse(encoded)
		must(t, err)
		if e.Type != tt.want || e.Source != "/clusters/our%20cluster" || e.Traceparent != tt.fact.Traceparent {
			t.Errorf("kind %d is told as %s by %s, trace %q", tt.fact.Kind, e.Type, e.Source, e.Traceparent)
		}
		switch {
		case tt.status != "":
			want := events.StatusData{Cid: c.String(), Version: events.VersionOf(rev), At: events.VersionOf(at), Peer: holder.String(), Status: tt.status, Size: 42, Error: "why"}
			if *e.Status != want {
				t.Errorf("%s has %+v, want %+v", e.Type, *e.Status, want)
			}
		case tt.fact.Peer != nil:
			if e.Peer.Peer != holder.String() || e.Peer.Name != "a peer" || e.Peer.At != events.VersionOf(at) || e.Peer.Incarnation == "" {
				t.Errorf("%s has %+v", e.Type, *e.Peer)
			}
		default:
			if e.Pin.Cid != c.String() || e.Pin.Version != events.VersionOf(rev) || (e.Pin.Pin != nil) != (tt.fact.Pin != nil) {
				t.Errorf("%s has %+v", e.Type, *e.Pin)
			}
			if got := e.Pin.Pin; got != nil && (got.Name != "a name" || got.Type != "pin" || got.Mode != "recursive" || got.MaxDepth != -1 ||
				got.ReplicationFactorMin != 1 || got.ReplicationFactorMax != 2 || got.ShardSize != 7 || !got.ExpireAt.Equal(pin.ExpireAt) ||
				!got.Created.Equal(pin.Timestamp) || got.Metadata["k"] != "v" || got.PinUpdate != update.String() || got.Reference != reference.String() ||
				got.Allocations[0] != holder.String() || got.Origins[0] != origin.String()) {
				t.Errorf("%s has the pin %+v", e.Type, *got)
			}
		}
	}
	if _, err := relay.Wire("test", state.Event{Kind: 99}); err == nil || errors.Is(err, events.ErrUnknown) {
		t.Errorf("a kind that nobody knows: %v", err)
	}
}

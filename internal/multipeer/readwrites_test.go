package multipeer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestReadYourWrites: from the moment a request is acknowledged no peer contradicts
// it, although the feeds have told none of them: they tell nothing until the answers
// were compared.
func TestReadYourWrites(t *testing.T) {
	w := newWorld(t)
	w.ping = 3 * time.Second // nobody looks dead because the machine is busy
	w.start(w.newNodes(3)...)
	w.startedUp()
	w.reach()
	n := 3
	if long(t, "3 pins of each kind, not 40") {
		n = 40
	}
	kinds := map[string]api.PinOptions{"one copy": factors(1, 1), "two copies": factors(2, 2), "everywhere": factors(-1, -1)}
	direct := factors(1, 1)
	direct.Mode = api.PinModeDirect
	kinds["direct"] = direct

	w.freezeFeeds()
	w.each(kinds, n, "new", nil, api.TrackerStatusPinQueued)
	w.thawFeeds()
	w.converge()

	w.freezeFeeds()
	w.each(kinds, n, "another name", func(o *api.PinOptions) { o.Name = "another" }, api.TrackerStatusPinned)
	recursive := map[string]api.PinOptions{"direct": factors(1, 1)}
	w.each(recursive, n, "recursive", nil, api.TrackerStatusPinQueued)
	w.move("one copy", n)
	w.thawFeeds()
	w.converge()

	w.freezeFeeds()
	w.unpinEach(kinds, n)
	w.each(map[string]api.PinOptions{"two copies": factors(2, 2)}, n, "pinned again", nil, api.TrackerStatusPinned|api.TrackerStatusPinQueued)
	w.thawFeeds()
	w.converge()

	w.loseOne(kinds, n)
}

// reach waits until every live peer knows where the others listen: their first
// heartbeats do not say so.
func (w *world) reach() {
	w.t.Helper()
	eventually(w.t, "the peers to know where the others listen", func() string {
		for _, n := range w.live() {
			for _, other := range w.live() {
				if len(n.host.Peerstore().Addrs(other.id)) == 0 {
					return fmt.Sprintf("%s does not know it of %s", n.name, other.name)
				}
			}
		}
		return ""
	})
}

func (w *world) freezeFeeds() {
	for _, n := range w.live() {
		n.store.feed.set()
	}
}

func (w *world) thawFeeds() {
	for _, n := range w.live() {
		n.store.feed.end()
	}
}

// names are those of n pins of each kind.
func names(kinds map[string]api.PinOptions, n int) map[string]string {
	all := make(map[string]string)
	for kind := range kinds {
		for i := range n {
			all[fmt.Sprintf("%s %d", kind, i)] = kind
		}
	}
	return all
}

// each pins n of each kind, through one peer after another, and wants a status of
// those that are to hold them, at once and in the lists after all.
func (w *world) each(kinds map[string]api.PinOptions, n int, what string, change func(*api.PinOptions), want api.TrackerStatus) {
	w.t.Helper()
	var pins []api.Pin
	for i, name := range slices.Sorted(maps.Keys(names(kinds, n))) {
		opts := kinds[names(kinds, n)[name]]
		if change != nil {
			change(&opts)
		}
		pin := w.pin(w.nodes[i%len(w.nodes)], name, opts)
		pins = append(pins, pin)
		w.says(what, pin, want)
	}
	w.listsAgree(what, pins)
}

// move gives pins that one peer holds to another.
func (w *world) move(kind string, n int) {
	w.t.Helper()
	var pins []api.Pin
	for i := range n {
		name := fmt.Sprintf("%s %d", kind, i)
		from := w.desired()[cidOf(w.t, name)].Allocations[0]
		to := w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return n.id != from })]
		pin := w.allocate(w.nodes[i%len(w.nodes)], name, 1, 1, to)
		pins = append(pins, pin)
		w.says("moved", pin, api.TrackerStatusPinQueued)
	}
	w.listsAgree("moved", pins)
}

// unpinEach unpins n of each kind. No peer has them any more.
func (w *world) unpinEach(kinds map[string]api.PinOptions, n int) {
	w.t.Helper()
	var gone []api.Pin
	for i, name := range slices.Sorted(maps.Keys(names(kinds, n))) {
		c := cidOf(w.t, name)
		w.unpin(w.nodes[i%len(w.nodes)], c)
		gone = append(gone, api.PinCid(c))
		for _, by := range w.live() {
			for at, got := range w.status(by, c) {
				if got != api.TrackerStatusUnpinned {
					w.t.Errorf("unpinned: %s says that %s is %s at %s", by.name, name, got, w.nameOf(at))
				}
			}
		}
	}
	w.listsAgree("unpinned", gone)
}

// loseOne kills a peer: of what it was to hold the others say that it does not answer.
func (w *world) loseOne(kinds map[string]api.PinOptions, n int) {
	w.t.Helper()
	dead := w.nodes[2]
	var pins []api.Pin
	for name, kind := range names(kinds, n) {
		if kind == "everywhere" {
			pins = append(pins, w.pin(w.nodes[0], name, kinds[kind]))
		} else {
			pins = append(pins, w.allocate(w.nodes[0], name, 1, 2, w.nodes[1], dead))
		}
	}
	w.converge()
	dead.kill()
	w.died(dead)
	w.freezeFeeds()
	for _, pin := range pins {
		w.says("one is dead", pin, api.TrackerStatusPinned)
	}
	w.listsAgree("one is dead", pins)
	must(w.t, w.nodes[0].cluster.PeerRemove(w.t.Context(), dead.id))
	w.leftBehind(2)
	w.listsAgree("a holder was removed", pins)
	for _, pin := range pins {
		w.unpin(w.nodes[1], pin.Cid)
		for at, got := range w.status(w.nodes[0], pin.Cid) {
			if got != api.TrackerStatusUnpinned {
				w.t.Errorf("unpinned while one is dead: %s is %s at %s", pin.Cid, got, w.nameOf(at))
			}
		}
	}
	w.thawFeeds()
}

// says wants every peer to say of a pin that it has one of the statuses at those that
// are to hold it, and is remote at the others.
func (w *world) says(what string, pin api.Pin, want api.TrackerStatus) {
	w.t.Helper()
	for _, by := range w.live() {
		said := w.status(by, pin.Cid)
		for _, at := range w.nodes {
			want := want
			switch {
			case !pin.IsPinEverywhere() && pin.IsRemotePin(at.id):
				want = api.TrackerStatusRemote
			case at.process == nil:
				want = api.TrackerStatusClusterError
			}
			if got := said[at.id]; got == 0 || got&want != got {
				w.t.Errorf("%s: %s says that %q is %s at %s, want %s", what, by.name, pin.Name, got, at.name, want)
			}
		}
	}
}

// status is what a peer says of a CID.
func (w *world) status(by *node, c api.Cid) map[peer.ID]api.TrackerStatus {
	w.t.Helper()
	var all api.GlobalPinInfo
	must(w.t, by.client.CallContext(w.t.Context(), "", "Cluster", "Status", c, &all))
	if all.Cid != c {
		w.t.Errorf("%s answers about %s, asked about %s", by.name, all.Cid, c)
	}
	return statuses(w.t, all)
}

func statuses(t *testing.T, all api.GlobalPinInfo) map[peer.ID]api.TrackerStatus {
	t.Helper()
	got := make(map[peer.ID]api.TrackerStatus)
	for text, info := range all.PeerMap {
		id, err := peer.Decode(text)
		must(t, err)
		got[id] = info.Status
	}
	return got
}

// listFilters are those with which listsAgree lists.
var listFilters = []api.TrackerStatus{
	api.TrackerStatusUndefined, api.TrackerStatusPinned, api.TrackerStatusQueued, api.TrackerStatusPinQueued | api.TrackerStatusPinning,
	api.TrackerStatusUnexpectedlyUnpinned, api.TrackerStatusRemote, api.TrackerStatusError,
	api.TrackerStatusPinQueued | api.TrackerStatusClusterError,
}

// listsAgree wants the lists of every peer to say of pins what it says of each.
func (w *world) listsAgree(what string, pins []api.Pin) {
	w.t.Helper()
	lists := w.live()
	if !long(w.t, "one peer lists, not all") {
		lists = lists[rand.N(len(lists)):][:1]
	}
	for _, by := range lists {
		single := make(map[api.Cid]map[peer.ID]api.TrackerStatus)
		for _, pin := range pins {
			single[pin.Cid] = w.status(by, pin.Cid)
		}
		for _, filter := range listFilters {
			listed, err := by.list(w.t.Context(), filter)
			must(w.t, err)
			for c, all := range single {
				want := maps.Clone(all)
				maps.DeleteFunc(want, func(_ peer.ID, s api.TrackerStatus) bool {
					// What is not pinned is in a list only while a peer is at it.
					return s == api.TrackerStatusUnpinned || !s.Match(filter)
				})
				got := listed[c]
				maps.DeleteFunc(got, func(_ peer.ID, s api.TrackerStatus) bool {
					return s&(api.TrackerStatusUnpinQueued|api.TrackerStatusUnpinning) != 0
				})
				if !maps.Equal(got, want) {
					w.t.Errorf("%s: the list of %s for %q has %s as %v, alone it is %v", what, by.name, filter, c, got, want)
				}
			}
		}
	}
}

// list is what a peer lists for a filter.
func (n *node) list(ctx context.Context, filter api.TrackerStatus) (map[api.Cid]map[peer.ID]api.TrackerStatus, error) {
	in, out := make(chan api.TrackerStatus, 1), make(chan api.GlobalPinInfo)
	in <- filter
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- n.client.Stream(ctx, "", "Cluster", "StatusAll", in, out) }()
	all := make(map[api.Cid]map[peer.ID]api.TrackerStatus)
	for info := range out {
		if all[info.Cid] != nil {
			n.w.t.Errorf("%s lists %s twice", n.name, info.Cid)
		}
		all[info.Cid] = statuses(n.w.t, info)
	}
	return all, <-listed
}

func (w *world) nameOf(id peer.ID) string { return w.node(id).name }

var _ state.OwnFeed = stoppable{}

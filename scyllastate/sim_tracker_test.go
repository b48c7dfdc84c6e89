package scyllastate

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// newTracker lets a real tracker.Tracker act for a peer, and returns what handles the
// changes.
func newTracker(h *handler) state.Handler {
	p, w := h.p, h.sp.w
	d := w.draw(0, "tracker", p.name)
	var log func(context.Context, ...state.StatusEvent) error
	if w.relay != nil {
		log = p.store.LogStatus
	}
	t := tracker.New(tracker.Options{
		Self: h.sp.id, Log: log, Store: simPlacements{sp: h.sp, p: p}, Daemon: simIPFS{h: h}, Every: d.between(time.Minute, 2*time.Minute),
		Live:   func(peer.ID) bool { return true }, // peers that die are for the simulation of peer/reconcile
		Config: tracker.Config{MaxPinQueueSize: 1 + d.below(10), ConcurrentPins: 1 + d.below(3)},
	})
	t.SetClient(nil)
	go t.Run(p.ctx)
	go func() {
		<-p.ctx.Done()
		_ = t.Shutdown(context.Background()) // it has no error
	}()
	w.mu.Lock()
	h.sp.look = func(c api.Cid) {
		if !p.crashed() {
			_ = t.Untrack(p.ctx, c) // a full queue has no room for it
		}
	}
	w.mu.Unlock()
	return t.Act
}

// hint lets the Trackers look at a pin now and then while a call changes it. The caller
// holds the lock.
func (w *world) hint(o *op) {
	for _, sp := range w.peers {
		d := w.draw(0, "hint", sp.name, o.name)
		if sp.look != nil && w.faulty() && d.chance(w.odds.hint) {
			look := sp.look
			time.AfterFunc(d.mostly(time.Millisecond, 2*time.Second), func() { look(o.cid) })
		}
	}
}

package scyllastate

import (
	"context"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simPeer is a machine that brings its IPFS daemon in line with the pinset.
type simPeer struct {
	*machine
	id peer.ID
	// The lock of the world guards them. kept is what the daemon has pinned, and
	// changes counts what it has done to that.
	kept    map[api.Cid]simKept
	changes int
	// placements are its rows, claims what it may unpin by them, and made counts what
	// these are about.
	placements map[api.Cid]simPlacement
	claims     map[api.Cid]simClaim
	made       int
	claimed    chan struct{} // closed when it has a position
	// look lets the Tracker look at a pin, nil if there is none.
	look func(api.Cid)
}

func newSimPeer(w *world, name string, id peer.ID) *simPeer {
	sp := &simPeer{
		id: id, kept: make(map[api.Cid]simKept),
		placements: make(map[api.Cid]simPlacement), claims: make(map[api.Cid]simClaim), claimed: make(chan struct{}),
	}
	sp.machine = newMachine(w, name, sp.consume)
	return sp
}

// consume reads the feed of the peer until the process ends.
func (sp *simPeer) consume(p *process) {
	feed, err := p.store.OpenFeed(p.ctx, sp.id)
	if err == nil {
		select {
		case <-sp.claimed:
		default:
			close(sp.claimed)
		}
		err = feed.Consume(p.ctx, newHandler(sp, p).handle)
	}
	sp.w.mu.Lock()
	defer sp.w.mu.Unlock()
	if !p.crashed() {
		sp.w.fail("the feed of %s ended: %v", p.name, err)
	}
}

// handler is what a process does with a change.
type handler struct {
	sp *simPeer
	p  *process
	// The lock of the world guards them.
	does state.Handler
	revs map[api.Cid]gocql.UUID // of the last change
	busy map[api.Cid]bool
	jobs map[api.Cid]*job
}

// job is the work of the daemon on one CID that nobody waits for.
type job struct {
	want  simMode
	done  bool
	err   error
	ended chan struct{} // closed when it is done
}

func newHandler(sp *simPeer, p *process) *handler {
	h := &handler{
		sp: sp, p: p,
		revs: make(map[api.Cid]gocql.UUID), busy: make(map[api.Cid]bool), jobs: make(map[api.Cid]*job),
	}
	h.does = h.act
	if sp.w.tracker {
		h.does = newTracker(h)
	}
	return h
}

// handle checks the order of the changes and acts.
func (h *handler) handle(ctx context.Context, ch state.Change) error {
	w, rev := h.sp.w, gocql.UUID(ch.Rev)
	name := ""
	if ch.Pin != nil {
		name = ch.Pin.Name
	}
	w.mu.Lock()
	if h.busy[ch.Cid] {
		w.fail("%s handles two changes of %s at once", h.p.name, label(ch.Cid))
	}
	if rev != (gocql.UUID{}) {
		if later(h.revs[ch.Cid], rev) {
			w.fail("%s is told of rev %s of %s after rev %s", h.p.name, stamp(rev), label(ch.Cid), stamp(h.revs[ch.Cid]))
		}
		if is, ok := w.record.revs[rev]; !ok || is != name {
			w.fail("%s is told that rev %s of %s is %q", h.p.name, stamp(rev), label(ch.Cid), name)
		}
		h.revs[ch.Cid] = rev
	}
	h.busy[ch.Cid] = true
	w.note("%s is told of %s: %q, rev %s", h.p.name, label(ch.Cid), name, stamp(rev))
	w.mu.Unlock()
	err := h.does(ctx, ch)
	w.mu.Lock()
	h.busy[ch.Cid] = false
	w.mu.Unlock()
	return err
}

// act makes the daemon hold what the peer is to hold, and nothing else: at once, or later, of which it tells or is asked.
func (h *handler) act(ctx context.Context, ch state.Change) error {
	want := modeOf(ch.Pin, h.sp.id)
	d, _, err := h.p.send(ctx, "act", label(ch.Cid))
	if err != nil {
		return err
	}
	w := h.sp.w
	if w.faulty() && d.chance(w.odds.ipfs/8) {
		return state.ErrBusy
	}
	tells := d.chance(500)
	w.mu.Lock()
	before := h.jobs[ch.Cid]
	running := before != nil && !before.done
	if running && !tells {
		w.mu.Unlock()
		return state.ErrNotYet
	}
	delete(h.jobs, ch.Cid)
	w.mu.Unlock()
	if before != nil && !running && before.want == want {
		return before.err
	}
	if !running && !d.chance(w.odds.jobs) {
		err := h.ipfs(ctx, ch.Cid, want)
		if tells {
			ch.Done(err)
			return state.ErrLater
		}
		return err
	}
	j := &job{want: want, ended: make(chan struct{})}
	w.mu.Lock()
	h.jobs[ch.Cid] = j
	w.mu.Unlock()
	go func() {
		if running {
			<-before.ended
		}
		err := h.ipfs(h.p.ctx, ch.Cid, want)
		w.mu.Lock()
		j.done, j.err = true, err
		close(j.ended)
		w.mu.Unlock()
		if tells {
			ch.Done(err) // also when there is a later call
		}
	}()
	if tells {
		return state.ErrLater
	}
	return state.ErrNotYet
}

// ipfs makes the daemon hold a CID in a mode.
func (h *handler) ipfs(ctx context.Context, c api.Cid, want simMode) error {
	return h.request(ctx, "ipfs", c, 4*time.Second, func() error {
		h.keep(c, simKept{mode: want})
		return nil
	})
}

package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// lane makes one call after another. What a process has not come to, the next
// one on its machine does.
type lane struct {
	name  string
	next  int
	calls int
	done  bool
}

// newWriter is a machine that writes.
func newWriter(w *world, name string) *machine {
	d := w.draw(0, "writer", name)
	var lanes []*lane
	for i := range 1 + d.below(2) {
		lanes = append(lanes, &lane{name: fmt.Sprint(name, "abc"[i:i+1]), calls: 2 + d.below(5)})
	}
	w.lanes += len(lanes)
	return newMachine(w, name, func(p *process) {
		for _, l := range lanes {
			go p.write(l)
		}
	})
}

// write makes the calls of a lane.
func (p *process) write(l *lane) {
	w := p.world
	for {
		w.mu.Lock()
		if p.crashed() || l.next >= l.calls {
			if !p.crashed() && !l.done {
				l.done = true
				w.lanes--
			}
			w.mu.Unlock()
			return
		}
		l.next++
		o := &op{name: fmt.Sprint(l.name, l.next)}
		w.mu.Unlock()

		d := w.draw(0, "call", o.name)
		if p.wait(p.ctx, d.mostly(time.Millisecond, w.pause)) != nil {
			return
		}
		p.gate(d)
		o.kind = []opKind{opAdd, opAdd, opAdd, opAdd, opAdd, opRm, opRm, opRm, opRm, opUpdate, opUpdate, opGet, opGet, opPutIf, opDeleteIf}[d.below(15)]
		o.cid = simCidList[min(d.below(w.cids), d.below(w.cids))]
		p.call(o, d)
	}
}

// call makes one call and records its result, unless the process crashes.
func (p *process) call(o *op, d *draw) {
	w, s := p.world, p.store
	ctx := withOp(p.ctx, o)
	if d.chance(150) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.mostly(10*time.Millisecond, 10*time.Second))
		defer cancel()
	}
	pin := simPin(o, d)
	if o.kind == opPutIf || o.kind == opDeleteIf {
		_, rev, err := s.GetVersion(ctx, o.cid)
		if err != nil {
			return
		}
		o.rev = gocql.UUID(rev)
		if p.wait(p.ctx, d.mostly(time.Millisecond, 5*time.Second)) != nil {
			return
		}
	}
	w.mu.Lock()
	o.start = time.Now()
	w.record.ops = append(w.record.ops, o)
	w.note("%s: %s of %s to %s", p.name, o.title(), label(o.cid), simAllocations(pin))
	w.mu.Unlock()
	var err error
	switch o.kind {
	case opAdd:
		err = s.Add(ctx, pin)
	case opRm:
		err = s.Rm(ctx, o.cid)
	case opUpdate:
		err = s.Update(ctx, o.cid, func(current *api.Pin) (*api.Pin, error) {
			o.saw = ""
			if current != nil {
				o.saw = current.Name
			}
			if w.draw(0, "refuse", o.name, o.saw).chance(300) {
				return nil, errSimulated
			}
			return &pin, nil
		})
	case opPutIf:
		err = s.PutIf(ctx, pin, state.Revision(o.rev))
	case opDeleteIf:
		err = s.DeleteIf(ctx, o.cid, state.Revision(o.rev))
	case opGet:
		var got api.Pin
		got, err = s.Get(ctx, o.cid)
		o.got = got.Name
		if errors.Is(err, state.ErrNotFound) {
			err = nil
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.crashed() {
		return
	}
	o.end, o.err = time.Now(), err
	switch {
	case err == nil:
		o.state = opDone
	case errors.Is(err, state.ErrOutcomeUnknown):
		o.state = opUnknown
	default:
		o.state = opRefused
	}
	w.ended(o)
}

// simPin is the pin that a call writes: it has the name of the call.
func simPin(o *op, d *draw) api.Pin {
	pin := api.PinWithOpts(o.cid, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, Name: o.name})
	first := d.below(simPeers)
	pin.Allocations = []peer.ID{simPeerList[first]}
	if d.chance(400) {
		pin.Allocations = append(pin.Allocations, simPeerList[(first+1)%simPeers])
	}
	return pin
}

func simAllocations(pin api.Pin) (out []string) {
	for _, p := range pin.Allocations {
		out = append(out, simLabels[p.String()])
	}
	return out
}

// simPeer is a machine that brings its IPFS daemon in line with the pinset.
type simPeer struct {
	*machine
	id peer.ID
	// holds is what the daemon has pinned; the lock is the world's.
	holds map[api.Cid]bool
	// placements are its rows, and made is how many were written.
	placements map[api.Cid]simPlacement
	made       int
	claimed    chan struct{} // closed when it has a position
}

func newSimPeer(w *world, name string, id peer.ID) *simPeer {
	sp := &simPeer{id: id, holds: make(map[api.Cid]bool), placements: make(map[api.Cid]simPlacement), claimed: make(chan struct{})}
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
	want bool
	done bool
	err  error
}

func newHandler(sp *simPeer, p *process) *handler {
	h := &handler{
		sp: sp, p: p,
		revs: make(map[api.Cid]gocql.UUID), busy: make(map[api.Cid]bool), jobs: make(map[api.Cid]*job),
	}
	h.does = h.act
	if sp.w.ledger {
		h.does = newLedger(h)
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

// act makes the daemon hold what the peer is allocated to, and nothing else.
func (h *handler) act(ctx context.Context, ch state.Change) error {
	want := ch.Pin != nil && slices.Contains(ch.Pin.Allocations, h.sp.id)
	d, _, err := h.p.send("act", label(ch.Cid))
	if err != nil {
		return err
	}
	w := h.sp.w
	w.mu.Lock()
	j := h.jobs[ch.Cid]
	if j != nil && !j.done {
		w.mu.Unlock()
		return state.ErrNotYet
	}
	delete(h.jobs, ch.Cid)
	w.mu.Unlock()
	if j != nil && j.want == want {
		return j.err
	}
	if !d.chance(w.odds.jobs) {
		return h.ipfs(ctx, ch.Cid, want)
	}
	j = &job{want: want}
	w.mu.Lock()
	h.jobs[ch.Cid] = j
	w.mu.Unlock()
	go func() {
		err := h.ipfs(h.p.ctx, ch.Cid, want)
		w.mu.Lock()
		defer w.mu.Unlock()
		j.done, j.err = true, err
	}()
	return state.ErrNotYet
}

// ipfs pins or unpins.
func (h *handler) ipfs(ctx context.Context, c api.Cid, want bool) error {
	w := h.sp.w
	d, _, err := h.p.send("ipfs", label(c))
	if err != nil {
		return err
	}
	fails := w.faulty() && (h.sp.at(h.sp.ipfsDown) || d.chance(w.odds.ipfs))
	if err := h.p.wait(ctx, d.mostly(time.Millisecond, 4*time.Second)); err != nil {
		return err
	}
	h.p.gate(d)
	if h.p.crashed() {
		return errCrashed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !fails || d.chance(200) {
		h.sp.holds[c] = want
		w.moved = time.Now()
		w.note("%s: IPFS holds %s: %t", h.p.name, label(c), want)
	}
	if fails {
		return errSimulated
	}
	return nil
}

package scyllastate

import (
	"context"
	"errors"
	"fmt"
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
	// last is the CID of the call before, undefined if the next call has another.
	last api.Cid
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
		o, last := &op{name: fmt.Sprint(l.name, l.next)}, l.last
		w.mu.Unlock()

		d := w.draw(0, "call", o.name)
		again := last.Defined() && d.chance(w.odds.again) // soon, before the peers have come to an end
		pause := w.pause
		if again {
			pause = min(pause, 4*time.Second)
		}
		if p.wait(p.ctx, d.mostly(time.Millisecond, pause)) != nil {
			return
		}
		p.gate(d)
		o.kind = []opKind{opAdd, opAdd, opAdd, opAdd, opAdd, opRm, opRm, opRm, opRm, opUpdate, opUpdate, opGet, opGet, opPutIf, opDeleteIf}[d.below(15)]
		o.cid = simCidList[min(d.below(w.cids), d.below(w.cids))]
		if again {
			o.cid = last
		}
		w.mu.Lock()
		if !p.crashed() { // else the lane is that of the next process
			l.last = o.cid
		}
		w.mu.Unlock()
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
	pin := w.simPin(o, d)
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
	w.hint(o)
	w.note("%s: %s of %s to %s", p.name, o.title(), label(o.cid), simTitle(pin))
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

// simPin is the pin that a call writes: it has the name of the call. Some are direct,
// and some for every peer.
func (w *world) simPin(o *op, d *draw) api.Pin {
	opts := api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, Name: o.name}
	if d.chance(w.odds.direct) {
		opts.Mode = api.PinModeDirect
	}
	if d.chance(w.odds.everywhere) {
		opts.ReplicationFactorMin, opts.ReplicationFactorMax = -1, -1
		return api.PinWithOpts(o.cid, opts)
	}
	pin := api.PinWithOpts(o.cid, opts)
	first := d.below(simPeers)
	pin.Allocations = []peer.ID{simPeerList[first]}
	if d.chance(400) {
		pin.Allocations = append(pin.Allocations, simPeerList[(first+1)%simPeers])
	}
	return pin
}

// simTitle says where a pin goes, for the trace.
func simTitle(pin api.Pin) string {
	title := pin.Mode.String()
	if pin.IsPinEverywhere() {
		title += " everywhere"
	}
	for _, p := range pin.Allocations {
		title += " " + simLabels[p.String()]
	}
	return title
}

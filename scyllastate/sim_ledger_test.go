package scyllastate

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/placement"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// newLedger lets a real placement.Ledger act for a peer, over a pin tracker that
// works like upstream's, and returns what handles the changes.
func newLedger(h *handler) state.Handler {
	p, w := h.p, h.sp.w
	d := w.draw(0, "ledger", p.name)
	t := &simTracker{p: p, ops: make(map[api.Cid]*simOp)}
	l := placement.New(placement.Options{
		Self: h.sp.id, Store: simPlacements{sp: h.sp, p: p}, Tracker: t, Every: d.between(time.Minute, 2*time.Minute),
	})
	t.ipfs = l.Record(simIPFS{h: h})
	go l.Run(p.ctx)
	go t.recover(h, d.between(10*time.Second, 40*time.Second))
	return l.Act
}

// simPlacement is a row of placements, or that there is none. Of two writes the
// one that was made later counts.
type simPlacement struct {
	row  state.Placement
	gone bool
	made int
}

// simPlacements are the tables as a Ledger sees them. It holds a mutex while it
// waits, for which the clock of a bubble does not go on: its requests take
// effect at once or later, and are answered at once.
type simPlacements struct {
	state.Conditional // not used
	sp                *simPeer
	p                 *process
}

// instant draws what becomes of a request and calls effect. Only a write can
// arrive after its caller was told that it timed out.
func (s simPlacements) instant(kind string, writes bool, c api.Cid, effect func()) error {
	w, p := s.p.world, s.p
	if p.crashed() {
		return errCrashed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := requestKey{kind, label(c)}
	p.requests[key]++
	d := w.draw(p.requests[key], p.name, kind, key.key)
	if !w.faulty() {
		effect()
		return nil
	}
	switch {
	case p.machine.at(p.machine.outages), d.chance(w.odds.lost):
		return gocql.ErrTimeoutNoResponse
	case d.chance(w.odds.lostAnswer):
		effect()
		return gocql.ErrTimeoutNoResponse
	case d.chance(w.odds.crash):
		effect()
		time.AfterFunc(time.Nanosecond, p.crash) // before it goes on
		return errCrashed
	case writes && d.chance(w.odds.late):
		w.underWay++
		time.AfterFunc(d.mostly(time.Millisecond, w.late), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.underWay--
			effect()
		})
		return gocql.ErrTimeoutNoResponse
	}
	effect()
	return nil
}

// write stores a row, or that there is none.
func (s simPlacements) write(kind string, c api.Cid, row state.Placement, gone bool) error {
	w := s.p.world
	w.mu.Lock()
	s.sp.made++
	made := s.sp.made
	w.mu.Unlock()
	return s.instant(kind, true, c, func() {
		if s.sp.placements[c].made > made {
			return
		}
		s.sp.placements[c] = simPlacement{row: row, gone: gone, made: made}
		w.moved = time.Now()
		w.note("%s: placement of %s is %d (gone: %t)", s.p.name, label(c), row.Status, gone)
	})
}

func (s simPlacements) PutPlacement(_ context.Context, _ peer.ID, row state.Placement) error {
	return s.write("put placement", row.Cid, row, false)
}

func (s simPlacements) SetSize(context.Context, peer.ID, api.Cid, int64) error { return nil }

func (s simPlacements) DropPlacement(_ context.Context, _ peer.ID, c api.Cid) error {
	return s.write("drop placement", c, state.Placement{}, true)
}

func (s simPlacements) GetPlacement(_ context.Context, _ peer.ID, c api.Cid) (row state.Placement, there bool, err error) {
	err = s.instant("get placement", false, c, func() {
		r, ok := s.sp.placements[c]
		row, there = r.row, ok && !r.gone
	})
	return row, there, err
}

// PlacementBuckets names all that there may ever be: the notes of buckets are no
// part of the simulation.
func (s simPlacements) PlacementBuckets(ctx context.Context, _ peer.ID) ([]int, error) {
	var buckets []int
	for _, c := range simCidList {
		buckets = append(buckets, bucketOf(c))
	}
	slices.Sort(buckets)
	return slices.Compact(buckets), ctx.Err()
}

func (s simPlacements) ListPlacements(_ context.Context, _ peer.ID, bucket int, f func(state.Placement) error) error {
	for _, c := range simCidList {
		if bucketOf(c) != bucket {
			continue
		}
		var row state.Placement
		there := false
		err := s.instant("list placements", false, c, func() {
			r, ok := s.sp.placements[c]
			row, there = r.row, ok && !r.gone
		})
		if err != nil || !there {
			return err
		}
		time.Sleep(s.p.world.draw(bucket, "list", time.Now().String()).between(1, time.Millisecond))
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

func (s simPlacements) GetVersion(_ context.Context, c api.Cid) (pin *api.Pin, rev state.Revision, err error) {
	var r row
	err = s.instant("get version", false, c, func() {
		r = s.p.world.pins.read(string(c.Bytes()), time.Now(), "rev", "prev", "pin")
	})
	if err == nil {
		pin, err = r.decode(c)
	}
	return pin, state.Revision(r.rev), err
}

// simIPFS is the connector to the daemon.
type simIPFS struct {
	placement.IPFS // not used
	h              *handler
}

func (i simIPFS) Pin(ctx context.Context, pin api.Pin) error { return i.h.ipfs(ctx, pin.Cid, true) }

func (i simIPFS) Unpin(ctx context.Context, c api.Cid) error { return i.h.ipfs(ctx, c, false) }

// simTracker does what upstream's stateless tracker does: one operation for each
// CID, which one of the other kind replaces and cancels.
type simTracker struct {
	p    *process
	ipfs *placement.Connector
	mu   sync.Mutex
	ops  map[api.Cid]*simOp
}

// simOp is an operation.
type simOp struct {
	pin     api.Pin
	want    bool
	working bool
	failed  bool
	ctx     context.Context
	cancel  context.CancelFunc
}

func (t *simTracker) Track(_ context.Context, pin api.Pin) error { return t.enqueue(pin, true) }

func (t *simTracker) Untrack(_ context.Context, c api.Cid) error {
	return t.enqueue(api.PinCid(c), false)
}

func (t *simTracker) enqueue(pin api.Pin, want bool) error {
	d, w := t.p.world.draw(0, "enqueue", t.p.name, label(pin.Cid), time.Now().String()), t.p.world
	t.mu.Lock()
	defer t.mu.Unlock()
	if op := t.ops[pin.Cid]; op != nil {
		if op.want == want && !op.failed {
			return nil // it is being done
		}
		op.cancel()
	}
	op := &simOp{pin: pin, want: want}
	op.ctx, op.cancel = context.WithCancel(t.p.ctx)
	t.ops[pin.Cid] = op
	if w.faulty() && d.chance(w.odds.ipfs/4) {
		op.failed = true
		op.cancel()
		return errSimulated // its queue is full
	}
	go t.work(op, d)
	return nil
}

func (t *simTracker) work(op *simOp, d *draw) {
	if t.p.wait(op.ctx, d.mostly(time.Microsecond, 3*time.Second)) != nil {
		return
	}
	t.mu.Lock()
	op.working = true
	t.mu.Unlock()
	var err error
	if op.want {
		err = t.ipfs.Pin(op.ctx, op.pin)
	} else {
		err = t.ipfs.Unpin(op.ctx, op.pin.Cid)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case op.ctx.Err() != nil:
	case err != nil:
		op.failed = true
	case t.ops[op.pin.Cid] == op:
		delete(t.ops, op.pin.Cid)
	}
	op.cancel()
}

func (t *simTracker) Operation(_ context.Context, c api.Cid) api.TrackerStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	op := t.ops[c]
	switch {
	case op == nil:
		return api.TrackerStatusPinned // or not: nobody asks for the difference
	case op.failed && op.want:
		return api.TrackerStatusPinError
	case op.failed:
		return api.TrackerStatusUnpinError
	case op.want && op.working:
		return api.TrackerStatusPinning
	case op.want:
		return api.TrackerStatusPinQueued
	case op.working:
		return api.TrackerStatusUnpinning
	default:
		return api.TrackerStatusUnpinQueued
	}
}

// recover pins what should be there and is not, again and again. What it has
// read may be out of date when it acts.
func (t *simTracker) recover(h *handler, every time.Duration) {
	for t.p.wait(t.p.ctx, every) == nil {
		for _, c := range simCidList {
			r, err := simTables{t.p}.readPin(t.p.ctx, c, gocql.Quorum)
			if err != nil {
				continue
			}
			pin, err := r.decode(c)
			if err != nil || pin == nil || !slices.Contains(pin.Allocations, h.sp.id) {
				continue
			}
			h.sp.w.mu.Lock()
			holds := h.sp.holds[c]
			h.sp.w.mu.Unlock()
			t.mu.Lock()
			op := t.ops[c]
			t.mu.Unlock()
			d := h.sp.w.draw(0, "recover", t.p.name, time.Now().String())
			if op == nil && holds || op != nil && !op.failed || t.p.wait(t.p.ctx, d.mostly(time.Microsecond, time.Second)) != nil {
				continue
			}
			_ = t.enqueue(*pin, true) // it is tried again
		}
	}
}

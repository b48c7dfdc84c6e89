package scyllastate

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simPlacement is a row of placements. Each cell, and that the row was deleted, has the
// number of the write: of two the one that was made later counts.
type simPlacement struct {
	row              state.Placement
	made, rev, depth int
	gone             int
}

// put is an UPDATE. A revision or depth of null leaves what is there.
func (r *simPlacement) put(row state.Placement, made int) {
	if made > r.made {
		rev, depth := r.row.Rev, r.row.Depth
		r.row, r.made = row, made
		r.row.Rev, r.row.Depth = rev, depth
	}
	if row.Rev != (state.Revision{}) && made > r.rev {
		r.row.Rev, r.rev = row.Rev, made
	}
	if row.Depth != nil && made > r.depth {
		depth := *row.Depth
		r.row.Depth, r.depth = &depth, made
	}
}

// get returns the row, and false if there is none.
func (r simPlacement) get() (row state.Placement, there bool) {
	if r.made <= r.gone {
		return state.Placement{}, false
	}
	row = r.row
	if r.rev <= r.gone {
		row.Rev = state.Revision{}
	}
	if r.depth <= r.gone {
		row.Depth = nil
	}
	return row, true
}

// simPlacements are the tables as a Tracker sees them. Its requests take effect
// almost at once or later, and what they return may be old when it arrives.
type simPlacements struct {
	tracker.Store // nil: the others are not used
	sp            *simPeer
	p             *process
}

// instant draws what becomes of a request and calls effect. Only a write can
// arrive after its caller was told that it timed out.
func (s simPlacements) instant(kind string, writes bool, c api.Cid, effect func()) error {
	w, p := s.p.world, s.p
	if p.crashed() {
		return errCrashed
	}
	w.mu.Lock()
	key := requestKey{kind: kind, key: label(c)}
	p.requests[key]++
	d := w.draw(p.requests[key], p.name, kind, key.key)
	w.mu.Unlock()
	// No two things happen at the same moment: their order would be chance.
	time.Sleep(d.between(1, 100*time.Microsecond))
	if p.crashed() {
		return errCrashed
	}
	w.mu.Lock()
	err := s.fate(d, writes, effect)
	answer := d.between(1, 100*time.Microsecond)
	if w.faulty() && d.chance(w.odds.old) {
		answer = d.between(time.Millisecond, w.requestTimeout)
	}
	w.mu.Unlock()
	time.Sleep(answer)
	if p.crashed() {
		return errCrashed
	}
	return err
}

// fate is what becomes of a request that is on its way. The caller holds the lock.
func (s simPlacements) fate(d *draw, writes bool, effect func()) error {
	w, p := s.p.world, s.p
	switch {
	case !w.faulty():
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

// write changes the row of a CID, or removes it.
func (s simPlacements) write(kind string, c api.Cid, gone bool, change func(r *simPlacement, made int)) error {
	w := s.p.world
	w.mu.Lock()
	s.sp.made++
	made := s.sp.made
	w.mu.Unlock()
	return s.instant(kind, true, c, func() {
		r := s.sp.placements[c]
		was, there := r.get()
		change(&r, made)
		if w.relay != nil {
			s.noted(c, was, there, r)
		}
		s.sp.placements[c] = r
		s.sp.placed(s.p, c, made, gone)
		w.moved = time.Now()
		if w.tracing {
			row, there := r.get()
			w.note("%s: placement of %s is %d (there: %t, depth %s)", s.p.name, label(c), row.Status, there, depthText(row.Depth))
		}
	})
}

// noted checks that the event of a row was noted before. The caller holds the lock.
func (s simPlacements) noted(c api.Cid, was state.Placement, there bool, r simPlacement) {
	row, still := r.get()
	switch {
	case still && row.Status == state.PlacementPinned && !s.hasEvent(c, kindPinned, row.Rev):
		s.sp.w.fail("%s: the placement of %s is pinned in rev %s, and there is no event", s.p.name, label(c), stamp(gocql.UUID(row.Rev)))
	case there && !still && was.Status.Leaving() && !s.hasEvent(c, kindDropped, state.Revision{}):
		s.sp.w.fail("%s: the placement of %s is gone, and there is no event", s.p.name, label(c))
	}
}

// hasEvent reports whether there is an event of the peer, in a revision that is not zero.
func (s simPlacements) hasEvent(c api.Cid, kind int8, rev state.Revision) bool {
	feed := state.EventFeedName(state.EventShard(c))
	for slot, rows := range s.sp.w.changes {
		if slot.feed == feed && slices.ContainsFunc(rows, func(r simChange) bool {
			return r.kind == kind && r.peer == s.sp.id.String() && bytes.Equal(r.cid, c.Bytes()) && (rev == state.Revision{} || r.rev == gocql.UUID(rev))
		}) {
			return true
		}
	}
	return false
}

func depthText(depth *api.PinDepth) string {
	if depth == nil {
		return "null"
	}
	return depth.ToPinMode().String()
}

func (s simPlacements) PutPlacement(_ context.Context, _ peer.ID, row state.Placement) error {
	return s.write("put placement", row.Cid, false, func(r *simPlacement, made int) { r.put(row, made) })
}

func (s simPlacements) SetSize(context.Context, peer.ID, api.Cid, int64) error { return nil }

func (s simPlacements) DropPlacement(_ context.Context, _ peer.ID, c api.Cid) error {
	return s.write("drop placement", c, true, func(r *simPlacement, made int) { r.gone = max(r.gone, made) })
}

// GetPlacement is that of any peer: who lets go of content counts those of others.
func (s simPlacements) GetPlacement(_ context.Context, p peer.ID, c api.Cid) (row state.Placement, there bool, err error) {
	err = s.instant("get placement of "+s.sp.w.feedName(p.String()), false, c, func() {
		for _, sp := range s.sp.w.peers {
			if sp.id == p {
				row, there = sp.placements[c].get()
			}
		}
	})
	return row, there, err
}

// ListOwn leaves out what is only in the feed.
func (s simPlacements) ListOwn(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	cids := slices.Clone(simCidList)
	slices.SortFunc(cids, func(a, b api.Cid) int {
		return state.PlaceOf(a).Compare(state.PlaceOf(b))
	})
	for _, c := range cids {
		if state.Bucket(c) < after.Bucket || state.Bucket(c) == after.Bucket && after.Cid.Defined() && bytes.Compare(c.Bytes(), after.Cid.Bytes()) <= 0 {
			continue
		}
		own := state.Own{Cid: c}
		row, there, err := s.GetPlacement(ctx, p, c)
		if err == nil {
			err = s.instant("read everywhere", false, c, func() { own.Everywhere = s.p.world.everywhere[c] })
		}
		if err != nil {
			return &state.BucketError{Bucket: state.Bucket(c), Err: err}
		}
		if there {
			own.Placement = &row
		}
		if !there && !own.Everywhere {
			continue
		}
		if err := f(own); err != nil {
			return err
		}
	}
	return nil
}

func (s simPlacements) GetVersions(ctx context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	for i, c := range cids {
		pin, rev, err := s.GetVersion(ctx, c)
		if err != nil {
			return err
		}
		f(i, pin, rev, nil)
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

// ListPlaced implements state.OwnPins for the simulation, whose ListOwn has no changes.
func (s simPlacements) ListPlaced(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	return s.ListOwn(ctx, p, after, f)
}

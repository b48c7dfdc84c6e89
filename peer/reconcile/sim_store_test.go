package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simStore is the pinset as one process sees it: each request takes its time, may
// fail, and has no effect once the process is dead. What it does not have, nobody asks
// for in a simulation.
type simStore struct {
	*fakeStore
	state.OwnPins
	p *simProcess
}

func (s simStore) GetVersion(ctx context.Context, c api.Cid) (pin *api.Pin, rev state.Revision, err error) {
	if fault := s.request(ctx, "pin", c, func() { pin, rev, err = s.fakeStore.GetVersion(ctx, c) }); fault != nil {
		return nil, state.Revision{}, fault
	}
	return pin, rev, err
}

func (s simStore) GetVersions(ctx context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	type version struct {
		pin *api.Pin
		rev state.Revision
		err error
	}
	found := make([]version, len(cids))
	err := s.p.request(ctx, "pins", func() {
		for i, c := range cids {
			found[i].pin, found[i].rev, found[i].err = s.fakeStore.GetVersion(ctx, c)
		}
	})
	if err != nil {
		return err
	}
	for i, v := range found {
		f(i, v.pin, v.rev, v.err)
	}
	return nil
}

// PutIf is how the loops move pins: each write is judged.
func (s simStore) PutIf(ctx context.Context, pin api.Pin, rev state.Revision) (err error) {
	fault := s.request(ctx, "put", pin.Cid, func() {
		sim := s.p.s
		sim.mu.Lock()
		defer sim.mu.Unlock()
		before := s.fakeStore.pin(pin.Cid)
		if err = s.fakeStore.PutIf(ctx, pin, rev); err == nil {
			sim.note("%s moves %s from %q to %q", s.p.name, sim.nameOf(pin.Cid), before.Allocations, pin.Allocations)
			sim.tally["moves"]++
			sim.judgeMove(s.p, *before, pin)
		}
	})
	if fault != nil {
		return fault
	}
	return err
}

func (s simStore) GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (row state.Placement, there bool, err error) {
	if fault := s.request(ctx, "row of "+string(p), c, func() { row, there, err = s.fakeStore.GetPlacement(ctx, p, c) }); fault != nil {
		return state.Placement{}, false, fault
	}
	return row, there, err
}

// GetPlacementsOf reads the rows at different moments, as a database may.
func (s simStore) GetPlacementsOf(ctx context.Context, peers []peer.ID, c api.Cid) (map[peer.ID]state.Placement, error) {
	found := make(map[peer.ID]state.Placement)
	for _, p := range peers {
		row, there, err := s.GetPlacement(ctx, p, c)
		if err != nil {
			return nil, err
		}
		if there {
			found[p] = row
		}
	}
	return found, nil
}

func (s simStore) PutPlacement(ctx context.Context, p peer.ID, row state.Placement) error {
	return s.request(ctx, "put row", row.Cid, func() {
		was, _, _ := s.fakeStore.GetPlacement(ctx, p, row.Cid)
		if row.Depth == nil {
			row.Depth = was.Depth
		}
		if row.Size == 0 {
			row.Size = was.Size
		}
		if row.Rev == (state.Revision{}) {
			row.Rev = was.Rev
		}
		_ = s.fakeStore.PutPlacement(ctx, p, row)
		s.p.s.with(func() { s.p.s.judgeRow(s.p, row) })
	})
}

func (s simStore) DropPlacement(ctx context.Context, p peer.ID, c api.Cid) error {
	return s.request(ctx, "drop row", c, func() { _ = s.fakeStore.DropPlacement(ctx, p, c) })
}

func (s simStore) PlacementBuckets(ctx context.Context, p peer.ID) (buckets []int, err error) {
	err = s.p.request(ctx, "buckets of "+string(p), func() { buckets = s.fakeStore.buckets(p) })
	return buckets, err
}

func (s simStore) ListPlacements(ctx context.Context, p peer.ID, bucket int, f func(state.Placement) error) error {
	var rows []state.Placement
	err := s.p.request(ctx, "rows of "+string(p), func() {
		_ = s.fakeStore.ListPlacements(ctx, p, bucket, func(row state.Placement) error {
			rows = append(rows, row)
			return nil
		})
	})
	for i := 0; i < len(rows) && err == nil; i++ {
		err = f(rows[i])
	}
	return err
}

func (s simStore) ListPlaced(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	var own []state.Own
	err := s.p.request(ctx, "own rows", func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for k, row := range s.placements {
			if k.peer == p && state.PlaceOf(k.cid).Compare(after) > 0 {
				own = append(own, state.Own{Cid: k.cid, Placement: &row})
			}
		}
	})
	slices.SortFunc(own, func(a, b state.Own) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) })
	for i := 0; i < len(own) && err == nil; i++ {
		err = f(own[i])
	}
	return err
}

func (s simStore) MarkHandedOver(ctx context.Context, p peer.ID, removed time.Time, buckets ...int) (err error) {
	if fault := s.p.request(ctx, "mark "+string(p), func() { err = s.fakeStore.MarkHandedOver(ctx, p, removed, buckets...) }); fault != nil {
		return fault
	}
	return err
}

func (s simStore) HandedOver(ctx context.Context, p peer.ID, removed time.Time) (buckets []int, err error) {
	if fault := s.p.request(ctx, "marks of "+string(p), func() { buckets, err = s.fakeStore.HandedOver(ctx, p, removed) }); fault != nil {
		return nil, fault
	}
	return buckets, err
}

func (s simStore) ScanFrom(ctx context.Context, piece, pieces int, from api.Cid, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	type version struct {
		pin api.Pin
		rev state.Revision
	}
	var found []version
	err := s.p.request(ctx, "scan", func() {
		_ = s.fakeStore.ScanFrom(ctx, piece, pieces, from, func(pin api.Pin, rev state.Revision) error {
			found = append(found, version{pin, rev})
			return nil
		}, bad)
	})
	for i := 0; i < len(found) && err == nil; i++ {
		err = f(found[i].pin, found[i].rev)
	}
	return err
}

func (s simStore) Tell(ctx context.Context, p peer.ID, cids ...api.Cid) error {
	return s.p.request(ctx, "tell "+string(p), func() {
		for _, c := range cids {
			s.p.s.feedOf(p).append(simEntry{cid: c})
		}
	})
}

func (s simStore) Follow(_ context.Context, p peer.ID) (state.Feed, error) {
	return simFollow{s.p, s.p.s.feedOf(p)}, nil
}

func (s simStore) request(ctx context.Context, what string, c api.Cid, do func()) error {
	return s.p.request(ctx, what+" "+s.p.s.nameOf(c), do)
}

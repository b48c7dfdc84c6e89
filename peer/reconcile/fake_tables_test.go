package reconcile

// The fake store beside the pins: what the peers hold, what runs out, what a
// scrub needs, and the feeds.

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// fakeWindow is the DueWindow of the fake.
const fakeWindow = 30 * time.Second

func (s *fakeStore) PutPlacement(_ context.Context, p peer.ID, row state.Placement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row.Updated = time.Now()
	s.placements[held{p, row.Cid}] = row
	return nil
}

func (s *fakeStore) SetSize(context.Context, peer.ID, api.Cid, int64) error { return nil }

func (s *fakeStore) DropPlacement(_ context.Context, p peer.ID, c api.Cid) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.placements, held{p, c})
	return nil
}

func (s *fakeStore) GetPlacement(_ context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error) {
	if err := s.begin("GetPlacement", c); err != nil {
		return state.Placement{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.placements[held{p, c}]
	return row, ok, nil
}

func (s *fakeStore) GetPlacementsOf(_ context.Context, peers []peer.ID, c api.Cid) (map[peer.ID]state.Placement, error) {
	if err := s.begin("GetPlacementsOf", c); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[peer.ID]state.Placement)
	for _, p := range peers {
		if row, ok := s.placements[held{p, c}]; ok {
			found[p] = row
		}
	}
	return found, nil
}

func (s *fakeStore) PlacementBuckets(_ context.Context, p peer.ID) ([]int, error) {
	if err := s.begin("PlacementBuckets "+string(p), api.CidUndef); err != nil {
		return nil, err
	}
	return s.buckets(p), nil
}

// buckets are those in which peer p has placements.
func (s *fakeStore) buckets(p peer.ID) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var buckets []int
	for k := range s.placements {
		if k.peer == p {
			buckets = append(buckets, hashOf(k.cid, state.Buckets))
		}
	}
	slices.Sort(buckets)
	return slices.Compact(buckets)
}

func (s *fakeStore) ListPlacements(_ context.Context, p peer.ID, bucket int, f func(state.Placement) error) error {
	if err := s.begin("ListPlacements "+string(p), api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	var rows []state.Placement
	for k, row := range s.placements {
		if k.peer == p && hashOf(k.cid, state.Buckets) == bucket {
			rows = append(rows, row)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(rows, func(a, b state.Placement) int { return strings.Compare(a.Cid.KeyString(), b.Cid.KeyString()) })
	for _, row := range rows {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeStore) MarkHandedOver(_ context.Context, p peer.ID, removed time.Time, buckets ...int) error {
	if err := s.begin("MarkHandedOver", api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := removal{p, removed.UnixMilli()}
	s.handed[k] = slices.Compact(slices.Sorted(slices.Values(append(s.handed[k], buckets...))))
	return nil
}

func (s *fakeStore) HandedOver(_ context.Context, p peer.ID, removed time.Time) ([]int, error) {
	if err := s.begin("HandedOver", api.CidUndef); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.handed[removal{p, removed.UnixMilli()}]), nil
}

func (s *fakeStore) Due(_ context.Context, shard int, after, upTo time.Time, f func(api.Cid, time.Time) error) error {
	if err := s.begin("Due", api.CidUndef); err != nil {
		return err
	}
	var rows []dueEntry
	s.mu.Lock()
	for slot := after.Truncate(time.Minute); !slot.After(upTo); slot = slot.Add(time.Minute) {
		for c, row := range s.due[slot.In(time.Local)] {
			if hashOf(c, state.ExpiryShards) == shard {
				rows = append(rows, row)
			}
		}
	}
	s.mu.Unlock()
	for _, row := range rows {
		if err := f(row.cid, row.due); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeStore) DuePosition(_ context.Context, shard int) (time.Time, error) {
	if err := s.begin("DuePosition", api.CidUndef); err != nil {
		return time.Time{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.duePos[shard], nil
}

func (s *fakeStore) SetDuePosition(_ context.Context, shard int, upTo time.Time) error {
	if err := s.begin("SetDuePosition", api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.duePos[shard] = upTo
	return nil
}

func (s *fakeStore) DueWindow() time.Duration { return fakeWindow }

func (s *fakeStore) ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	return s.ScanFrom(ctx, piece, pieces, api.CidUndef, f, bad)
}

func (s *fakeStore) ScanFrom(_ context.Context, piece, pieces int, from api.Cid, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	if err := s.begin("ScanFrom", api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	s.scanned = append(s.scanned, scan{piece, time.Now()})
	pins := maps.Clone(s.pins)
	err := s.bad[piece]
	s.mu.Unlock()
	if err != nil {
		bad(api.CidUndef, err)
	}
	order := func(a, b api.Cid) int { return strings.Compare(a.KeyString(), b.KeyString()) }
	for _, c := range slices.SortedFunc(maps.Keys(pins), order) {
		v := pins[c]
		if v.pin == nil || hashOf(c, pieces) != piece || from.Defined() && order(c, from) < 0 {
			continue
		}
		if err := s.begin("scanned", c); err != nil {
			return err
		}
		if err := f(*v.pin, v.rev); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeStore) Tell(_ context.Context, p peer.ID, cids ...api.Cid) error {
	if err := s.begin("Tell", api.CidUndef); err != nil {
		return err
	}
	if len(cids) > maxTell {
		return errors.New("too many at once")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[p] = append(s.told[p], cids...)
	return nil
}

func (s *fakeStore) Index(_ context.Context, pin api.Pin, _ state.Revision) error {
	if err := s.begin("Index", pin.Cid); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexed[pin.Cid]++
	if expires(pin) {
		s.announce(pin.Cid, pin.ExpireAt, time.Now())
	}
	return nil
}

func (s *fakeStore) NoteBucket(_ context.Context, p peer.ID, bucket int) error {
	if err := s.begin("NoteBucket", api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renoted[p] = append(s.renoted[p], bucket)
	return nil
}

func (s *fakeStore) DropStrays(_ context.Context, bucket int) (int, error) {
	if err := s.begin("DropStrays", api.CidUndef); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.strays[bucket]
	s.strays[bucket] = 0
	return n, nil
}

func (s *fakeStore) Follow(_ context.Context, p peer.ID) (state.Feed, error) {
	if err := s.begin("Follow", api.CidUndef); err != nil {
		return nil, err
	}
	return fakeFeed{s, p}, nil
}

// fakeFeed delivers the CIDs in order, each until it is accepted, but goes on
// with the others meanwhile.
type fakeFeed struct {
	store *fakeStore
	peer  peer.ID
}

func (f fakeFeed) Consume(ctx context.Context, handle state.Handler) error {
	f.store.mu.Lock()
	f.store.follows[f.peer]++
	f.store.mu.Unlock()
	defer func() {
		f.store.mu.Lock()
		f.store.follows[f.peer]--
		f.store.mu.Unlock()
	}()
	read := 0
	open := map[api.Cid]bool{}
	for {
		f.store.mu.Lock()
		for _, c := range f.store.feeds[f.peer][read:] {
			open[c] = true
			read++
		}
		f.store.mu.Unlock()
		for c := range open {
			f.store.mu.Lock()
			v := f.store.pins[c]
			f.store.mu.Unlock()
			if handle(ctx, state.Change{Cid: c, Pin: v.pin, Rev: v.rev}) == nil {
				delete(open, c)
			}
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
}

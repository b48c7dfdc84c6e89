package tracker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var errDown = errors.New("the database is gone")

// store is a pinset and placements in memory. down makes every call fail.
type store struct {
	mu      sync.Mutex
	pins    map[api.Cid]api.Pin
	revs    map[api.Cid]state.Revision
	rows    map[api.Cid]state.Placement
	changed map[api.Cid]bool
	down    bool
	deaf    bool    // a write is made, and its answer lost
	broken  api.Cid // its pin cannot be decoded
	badAt   int     // the listing of this bucket fails, if not 0
	others  map[peer.ID]map[api.Cid]state.Placement
	slow    time.Duration // a write takes that long
	early   bool          // it is made at once, and told later
	late    time.Duration // the answer of a read takes that long, and is old then
	seen    []string      // the statuses written, in order
	reads   int           // of one pin or row
	read    int           // pins, of many at once
	lists   int           // of more than a bucket
	buckets int           // read for themselves
	clocks  uint32
	put     func(state.Placement) // is told of each row, if not nil
	drop    func(api.Cid)         // is told of each row that goes, if not nil
}

func newStore() *store {
	return &store{
		pins: map[api.Cid]api.Pin{}, revs: map[api.Cid]state.Revision{}, rows: map[api.Cid]state.Placement{}, changed: map[api.Cid]bool{},
	}
}

// set writes the pin, nil removes it, and returns the change.
func (s *store) set(c api.Cid, pin *api.Pin) state.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clocks++
	_, before := s.revs[c]
	s.revs[c] = state.Revision{2: byte(s.clocks >> 8), 3: byte(s.clocks), 6: 0x10}
	delete(s.pins, c)
	if pin != nil {
		s.pins[c] = *pin
	}
	return state.Change{Cid: c, Pin: pin, Rev: s.revs[c], First: pin != nil && pin.MaxDepth != 0 && !before}
}

func (s *store) edit(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// row is the row of a CID, all are those of all.
func (s *store) row(c api.Cid) state.Placement { return s.all()[c] }

func (s *store) all() map[api.Cid]state.Placement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.rows)
}

func (s *store) rev(c api.Cid) state.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revs[c]
}

// try is a request, which may fail.
func (s *store) try(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	f()
	return nil
}

func (s *store) version(c api.Cid) (*api.Pin, state.Revision, error) {
	if c == s.broken {
		return nil, s.revs[c], fmt.Errorf("the pin of %s is %w", c, state.ErrCorrupt)
	}
	if pin, ok := s.pins[c]; ok {
		return &pin, s.revs[c], nil
	}
	return nil, s.revs[c], nil
}

// wait is for the answer of a read.
func (s *store) wait() {
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	time.Sleep(late)
}

func (s *store) GetVersion(_ context.Context, c api.Cid) (pin *api.Pin, rev state.Revision, err error) {
	defer s.wait()
	if down := s.try(func() {
		s.reads++
		pin, rev, err = s.version(c)
	}); down != nil {
		return nil, rev, down
	}
	return pin, rev, err
}

func (s *store) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	return s.try(func() {
		s.read += len(cids)
		for i, c := range cids {
			pin, rev, err := s.version(c)
			f(i, pin, rev, err)
		}
	})
}

func (s *store) PutPlacement(ctx context.Context, _ peer.ID, row state.Placement) error {
	s.mu.Lock()
	slow, early := s.slow, s.early
	s.mu.Unlock()
	if early {
		defer time.Sleep(slow)
		slow = 0
	}
	if err := pass(ctx, slow); err != nil {
		return err
	}
	deaf := false
	err := s.try(func() {
		deaf = s.deaf
		s.seen = append(s.seen, fmt.Sprint(row.Status))
		was := s.rows[row.Cid]
		if row.Depth == nil {
			row.Depth = was.Depth
		}
		if row.Size == 0 {
			row.Size = was.Size
		}
		if row.Rev == (state.Revision{}) {
			row.Rev = was.Rev
		}
		row.Updated = time.Now()
		s.rows[row.Cid] = row
		if s.put != nil {
			s.put(row)
		}
	})
	if deaf {
		return errDown
	}
	return err
}

func (s *store) SetSize(_ context.Context, _ peer.ID, c api.Cid, size int64) error {
	return s.try(func() {
		row := s.rows[c]
		row.Size = size
		s.rows[c] = row
		s.seen = append(s.seen, "size")
	})
}

func (s *store) DropPlacement(_ context.Context, _ peer.ID, c api.Cid) error {
	return s.try(func() {
		s.seen = append(s.seen, "gone")
		delete(s.rows, c)
		if s.drop != nil {
			s.drop(c)
		}
	})
}

func (s *store) GetPlacement(_ context.Context, p peer.ID, c api.Cid) (row state.Placement, there bool, err error) {
	defer s.wait()
	err = s.try(func() {
		s.reads++
		row, there = s.rows[c]
		if p != statetest.Peer("self") {
			row, there = s.others[p][c]
		}
	})
	return row, there, err
}

func (s *store) ListOwn(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	s.edit(func() { s.lists++ })
	return s.list(after, false, f)
}

func (s *store) ListChanged(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	return s.list(after, true, f)
}

func (s *store) ListBucket(_ context.Context, _ peer.ID, bucket int, f func(state.Own) error) error {
	s.edit(func() { s.buckets++ })
	end := errors.New("the bucket has ended")
	err := s.list(state.Place{Bucket: bucket}, false, func(own state.Own) error {
		switch {
		case state.Bucket(own.Cid) > bucket:
			return end
		case own.Placement == nil && !own.Everywhere:
			return nil
		}
		own.Changed = false
		return f(own)
	})
	var bad *state.BucketError
	if errors.Is(err, end) || errors.As(err, &bad) && bad.Bucket != bucket {
		return nil
	}
	return err
}

func (s *store) list(after state.Place, changedOnly bool, f func(state.Own) error) error {
	var all []state.Own
	bad := 0
	err := s.try(func() {
		bad = s.badAt
		found := map[api.Cid]*state.Own{}
		at := func(c api.Cid) *state.Own {
			if found[c] == nil {
				found[c] = &state.Own{Cid: c}
			}
			return found[c]
		}
		for c := range s.changed {
			at(c).Changed = true
		}
		if !changedOnly {
			for c, row := range s.rows {
				row.Cid = c
				at(c).Placement = &row
			}
			for c, pin := range s.pins {
				if pin.IsPinEverywhere() {
					at(c).Everywhere = true
				}
			}
		}
		for _, own := range found {
			all = append(all, *own)
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b state.Own) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) })
	for _, own := range all {
		if state.PlaceOf(own.Cid).Compare(after) <= 0 {
			continue
		}
		if bucket := state.Bucket(own.Cid); bad != 0 && after.Bucket <= bad && bucket >= bad {
			return &state.BucketError{Bucket: bad, Err: errDown}
		}
		if err := f(own); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) ScanPiece(_ context.Context, _, _ int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	var all []api.Pin
	if err := s.try(func() {
		for c, pin := range s.pins {
			if _, _, err := s.version(c); err != nil {
				defer bad(c, err)
				continue
			}
			all = append(all, pin)
		}
	}); err != nil {
		return err
	}
	for _, pin := range all {
		if err := f(pin, state.Revision{}); err != nil {
			return err
		}
	}
	return nil
}

// statuses returns what was written since the last call.
func (s *store) statuses() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.seen, " ")
	s.seen = nil
	return out
}

package reconcile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// fakeWindow is the DueWindow of the fake.
const fakeWindow = 30 * time.Second

type version struct {
	pin *api.Pin // nil: removed
	rev state.Revision
}

type dueEntry struct {
	cid api.Cid
	due time.Time
}

type held struct {
	peer peer.ID
	cid  api.Cid
}

// fakeStore is the pinset in memory.
type fakeStore struct {
	mu         sync.Mutex
	seq        uint16
	pins       map[api.Cid]version
	placements map[held]state.Placement
	due        map[time.Time]map[api.Cid]dueEntry // by slot
	duePos     map[int]time.Time
	feeds      map[peer.ID][]api.Cid
	told       map[peer.ID][]api.Cid
	indexed    map[api.Cid]int
	strays     map[int]int
	bad        map[int]error // by piece
	calls      map[string]int
	scanned    []scan
	follows    map[peer.ID]int // running Consume calls
	renoted    map[peer.ID][]int

	// beforeWrite runs without the lock before a conditional write is judged.
	beforeWrite func(c api.Cid)
	// fail, if it returns an error, makes a call fail. c may be undefined.
	fail func(call string, c api.Cid) error
	// busy and mostBusy count overlapping GetVersion calls when slow is set.
	slow           time.Duration
	busy, mostBusy int
}

type scan struct {
	piece int
	at    time.Time
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		pins: map[api.Cid]version{}, placements: map[held]state.Placement{},
		due: map[time.Time]map[api.Cid]dueEntry{}, duePos: map[int]time.Time{},
		feeds: map[peer.ID][]api.Cid{}, told: map[peer.ID][]api.Cid{}, indexed: map[api.Cid]int{},
		strays: map[int]int{}, bad: map[int]error{}, calls: map[string]int{}, follows: map[peer.ID]int{}, renoted: map[peer.ID][]int{},
	}
}

func hashOf(c api.Cid, n int) int {
	h := fnv.New32a()
	_, _ = h.Write(c.Bytes())
	return int(h.Sum32() % uint32(n))
}

// timeuuid is the encoding of RFC 9562, version 1.
func timeuuid(t time.Time, seq uint16) state.Revision {
	var r state.Revision
	ticks := uint64(t.Unix()*1e7+int64(t.Nanosecond()/100)) + 0x01b21dd213814000
	binary.BigEndian.PutUint32(r[0:], uint32(ticks))
	binary.BigEndian.PutUint16(r[4:], uint16(ticks>>32))
	binary.BigEndian.PutUint16(r[6:], uint16(ticks>>48)|0x1000)
	binary.BigEndian.PutUint16(r[8:], seq&0x3fff|0x8000)
	return r
}

func (s *fakeStore) begin(call string, c api.Cid) error {
	s.mu.Lock()
	s.calls[call]++
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		return fail(call, c)
	}
	return nil
}

func (s *fakeStore) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// write stores a pin (nil: removes it) as some user, and tells everybody.
func (s *fakeStore) write(c api.Cid, pin *api.Pin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(c, pin)
}

func (s *fakeStore) put(c api.Cid, pin *api.Pin) {
	s.seq++
	feeds := map[peer.ID]bool{}
	for _, p := range []*api.Pin{s.pins[c].pin, pin} {
		if p != nil {
			for _, a := range p.Allocations {
				feeds[a] = true
			}
		}
	}
	for f := range feeds {
		s.feeds[f] = append(s.feeds[f], c)
	}
	if pin != nil {
		clone := *pin
		clone.Allocations = slices.Clone(pin.Allocations)
		pin = &clone
		if expires(clone) {
			s.announce(c, clone.ExpireAt, time.Now())
		}
	}
	s.pins[c] = version{pin: pin, rev: timeuuid(time.Now(), s.seq)}
}

// announce lists an expiry.
func (s *fakeStore) announce(c api.Cid, due, now time.Time) {
	slot := due
	if now.After(due) {
		slot = now
	}
	slot = slot.Truncate(time.Minute)
	if s.due[slot] == nil {
		s.due[slot] = map[api.Cid]dueEntry{}
	}
	s.due[slot][c] = dueEntry{cid: c, due: due}
}

func (s *fakeStore) pin(c api.Cid) *api.Pin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins[c].pin
}

func (s *fakeStore) hold(p peer.ID, c api.Cid, status state.PlacementStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placements[held{p, c}] = state.Placement{Cid: c, Status: status, Updated: time.Now(), Rev: s.pins[c].rev}
}

func (s *fakeStore) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	if err := s.begin("GetVersion", c); err != nil {
		return nil, state.Revision{}, err
	}
	s.mu.Lock()
	s.busy++
	s.mostBusy = max(s.mostBusy, s.busy)
	slow := s.slow
	s.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow) // fake time
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	v := s.pins[c]
	if v.pin == nil {
		return nil, v.rev, nil
	}
	clone := *v.pin
	clone.Allocations = slices.Clone(v.pin.Allocations)
	return &clone, v.rev, nil
}

func (s *fakeStore) PutIf(_ context.Context, pin api.Pin, rev state.Revision) error {
	return s.writeIf("PutIf", pin.Cid, &pin, rev)
}

func (s *fakeStore) DeleteIf(_ context.Context, c api.Cid, rev state.Revision) error {
	return s.writeIf("DeleteIf", c, nil, rev)
}

func (s *fakeStore) writeIf(call string, c api.Cid, pin *api.Pin, rev state.Revision) error {
	s.mu.Lock()
	hook := s.beforeWrite
	s.mu.Unlock()
	if hook != nil {
		hook(c)
	}
	if err := s.begin(call, c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.pins[c]; v.rev != rev || v.pin == nil {
		return fmt.Errorf("%s: %w", c, state.ErrChanged)
	}
	s.put(c, pin)
	return nil
}

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
	for _, row := range rows {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
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

func (s *fakeStore) ScanPiece(_ context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(error)) error {
	if err := s.begin("ScanPiece", api.CidUndef); err != nil {
		return err
	}
	s.mu.Lock()
	s.scanned = append(s.scanned, scan{piece, time.Now()})
	pins := maps.Clone(s.pins)
	err := s.bad[piece]
	s.mu.Unlock()
	if err != nil {
		bad(err)
	}
	for c, v := range pins {
		if v.pin != nil && hashOf(c, pieces) == piece {
			if err := f(*v.pin, v.rev); err != nil {
				return err
			}
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

func failAll(call string, _ api.Cid) error { return errors.New(call + " does not work") }

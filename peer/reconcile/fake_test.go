package reconcile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

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

type removal struct {
	peer peer.ID
	at   int64 // milliseconds
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
	handed     map[removal][]int
	corrupt    api.Cid // its pin cannot be decoded, in GetVersions

	// afterWrite runs without the lock after a conditional write that was made.
	afterWrite func(c api.Cid)
	// beforeWrite runs without the lock before a conditional write is judged.
	beforeWrite func(c api.Cid)
	// onAppend runs with the lock for each row that a write appends to a feed. made
	// says that the write made a pin where there was none.
	onAppend func(feed peer.ID, c api.Cid, made bool)
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
		handed: map[removal][]int{},
	}
}

func hashOf(c api.Cid, n int) int {
	h := fnv.New32a()
	_, _ = h.Write(c.Bytes())
	return int(h.Sum32() % uint32(n))
}

// tick is the precision of a timeuuid.
const tick = 100 * time.Nanosecond

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
	before := s.pins[c].rev.Time()
	for f := range feeds {
		s.feeds[f] = append(s.feeds[f], c)
		if s.onAppend != nil {
			s.onAppend(f, c, before.IsZero() && pin != nil)
		}
	}
	if pin != nil {
		clone := *pin
		clone.Allocations = slices.Clone(pin.Allocations)
		pin = &clone
		if expires(clone) {
			s.announce(c, clone.ExpireAt, time.Now())
		}
	}
	now := time.Now().Truncate(tick)
	if !now.After(before) {
		now = before.Add(tick)
	}
	s.pins[c] = version{pin: pin, rev: timeuuid(now, s.seq)}
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

// unknownStatus is one that a later version may write.
const unknownStatus state.PlacementStatus = 9

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

// GetVersions counts as a call for each of the requests that the store makes of it.
func (s *fakeStore) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	const atOnce = 64
	for some := range slices.Chunk(cids, atOnce) {
		if err := s.begin("GetVersions", some[0]); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range cids {
		if s.corrupt == c {
			f(i, nil, s.pins[c].rev, state.ErrCorrupt)
			continue
		}
		f(i, s.pins[c].pin, s.pins[c].rev, nil)
	}
	return nil
}

// PutIf takes moves only: events tell of what was put for another reason as of what a
// user did.
func (s *fakeStore) PutIf(ctx context.Context, pin api.Pin, rev state.Revision) error {
	if state.CauseOf(ctx) != state.CauseMove {
		return errors.New("a pin is put and the cause is not a move")
	}
	return s.writeIf("PutIf", pin.Cid, &pin, rev)
}

// DeleteIf takes what has run out only.
func (s *fakeStore) DeleteIf(ctx context.Context, c api.Cid, rev state.Revision) error {
	if state.CauseOf(ctx) != state.CauseExpiry {
		return errors.New("a pin is removed and the cause is not that it has run out")
	}
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
	if v := s.pins[c]; v.rev != rev || v.pin == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s: %w", c, state.ErrChanged)
	}
	s.put(c, pin)
	after := s.afterWrite
	s.mu.Unlock()
	if after != nil {
		after(c)
	}
	return nil
}

func failAll(call string, _ api.Cid) error { return errors.New(call + " does not work") }

package placement

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var (
	_ ipfscluster.IPFSConnector = (*Connector)(nil)
	_ IPFS                      = ipfscluster.IPFSConnector(nil)
)

var errDown = errors.New("the database is gone")

// store is a pinset and placements in memory. down makes every call fail.
type store struct {
	mu     sync.Mutex
	pins   map[api.Cid]api.Pin
	revs   map[api.Cid]state.Revision
	rows   map[api.Cid]state.Placement
	down   bool
	seen   []string // the statuses written, in order
	reads  int
	clocks byte
	broken api.Cid // its pin cannot be decoded
}

func newStore() *store {
	return &store{pins: map[api.Cid]api.Pin{}, revs: map[api.Cid]state.Revision{}, rows: map[api.Cid]state.Placement{}}
}

// revision makes one later than all before.
func (s *store) revision() state.Revision {
	s.clocks++
	return state.Revision{3: s.clocks, 6: 0x10}
}

// set writes the pin, nil removes it, and returns the change.
func (s *store) set(c api.Cid, pin *api.Pin) state.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revs[c] = s.revision()
	delete(s.pins, c)
	if pin != nil {
		s.pins[c] = *pin
	}
	return state.Change{Cid: c, Pin: pin, Rev: s.revs[c]}
}

func (s *store) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *store) readSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

func (s *store) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down {
		return nil, state.Revision{}, errDown
	}
	if c == s.broken {
		return nil, s.revs[c], fmt.Errorf("the pin is %w", state.ErrCorrupt)
	}
	if pin, ok := s.pins[c]; ok {
		return &pin, s.revs[c], nil
	}
	return nil, s.revs[c], nil
}

func (s *store) PutIf(context.Context, api.Pin, state.Revision) error { return errDown }

func (s *store) DeleteIf(context.Context, api.Cid, state.Revision) error { return errDown }

func (s *store) PutPlacement(_ context.Context, _ peer.ID, row state.Placement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.seen = append(s.seen, fmt.Sprint(row.Status))
	s.rows[row.Cid] = row
	return nil
}

func (s *store) SetSize(_ context.Context, _ peer.ID, c api.Cid, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[c]
	row.Size = size
	s.rows[c] = row
	return nil
}

func (s *store) DropPlacement(_ context.Context, _ peer.ID, c api.Cid) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.seen = append(s.seen, "gone")
	delete(s.rows, c)
	return nil
}

func (s *store) GetPlacement(_ context.Context, _ peer.ID, c api.Cid) (state.Placement, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[c]
	return row, ok, nil
}

func (s *store) PlacementBuckets(context.Context, peer.ID) ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	return []int{7}, nil // all are in one bucket here
}

func (s *store) ListPlacements(_ context.Context, _ peer.ID, bucket int, f func(state.Placement) error) error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return errDown
	}
	var rows []state.Placement
	for _, row := range s.rows {
		if bucket == 7 {
			rows = append(rows, row)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(rows, func(a, b state.Placement) int { return bytes.Compare(a.Cid.Bytes(), b.Cid.Bytes()) })
	for _, row := range rows {
		if err := f(row); err != nil {
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

// tracker works like upstream's: one operation for each CID; a new one of the
// same kind is ignored while there is one, one of the other kind cancels it. The
// connector is called in the background.
type tracker struct {
	conn *Connector
	mu   sync.Mutex
	ops  map[api.Cid]*operation
	full bool
	room int // for so many operations at once, if not 0
	told []string
	// slow is how long an operation is known after its end.
	slow time.Duration
	wg   sync.WaitGroup
}

type operation struct {
	what   string
	cancel context.CancelFunc
}

func (tr *tracker) op(c api.Cid, what string, run func(ctx context.Context)) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.told = append(tr.told, what)
	if tr.full || tr.room > 0 && len(tr.ops) >= tr.room {
		return stateless.ErrFullQueue
	}
	if op, ok := tr.ops[c]; ok {
		if op.what == what {
			return nil
		}
		op.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	op := &operation{what, cancel}
	tr.ops[c] = op
	tr.wg.Go(func() {
		run(ctx)
		time.Sleep(tr.slow)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if tr.ops[c] == op {
			delete(tr.ops, c)
		}
	})
	return nil
}

func (tr *tracker) setFull(full bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.full = full
}

func (tr *tracker) Track(_ context.Context, pin api.Pin) error {
	return tr.op(pin.Cid, "track", func(ctx context.Context) { _ = tr.conn.Pin(ctx, pin) })
}

func (tr *tracker) Untrack(_ context.Context, c api.Cid) error {
	return tr.op(c, "untrack", func(ctx context.Context) { _ = tr.conn.Unpin(ctx, c) })
}

func (tr *tracker) Operation(_ context.Context, c api.Cid) api.TrackerStatus {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if op, ok := tr.ops[c]; ok {
		return map[string]api.TrackerStatus{"track": api.TrackerStatusPinning, "untrack": api.TrackerStatusUnpinQueued}[op.what]
	}
	return api.TrackerStatusRemote // or another one that is an end
}

// ipfs is a daemon with a pinset. What is asked of it takes a second.
type ipfs struct {
	IPFS
	mu     sync.Mutex
	pinned map[api.Cid]bool
	depth  map[api.Cid]api.PinDepth // of what is pinned
	fail   int                      // so many requests fail
}

func (i *ipfs) request(ctx context.Context, done func()) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail > 0 {
		i.fail--
		return errors.New("the daemon is busy")
	}
	done()
	return nil
}

func (i *ipfs) Pin(ctx context.Context, pin api.Pin) error {
	i.mu.Lock()
	old, held := i.depth[pin.Cid]
	i.mu.Unlock()
	if held && old < 0 && pin.MaxDepth == 0 {
		return errors.New("already pinned recursively")
	}
	return i.request(ctx, func() { i.pinned[pin.Cid], i.depth[pin.Cid] = true, pin.MaxDepth })
}

func (i *ipfs) Unpin(ctx context.Context, c api.Cid) error {
	return i.request(ctx, func() {
		delete(i.pinned, c)
		delete(i.depth, c)
	})
}

func (i *ipfs) PinLsCid(_ context.Context, pin api.Pin) (api.IPFSPinStatus, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if depth, ok := i.depth[pin.Cid]; ok && depth < 0 && pin.MaxDepth < 0 {
		return api.IPFSPinStatusRecursive, nil
	}
	return api.IPFSPinStatusUnpinned, nil
}

func (i *ipfs) failNext(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fail = n
}

func (i *ipfs) lose(c api.Cid) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.pinned, c)
	delete(i.depth, c)
}

func (i *ipfs) has(c api.Cid) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pinned[c]
}

// rig is a Ledger with all around it, in the bubble of a test.
type rig struct {
	*Ledger
	self    peer.ID
	store   *store
	ipfs    *ipfs
	tracker *tracker
	stop    func()
}

func newRig(t *testing.T, st *store, daemon *ipfs) *rig {
	t.Helper()
	r := &rig{self: statetest.Peer("self"), store: st, ipfs: daemon, tracker: &tracker{ops: map[api.Cid]*operation{}}}
	r.Ledger = New(Options{
		Self: r.self, Store: st, Tracker: r.tracker, Every: time.Hour,
		Size: func(context.Context, api.Cid) (int64, error) { return 42, nil },
	})
	r.tracker.conn = r.Record(daemon)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = func() { // like a kill: the daemon goes on, nothing else does
		cancel()
		running.Wait()
		r.tracker.mu.Lock()
		for _, op := range r.tracker.ops {
			op.cancel()
		}
		r.tracker.mu.Unlock()
		r.tracker.wg.Wait()
	}
	return r
}

func newIPFS() *ipfs { return &ipfs{pinned: map[api.Cid]bool{}, depth: map[api.Cid]api.PinDepth{}} }

func (r *rig) pin(label string, peers ...peer.ID) *api.Pin {
	p := api.PinWithOpts(statetest.Cid(label), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2})
	p.Allocations = peers
	return &p
}

// inMemory is how many CIDs are worked on.
func (r *rig) inMemory() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.work)
}

// row is what is stored of the CID.
func (r *rig) row(c api.Cid) state.Placement {
	row, _, _ := r.store.GetPlacement(context.Background(), r.self, c)
	return row
}

// after lets so much time pass, and all that happens in it.
func after(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// bubble runs a test on a Ledger in simulated time.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		defer func() { r.stop() }()
		after(time.Second)
		test(t, r)
	})
}

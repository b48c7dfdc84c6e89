package drift

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var errDown = errors.New("it is gone")

// world is a pinset, the rows of a peer and its IPFS daemon, in memory.
type world struct {
	mu   sync.Mutex
	self peer.ID
	pins map[api.Cid]api.Pin
	revs map[api.Cid]state.Revision
	rows map[api.Cid]state.Placement
	ipfs map[api.Cid]api.PinMode
	// corrupt pins cannot be decoded.
	corrupt map[api.Cid]bool
	// twice is listed twice by IPFS.
	twice []api.Cid
	// questions and lists are how often IPFS was asked.
	questions, lists int
	walks            int         // lists of what this peer has to do with
	buckets          map[int]int // that were listed for themselves
	// failing is what fails, after so many calls.
	failing map[string]int
	// asked is called with each question, without the lock.
	asked func(api.Cid)
	// sorted is what a list has, as long as there are as many rows and pins.
	sorted []state.Place
	size   [2]int
}

func newWorld() *world {
	return &world{
		self: statetest.Peer("self"), pins: map[api.Cid]api.Pin{}, revs: map[api.Cid]state.Revision{}, rows: map[api.Cid]state.Placement{},
		ipfs: map[api.Cid]api.PinMode{}, corrupt: map[api.Cid]bool{}, failing: map[string]int{}, buckets: map[int]int{},
	}
}

// revision is one of a time.
func revision(at time.Time) (r state.Revision) {
	ticks := uint64(at.UnixNano()/100 + 0x01b21dd213814000)
	binary.BigEndian.PutUint32(r[0:4], uint32(ticks))
	binary.BigEndian.PutUint16(r[4:6], uint16(ticks>>32))
	binary.BigEndian.PutUint16(r[6:8], uint16(ticks>>48)|0x1000)
	return r
}

var old = time.Now().Add(-time.Hour)

// pin is in the pinset since a time, for this peer.
func (w *world) pin(c api.Cid, mode api.PinMode, at time.Time, peers ...peer.ID) {
	if len(peers) == 0 {
		peers = []peer.ID{w.self}
	}
	pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, Mode: mode})
	pin.MaxDepth, pin.Allocations = mode.ToPinDepth(), peers
	w.pins[c], w.revs[c] = pin, revision(at)
}

// row is that of this peer.
func (w *world) row(c api.Cid, status state.PlacementStatus, mode api.PinMode, at time.Time) {
	depth := mode.ToPinDepth()
	w.rows[c] = state.Placement{Cid: c, Status: status, Rev: w.revs[c], Updated: at, Depth: &depth}
}

// settled is a pin that is as it should be.
func (w *world) settled(label string, mode api.PinMode) api.Cid {
	c := statetest.Cid(label)
	w.pin(c, mode, old)
	w.row(c, state.PlacementPinned, mode, old)
	w.ipfs[c] = mode
	return c
}

// fails reports whether a call fails now.
func (w *world) fails(what string) bool {
	left, ok := w.failing[what]
	if !ok {
		return false
	}
	w.failing[what] = left - 1
	return left <= 0
}

func (w *world) ListOwn(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	w.mu.Lock()
	w.walks++
	places := w.places()
	w.mu.Unlock()
	first, _ := slices.BinarySearchFunc(places, after, state.Place.Compare)
	for _, at := range places[first:] {
		if at == after {
			continue
		}
		c := at.Cid
		w.mu.Lock()
		own := state.Own{Cid: c, Everywhere: w.pins[c].Defined() && w.pins[c].IsPinEverywhere()}
		if row, ok := w.rows[c]; ok {
			own.Placement = &row
		}
		fails := w.fails("list")
		w.mu.Unlock()
		if fails {
			return errDown
		}
		if err := f(own); err != nil {
			return err
		}
	}
	return nil
}

// places are those of all that a list has. The caller holds the lock.
func (w *world) places() []state.Place {
	if size := [2]int{len(w.rows), len(w.pins)}; size != w.size || len(w.sorted) == 0 {
		found := map[api.Cid]bool{}
		for c := range w.rows {
			found[c] = true
		}
		for c, pin := range w.pins {
			if pin.IsPinEverywhere() {
				found[c] = true
			}
		}
		w.size, w.sorted = size, nil
		for c := range found {
			w.sorted = append(w.sorted, state.PlaceOf(c))
		}
		slices.SortFunc(w.sorted, state.Place.Compare)
	}
	return w.sorted
}

func (w *world) ListBucket(ctx context.Context, p peer.ID, bucket int, f func(state.Own) error) error {
	w.mu.Lock()
	w.buckets[bucket]++
	w.mu.Unlock()
	err := w.ListOwn(ctx, p, state.Place{Bucket: bucket}, func(own state.Own) error {
		if state.Bucket(own.Cid) != bucket {
			return errEnough
		}
		return f(own)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (*world) ListChanged(context.Context, peer.ID, state.Place, func(state.Own) error) error {
	return errors.ErrUnsupported
}

func (*world) ListPlaced(context.Context, peer.ID, state.Place, func(state.Own) error) error {
	return errors.ErrUnsupported
}

func (w *world) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails("pins") {
		return errDown
	}
	for i, c := range cids {
		pin, ok := w.pins[c]
		switch {
		case w.corrupt[c]:
			f(i, nil, w.revs[c], state.ErrCorrupt)
		case ok:
			f(i, &pin, w.revs[c], nil)
		default:
			f(i, nil, w.revs[c], nil)
		}
	}
	return nil
}

func (w *world) GetPlacement(_ context.Context, _ peer.ID, c api.Cid) (state.Placement, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails("row") {
		return state.Placement{}, false, errDown
	}
	row, ok := w.rows[c]
	return row, ok, nil
}

func (w *world) List(_ context.Context, mode api.PinMode, f func(api.Cid) error) error {
	w.mu.Lock()
	w.lists++
	pins, twice := maps.Clone(w.ipfs), w.twice
	w.mu.Unlock()
	cids := append(slices.Collect(maps.Keys(pins)), twice...)
	for _, c := range cids {
		if pins[c] != mode {
			continue
		}
		w.mu.Lock()
		fails := w.fails("ls")
		w.mu.Unlock()
		if fails {
			return errDown
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Has(_ context.Context, c api.Cid, mode api.PinMode) (bool, error) {
	w.mu.Lock()
	w.questions++
	has, ok := w.ipfs[c]
	fails := w.fails("ask")
	w.mu.Unlock()
	if w.asked != nil {
		w.asked(c)
	}
	if fails {
		return false, errDown
	}
	return ok && has == mode, nil
}

// meter measures the world, without pauses.
func (w *world) meter(change ...func(*Options)) *Meter {
	opts := Options{Self: w.self, Store: w, Kubo: w, Grace: DefaultGrace, Hurry: true}
	for _, f := range change {
		f(&opts)
	}
	return New(opts)
}

// sweep is the report of one, without its times.
func (w *world) sweep(t *testing.T, change ...func(*Options)) Report {
	t.Helper()
	report, err := w.meter(change...).Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Began.IsZero() || report.Ended.Before(report.Began) {
		t.Errorf("it took from %s to %s", report.Began, report.Ended)
	}
	report.Began, report.Ended = time.Time{}, time.Time{}
	return report
}

package sli

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// revOf is a revision of a time, as a store makes it.
func revOf(at time.Time) state.Revision {
	t := 0x01b21dd213814000 + uint64(at.UnixNano()/100) //nolint:gosec // after 1970
	var rev state.Revision
	binary.BigEndian.PutUint32(rev[0:4], uint32(t))            //nolint:gosec // cut off
	binary.BigEndian.PutUint16(rev[4:6], uint16(t>>32))        //nolint:gosec // cut off
	binary.BigEndian.PutUint16(rev[6:8], uint16(t>>48)|0x1000) //nolint:gosec // 12 bits
	return rev
}

// counts are the events that were counted.
type counts struct {
	m      *Metrics
	before map[string]float64
}

func newCounts(t *testing.T, m *Metrics) *counts {
	return &counts{m: m, before: metrictest.Values(t, m)}
}

func eventSeries(r result, c content) string {
	return `ipfscluster_pin_slo_events_total{content="` + contentName(c) + `",result="` + resultName(r) + `"}`
}

// want fails unless so many events were counted since the last call, and no others.
func (c *counts) want(t *testing.T, what string, want map[string]float64) {
	t.Helper()
	now := metrictest.Values(t, c.m)
	for r := range results {
		for class := range contents {
			series := eventSeries(r, class)
			if got := now[series] - c.before[series]; got != want[series] {
				t.Errorf("%s: %s has moved by %v, want %v", what, series, got, want[series])
			}
		}
	}
	c.before = now
}

func (c *counts) value(t *testing.T, series string) float64 {
	t.Helper()
	return metrictest.Values(t, c.m)[series]
}

func one(r result, c content) map[string]float64 { return map[string]float64{eventSeries(r, c): 1} }

// holderRig is a Holder in a bubble, with the rows of its peer.
type holderRig struct {
	*Holder
	*counts
	t    *testing.T
	stop func()

	mu    sync.Mutex
	rows  map[api.Cid]state.Placement
	down  bool
	reads int
}

func newHolderRig(t *testing.T, change ...func(*HolderOptions)) *holderRig {
	t.Helper()
	r := &holderRig{t: t, rows: make(map[api.Cid]state.Placement)}
	opts := HolderOptions{Metrics: NewMetrics(), Row: r.row}
	for _, f := range change {
		f(&opts)
	}
	r.Holder, r.counts = NewHolder(opts), newCounts(t, opts.Metrics)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(r.stop)
	return r
}

func (r *holderRig) row(_ context.Context, c api.Cid) (state.Placement, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if r.down {
		return state.Placement{}, false, errDown
	}
	row, there := r.rows[c]
	return row, there, nil
}

func (r *holderRig) edit(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// accepted is a pin that was accepted so long ago.
func (r *holderRig) accepted(label string, ago time.Duration) (api.Cid, state.Revision) {
	return statetest.Cid(label), revOf(time.Now().Add(-ago))
}

// acceptorRig is an Acceptor in a bubble, with a cluster.
type acceptorRig struct {
	*Acceptor
	*counts
	t *testing.T

	mu         sync.Mutex
	view       membership.View
	pins       map[api.Cid]state.Revision
	rows       map[peer.ID]map[api.Cid]state.Placement
	down       bool
	reads      int
	placements int
}

const testTTL = 30 * time.Second

func newAcceptorRig(t *testing.T, names ...string) *acceptorRig {
	t.Helper()
	r := &acceptorRig{t: t, pins: make(map[api.Cid]state.Revision), rows: make(map[peer.ID]map[api.Cid]state.Placement)}
	r.view.Self = statetest.Peer("self")
	for _, name := range append([]string{"self"}, names...) {
		r.view.Peers = append(r.view.Peers, membership.Peer{ID: statetest.Peer(name), Live: true, Role: membership.RoleFull})
	}
	slices.SortFunc(r.view.Peers, func(a, b membership.Peer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	m := NewMetrics()
	r.Acceptor, r.counts = NewAcceptor(AcceptorOptions{Metrics: m, Store: r, View: r.now, TTL: testTTL}), newCounts(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return r
}

// now is the view of a peer that sees a heartbeat of each live one just now.
func (r *acceptorRig) now() membership.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	view := r.view
	view.Peers = slices.Clone(view.Peers)
	for i := range view.Peers {
		if view.Peers[i].Live {
			view.Peers[i].Heard = time.Now()
		}
	}
	return view
}

// dies lets a peer be found dead, of which the last heartbeat was seen so long ago.
func (r *acceptorRig) dies(name string, heard time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.view.Peers {
		if p := &r.view.Peers[i]; p.ID == statetest.Peer(name) {
			p.Live, p.Heard, p.DeadSince = false, time.Now().Add(-heard), time.Now()
		}
	}
}

func (r *acceptorRig) edit(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// wantReads fails unless so many pins and rows were read.
func (r *acceptorRig) wantReads(what string, pins, rows int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads != pins || r.placements != rows {
		r.t.Errorf("%s: %d pins and %d rows were read, want %d and %d", what, r.reads, r.placements, pins, rows)
	}
}

// accept accepts a pin for the holders now.
func (r *acceptorRig) accept(label string, holders ...string) (api.Cid, state.Revision) {
	pin := api.PinWithOpts(statetest.Cid(label), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 3})
	for _, name := range holders {
		pin.Allocations = append(pin.Allocations, statetest.Peer(name))
	}
	if len(holders) == 0 {
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	}
	rev := revOf(time.Now())
	r.edit(func() { r.pins[pin.Cid] = rev })
	r.Accepted(pin, rev)
	return pin.Cid, rev
}

// has writes a row of a peer.
func (r *acceptorRig) has(name string, row state.Placement) {
	r.edit(func() {
		id := statetest.Peer(name)
		if r.rows[id] == nil {
			r.rows[id] = make(map[api.Cid]state.Placement)
		}
		r.rows[id][row.Cid] = row
	})
}

var errDown = errors.New("the database is gone")

func (r *acceptorRig) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if r.down {
		return nil, state.Revision{}, errDown
	}
	return nil, r.pins[c], nil
}

func (r *acceptorRig) GetPlacement(_ context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.placements++
	if r.down {
		return state.Placement{}, false, errDown
	}
	row, there := r.rows[p][c]
	return row, there, nil
}

// Package stateless is upstream's pin tracker with the tracker of ipfs-cluster-scylla
// in its place, so that upstream's tests of it run on that. The pinset and the
// placements are in memory.
package stateless

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("pintracker") // of upstream's config.go

// ErrFullQueue is that of the tracker.
var ErrFullQueue = tracker.ErrFullQueue

// Tracker is a tracker.Tracker. What it is told to track it stores first, as the
// consensus of a peer does.
type Tracker struct {
	*tracker.Tracker
	id        peer.ID
	pins      *pinset
	daemon    *daemon
	optracker operations
}

// New makes a Tracker of the pins that there are.
func New(cfg *Config, id peer.ID, name string, getState func(context.Context) (clusterstate.ReadOnly, error)) *Tracker {
	pins := &pinset{self: id, pins: map[api.Cid]api.Pin{}, revs: map[api.Cid]state.Revision{}, rows: map[api.Cid]state.Placement{}}
	pins.fill(getState)
	d := &daemon{working: map[api.Cid]context.Context{}}
	t := &Tracker{id: id, pins: pins, daemon: d}
	t.Tracker = tracker.New(tracker.Options{
		Self: id, Name: name, Store: pins, Daemon: d, Every: time.Hour,
		Config: tracker.Config{
			MaxPinQueueSize: cfg.MaxPinQueueSize, ConcurrentPins: cfg.ConcurrentPins,
			PriorityPinMaxAge: cfg.PriorityPinMaxAge, PriorityPinMaxRetries: cfg.PriorityPinMaxRetries,
		},
	})
	t.optracker = operations{t}
	return t
}

// SetClient starts the Tracker.
func (t *Tracker) SetClient(c *rpc.Client) {
	t.daemon.client = c
	t.Tracker.SetClient(c)
}

// Track stores the pin and tells the Tracker of the change.
func (t *Tracker) Track(ctx context.Context, pin api.Pin) error {
	return t.act(ctx, t.pins.set(pin.Cid, &pin))
}

// Untrack is Track for a pin that has gone.
func (t *Tracker) Untrack(ctx context.Context, c api.Cid) error {
	return t.act(ctx, t.pins.set(c, nil))
}

func (t *Tracker) act(ctx context.Context, ch state.Change) error {
	ch.Done = func(error) {}
	if err := t.Act(ctx, ch); !errors.Is(err, state.ErrLater) {
		return err
	}
	return nil
}

// RecoverAll is called as if by RPC: the first call that is not is that of a start.
func (t *Tracker) RecoverAll(ctx context.Context, out chan<- api.PinInfo) error {
	return t.Tracker.RecoverAll(context.WithValue(ctx, rpc.ContextKeyRequestSender, t.id), out)
}

// OpContext is the context of what IPFS works on.
func (t *Tracker) OpContext(ctx context.Context, c api.Cid) context.Context {
	return t.optracker.OpContext(ctx, c)
}

// operations are what upstream's tests look at behind the interface.
type operations struct{ t *Tracker }

func (o operations) Get(ctx context.Context, c api.Cid, _ api.IPFSID) api.PinInfo {
	return o.t.Status(ctx, c)
}

func (o operations) OpContext(ctx context.Context, c api.Cid) context.Context {
	o.t.daemon.mu.Lock()
	defer o.t.daemon.mu.Unlock()
	if working := o.t.daemon.working[c]; working != nil {
		return working
	}
	return ctx
}

// daemon asks the IPFS connector by RPC.
type daemon struct {
	client  *rpc.Client
	mu      sync.Mutex
	working map[api.Cid]context.Context
}

// call returns when it is cancelled, as the requests of upstream's connector do. The
// mock that it calls sleeps on.
func call[T any](ctx context.Context, d *daemon, method string, in any) (T, error) {
	out := new(T)
	done := make(chan *rpc.Call, 1)
	if err := d.client.GoContext(ctx, "", "IPFSConnector", method, in, out, done); err != nil {
		return *new(T), err
	}
	select {
	case c := <-done:
		return *out, c.Error
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

func (d *daemon) works(ctx context.Context, c api.Cid) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.working[c] = ctx
}

func (d *daemon) Pin(ctx context.Context, pin api.Pin) error {
	d.works(ctx, pin.Cid)
	_, err := call[struct{}](ctx, d, "Pin", pin)
	return err
}

func (d *daemon) Unpin(ctx context.Context, c api.Cid) error {
	d.works(ctx, c)
	_, err := call[struct{}](ctx, d, "Unpin", api.PinCid(c))
	return err
}

func (d *daemon) PinLsCid(ctx context.Context, pin api.Pin) (api.IPFSPinStatus, error) {
	return call[api.IPFSPinStatus](ctx, d, "PinLsCid", pin)
}

// PinLs leaves out what was not asked for: upstream's mock lists all it has.
func (d *daemon) PinLs(ctx context.Context, kinds []string, out chan<- api.IPFSPinInfo) error {
	defer close(out)
	in, all := make(chan []string, 1), make(chan api.IPFSPinInfo, 100)
	in <- kinds
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- d.client.Stream(ctx, "", "IPFSConnector", "PinLs", in, all) }()
	for info := range all {
		if info.Type.String() == kinds[0] {
			out <- info
		}
	}
	return <-listed
}

// pinset is a pinset and the placements of one peer.
type pinset struct {
	tracker.Store // not used but for what follows
	self          peer.ID

	mu   sync.Mutex
	last uint32
	pins map[api.Cid]api.Pin
	revs map[api.Cid]state.Revision
	rows map[api.Cid]state.Placement
}

// fill takes the pins of a state, which are pinned as far as the rows tell.
func (p *pinset) fill(getState func(context.Context) (clusterstate.ReadOnly, error)) {
	ctx := context.Background()
	st, err := getState(ctx)
	if err != nil {
		panic(err)
	}
	out := make(chan api.Pin, 100)
	if err := st.List(ctx, out); err != nil {
		panic(err)
	}
	for pin := range out {
		p.set(pin.Cid, &pin)
		if !pin.IsRemotePin(p.self) {
			p.rows[pin.Cid] = state.Placement{Cid: pin.Cid, Status: state.PlacementPinned, Rev: p.revs[pin.Cid], Size: 1}
		}
	}
}

// set writes a pin, nil removes it. A removal of what is gone changes nothing.
func (p *pinset) set(c api.Cid, pin *api.Pin) state.Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, before := p.revs[c]
	if _, there := p.pins[c]; there || pin != nil {
		p.last++
		p.revs[c] = state.Revision{2: byte(p.last >> 8), 3: byte(p.last), 6: 0x10}
		delete(p.pins, c)
	}
	if pin != nil {
		p.pins[c] = *pin
	}
	return state.Change{Cid: c, Pin: pin, Rev: p.revs[c], First: pin != nil && pin.MaxDepth != 0 && !before}
}

func (p *pinset) get(c api.Cid) (*api.Pin, state.Revision) {
	if pin, there := p.pins[c]; there {
		return &pin, p.revs[c]
	}
	return nil, p.revs[c]
}

func (p *pinset) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, rev := p.get(c)
	return pin, rev, nil
}

func (p *pinset) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range cids {
		pin, rev := p.get(c)
		f(i, pin, rev, nil)
	}
	return nil
}

func (p *pinset) PutPlacement(_ context.Context, _ peer.ID, row state.Placement) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	row.Updated = time.Now()
	p.rows[row.Cid] = row
	return nil
}

func (p *pinset) DropPlacement(_ context.Context, _ peer.ID, c api.Cid) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rows, c)
	return nil
}

func (p *pinset) GetPlacement(_ context.Context, _ peer.ID, c api.Cid) (state.Placement, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	row, there := p.rows[c]
	return row, there, nil
}

func (p *pinset) ListOwn(_ context.Context, _ peer.ID, _ state.Place, f func(state.Own) error) error {
	p.mu.Lock()
	own := make(map[api.Cid]state.Own)
	for c, row := range p.rows {
		own[c] = state.Own{Cid: c, Placement: &row}
	}
	for c, pin := range p.pins {
		if _, there := own[c]; !there && !pin.IsRemotePin(p.self) {
			own[c] = state.Own{Cid: c, Changed: true}
		}
	}
	p.mu.Unlock()
	var all []state.Own
	for _, o := range own {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b state.Own) int {
		if x, y := state.Bucket(a.Cid), state.Bucket(b.Cid); x != y {
			return x - y
		}
		return bytes.Compare(a.Cid.Bytes(), b.Cid.Bytes())
	})
	for _, o := range all {
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}

func (p *pinset) ScanPiece(_ context.Context, _, _ int, f func(api.Pin, state.Revision) error, _ func(api.Cid, error)) error {
	p.mu.Lock()
	pins := make([]api.Pin, 0, len(p.pins))
	for _, pin := range p.pins {
		pins = append(pins, pin)
	}
	p.mu.Unlock()
	for _, pin := range pins {
		if err := f(pin, state.Revision{}); err != nil {
			return err
		}
	}
	return nil
}

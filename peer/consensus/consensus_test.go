package consensus_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	libp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var _ ipfscluster.Consensus = (*consensus.Consensus)(nil)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

// pinset is a Store and an Updater in memory.
type pinset struct {
	state.Store
	mu sync.Mutex
	// raced, if set, is stored by somebody else between the first decision
	// of an update and its write.
	raced *api.Pin
	// writes are the revisions.
	writes byte
}

func (p *pinset) Update(ctx context.Context, c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var current *api.Pin
		if pin, err := p.Get(ctx, c); err == nil {
			current = &pin
		}
		next, err := f(current)
		if err != nil {
			return err
		}
		if p.raced != nil {
			err, p.raced = p.Add(ctx, *p.raced), nil
			if err != nil {
				return err
			}
			continue
		}
		p.writes++
		state.NoteRevision(ctx, state.Revision{p.writes})
		return p.Add(ctx, *next)
	}
}

// feed hands on what is sent to it, each until it is accepted.
type feed struct {
	ch   chan state.Change
	errs chan error // what handle returned
	lost chan error // ends Consume
}

func (f *feed) Consume(ctx context.Context, handle state.Handler) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-f.lost:
			return err
		case c := <-f.ch:
			f.errs <- handle(ctx, c)
		}
	}
}

// members are the peers of the cluster in memory.
type members struct {
	peers   []peer.ID
	err     error
	removed []peer.ID
	// daemonless can hold no pin.
	daemonless peer.ID
}

func (m *members) Peers(context.Context) ([]peer.ID, error) { return m.peers, m.err }

func (m *members) CanHold(p peer.ID) bool { return p != m.daemonless }

func (m *members) Remove(_ context.Context, p peer.ID) error {
	m.removed = append(m.removed, p)
	return m.err
}

type fixture struct {
	*consensus.Consensus
	self    peer.ID
	pins    *pinset
	feed    *feed
	members *members
	lost    chan error
}

func newFixture(t *testing.T, opts consensus.Options) *fixture {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	store, err := dsstate.New(t.Context(), inmem.New(), "/pins", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		self:    h.ID(),
		pins:    &pinset{Store: store},
		feed:    &feed{ch: make(chan state.Change), errs: make(chan error), lost: make(chan error)},
		members: &members{},
		lost:    make(chan error, 1),
	}
	opts.Store, opts.Updater, opts.Feed, opts.Members = f.pins, f.pins, f.feed, f.members
	opts.Lost = func(err error) { f.lost <- err }
	f.Consensus = consensus.New(h, opts)
	t.Cleanup(func() { _ = f.Shutdown(context.Background()) })
	f.SetClient(nil)
	return f
}

func pinOf(label string, peers ...peer.ID) api.Pin {
	p := api.PinWithOpts(statetest.Cid(label), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
	p.Allocations = peers
	return p
}

// TestLogPinRules applies the rules to the pin that is replaced, also when that
// one appears only between the decision and the write.
func TestLogPinRules(t *testing.T) {
	direct := pinOf("a")
	direct.Mode, direct.MaxDepth = api.PinModeDirect, 0
	meta := pinOf("a")
	meta.Type = api.MetaType
	expired := pinOf("a")
	expired.ExpireAt = time.Now().Add(-time.Minute)
	for _, tt := range []struct {
		name     string
		existing *api.Pin
		pin      api.Pin
		refused  bool
	}{
		{"new", nil, pinOf("a"), false},
		{"again", ptr(pinOf("a")), pinOf("a"), false},
		{"direct to recursive", &direct, pinOf("a"), false},
		{"recursive to direct", ptr(pinOf("a")), direct, true},
		{"another type", &meta, pinOf("a"), true},
		{"expired", nil, expired, true},
		{"no CID", nil, api.Pin{}, true},
	} {
		for _, late := range []bool{false, true} {
			if late && tt.existing == nil {
				continue
			}
			name := tt.name
			if late {
				name += ", seen late"
			}
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, consensus.Options{})
				switch {
				case late:
					f.pins.raced = tt.existing
				case tt.existing != nil:
					if err := f.pins.Add(t.Context(), *tt.existing); err != nil {
						t.Fatal(err)
					}
				}
				err := f.LogPin(t.Context(), tt.pin)
				if (err != nil) != tt.refused {
					t.Fatalf("LogPin = %v", err)
				}
				if err == nil {
					if got, err := f.pins.Get(t.Context(), tt.pin.Cid); err != nil || got.Mode != tt.pin.Mode {
						t.Fatalf("stored: %v, %v", got, err)
					}
				}
			})
		}
	}
}

func ptr(p api.Pin) *api.Pin { return &p }

// TestAccepted: of each pin that is stored, and of no other, is told with its revision.
func TestAccepted(t *testing.T) {
	type accepted struct {
		cid api.Cid
		rev state.Revision
	}
	var told []accepted
	f := newFixture(t, consensus.Options{Accepted: func(pin api.Pin, rev state.Revision) { told = append(told, accepted{pin.Cid, rev}) }})
	a, b := pinOf("a"), pinOf("b")
	refused := a
	refused.Mode, refused.MaxDepth = api.PinModeDirect, 0
	for _, pin := range []api.Pin{a, b, a} {
		if err := f.LogPin(t.Context(), pin); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.LogPin(t.Context(), refused); err == nil {
		t.Error("a recursive pin has become direct")
	}
	want := []accepted{{a.Cid, state.Revision{1}}, {b.Cid, state.Revision{2}}, {a.Cid, state.Revision{3}}}
	if !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}

// TestLogPinOnPeerWithoutDaemon: nobody would hold that copy. A pin that is
// allocated so already can still be changed.
func TestLogPinOnPeerWithoutDaemon(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	front := statetest.Peer("front")
	pin := pinOf("a", front)
	if err := f.LogPin(t.Context(), pin); err != nil {
		t.Fatal(err)
	}
	f.members.daemonless = front
	if err := f.LogPin(t.Context(), pinOf("b", f.self, front)); err == nil {
		t.Error("a pin was allocated to a peer without a daemon")
	}
	if err := f.LogPin(t.Context(), pin); err != nil {
		t.Errorf("a pin that was there before: %v", err)
	}
}

func TestLogUnpin(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	pin := pinOf("a")
	if err := f.LogPin(t.Context(), pin); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is missing
		if err := f.LogUnpin(t.Context(), api.PinCid(pin.Cid)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.pins.Get(t.Context(), pin.Cid); err != state.ErrNotFound {
		t.Fatal(err)
	}
}

// TestHandle: what the feed delivers reaches the handler, and its error the feed.
func TestHandle(t *testing.T) {
	var got []api.Cid
	full := errors.New("the queue is full")
	f := newFixture(t, consensus.Options{Handle: func(_ context.Context, ch state.Change) error {
		got = append(got, ch.Cid)
		return full
	}})
	ch := state.Change{Cid: statetest.Cid("a")}
	f.feed.ch <- ch
	if err := <-f.feed.errs; !errors.Is(err, full) || !slices.Equal(got, []api.Cid{ch.Cid}) {
		t.Errorf("handled %v, %v", got, err)
	}
}

// TestMembers: who is in the cluster is asked of the members.
func TestMembers(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	other := statetest.Peer("other")
	f.members.peers = []peer.ID{f.self, other}
	if peers, err := f.Peers(t.Context()); err != nil || !slices.Equal(peers, f.members.peers) {
		t.Errorf("Peers = %v, %v", peers, err)
	}
	if err := f.RmPeer(t.Context(), other); err != nil || !slices.Equal(f.members.removed, []peer.ID{other}) {
		t.Errorf("RmPeer = %v, removed %v", err, f.members.removed)
	}
	f.members.err = errors.New("the database is gone")
	if _, err := f.Peers(t.Context()); !errors.Is(err, f.members.err) {
		t.Error(err)
	}
	if err := f.RmPeer(t.Context(), other); !errors.Is(err, f.members.err) {
		t.Error(err)
	}
}

func TestTrust(t *testing.T) {
	ctx := t.Context()
	friend, stranger := statetest.Peer("friend"), statetest.Peer("stranger")
	f := newFixture(t, consensus.Options{TrustedPeers: []peer.ID{friend}})
	trusted := func(want bool, p peer.ID) {
		t.Helper()
		if f.IsTrustedPeer(ctx, p) != want {
			t.Errorf("IsTrustedPeer(%s) = %t", p, !want)
		}
	}
	trusted(true, f.self)
	trusted(true, friend)
	trusted(false, stranger)
	if err := errors.Join(f.AddPeer(ctx, stranger), f.Trust(ctx, stranger), f.Distrust(ctx, friend)); err != nil {
		t.Error(err)
	}
	trusted(true, stranger)
	trusted(false, friend)
	if f := newFixture(t, consensus.Options{TrustAll: true}); !f.IsTrustedPeer(ctx, stranger) {
		t.Error("TrustAll does not trust")
	}
}

// TestAddPeerGrantsNothing: the RPC is open to every peer.
func TestAddPeerGrantsNothing(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	p := statetest.Peer("p")
	if err := f.AddPeer(t.Context(), p); err != nil || f.IsTrustedPeer(t.Context(), p) {
		t.Error("AddPeer grants trust", err)
	}
}

// TestLifecycle: ready as soon as the client is there, Clean removes nothing,
// Shutdown may be repeated and ends everything.
func TestLifecycle(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	ctx := t.Context()
	<-f.Ready(ctx)
	pin := pinOf("a")
	if err := errors.Join(f.LogPin(ctx, pin), f.Clean(ctx), f.WaitForSync(ctx)); err != nil {
		t.Fatal(err)
	}
	st, err := f.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	full, ok := st.(state.Store)
	if !ok {
		t.Fatalf("State gives a %T, which is no full state", st)
	}
	if _, err := full.Get(ctx, pin.Cid); err != nil {
		t.Errorf("after Clean: %v", err)
	}
	if _, err := f.Leader(ctx); !errors.Is(err, consensus.ErrNoLeader) {
		t.Error(err)
	}
	for range 2 {
		if err := f.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if f.LogPin(ctx, pin) == nil || f.LogUnpin(ctx, pin) == nil {
		t.Error("a write after Shutdown was accepted")
	}
	if _, err := f.State(ctx); err == nil {
		t.Error("State after Shutdown gives a state")
	}
	select {
	case err := <-f.lost:
		t.Errorf("Shutdown was taken for a lost feed: %v", err)
	default:
	}
}

// TestShutdownBeforeStart ends a component that never got its client.
func TestShutdownBeforeStart(t *testing.T) {
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	c := consensus.New(h, consensus.Options{})
	if err := c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLostFeed(t *testing.T) {
	f := newFixture(t, consensus.Options{})
	reason := errors.New("somebody else")
	f.feed.lost <- reason
	if err := <-f.lost; !errors.Is(err, reason) {
		t.Error(err)
	}
}

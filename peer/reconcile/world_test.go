package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

// The peers of the tests.
const (
	alice = peer.ID("alice")
	bob   = peer.ID("bob")
	carol = peer.ID("carol")
	dave  = peer.ID("dave")
	erin  = peer.ID("erin")
)

func testCid(t testing.TB, n int) api.Cid {
	t.Helper()
	hash, err := mh.Sum(fmt.Appendf(nil, "content %d", n), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	return api.NewCid(cid.NewCidV1(cid.Raw, hash))
}

// world is a cluster: a store, members and their metrics.
type world struct {
	t     testing.TB
	store *fakeStore

	began time.Time

	mu       sync.Mutex
	members  map[peer.ID]membership.Peer
	frozen   bool
	noMetric map[peer.ID]bool // lacks one of the two metrics
	repin    bool
	finished []peer.ID
	// idle says that peers do not pin what they are given, and only confirm what they
	// have.
	idle bool
	// onAllocate runs while peers are chosen.
	onAllocate func(c api.Cid)
}

func newWorld(t testing.TB, peers ...peer.ID) *world {
	w := &world{t: t, began: time.Now(), store: newFakeStore(), members: map[peer.ID]membership.Peer{}, noMetric: map[peer.ID]bool{}, repin: true}
	for _, p := range peers {
		w.members[p] = membership.Peer{ID: p, Role: membership.RoleFull, Live: true, Seen: true}
	}
	w.store.afterWrite = w.confirm
	return w
}

// confirm lets the live holders of a pin have it, and note that.
func (w *world) confirm(c api.Cid) {
	w.store.mu.Lock()
	v := w.store.pins[c]
	w.store.mu.Unlock()
	if v.pin == nil {
		return
	}
	for _, p := range v.pin.Allocations {
		if m, ok := w.view(p).Get(p); !ok || !m.Live || m.Removed {
			continue
		}
		w.store.mu.Lock()
		if w.idle && w.store.placements[held{p, c}].Status != state.PlacementPinned {
			w.store.mu.Unlock()
			continue
		}
		w.store.placements[held{p, c}] = state.Placement{Cid: c, Status: state.PlacementPinned, Rev: v.rev, Updated: time.Now()}
		w.store.mu.Unlock()
		w.confirmed(p, *v.pin, v.rev)
	}
	w.letGo(c)
}

// confirmed lets a peer hear of its confirmation, and end the move if it can.
func (w *world) confirmed(p peer.ID, pin api.Pin, rev state.Revision) {
	r := w.reconciler(p)
	r.Confirmed(w.t.Context(), pin, rev)
	_ = r.endMoves(w.t.Context())
}

// letGo lets those who are not to hold a pin any more forget it, if enough others have
// it: the work of their trackers.
func (w *world) letGo(c api.Cid) {
	view := w.view("")
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	v := w.store.pins[c]
	if v.pin == nil {
		return
	}
	have := 0
	for _, p := range v.pin.Allocations {
		if row := w.store.placements[held{p, c}]; row.Status == state.PlacementPinned && row.Rev == v.rev {
			have++
		}
	}
	if have < max(1, v.pin.ReplicationFactorMin) {
		return
	}
	for k := range w.store.placements {
		if m, _ := view.Get(k.peer); k.cid == c && m.Live && !m.Removed && !allocatedTo(*v.pin, k.peer) {
			delete(w.store.placements, k)
		}
	}
}

func (w *world) member(p peer.ID, change func(*membership.Peer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[p]
	m.ID = p
	change(&m)
	w.members[p] = m
}

// die lets peers be found dead, a moment before everybody else was heard of.
func (w *world) die(peers ...peer.ID) {
	for _, p := range peers {
		w.member(p, func(m *membership.Peer) { m.Live, m.DeadSince, m.Died = false, time.Now().Add(-1), time.Since(w.began) })
	}
}

// coldStart lets peers be dead that nobody has seen live since the start of the test.
func (w *world) coldStart(peers ...peer.ID) {
	w.die(peers...)
	for _, p := range peers {
		w.member(p, func(m *membership.Peer) { m.Seen = false })
	}
}

func (w *world) revive(p peer.ID) {
	w.member(p, func(m *membership.Peer) {
		*m = membership.Peer{ID: p, Role: membership.RoleFull, Live: true, Seen: true}
	})
}

func (w *world) remove(p peer.ID) {
	w.member(p, func(m *membership.Peer) { m.Removed, m.RemovedAt = true, time.Now() })
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) view(self peer.ID) membership.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := membership.View{Self: self, Frozen: w.frozen, Judged: time.Since(w.began)}
	for _, m := range w.members {
		if m.Heard.IsZero() {
			m.Heard = time.Now()
		}
		v.Peers = append(v.Peers, m)
	}
	slices.SortFunc(v.Peers, func(a, b membership.Peer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return v
}

// metrics are those of the live members, as the monitor returns them.
func (w *world) metrics(_ context.Context, name string) []api.Metric {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ms []api.Metric
	for _, m := range w.members {
		lacks := w.noMetric[m.ID] && name == "tag"
		if m.Live && !m.Removed && !lacks {
			ms = append(ms, api.Metric{Name: name, Peer: m.ID, Valid: true})
		}
	}
	return ms
}

// Allocate prefers peers by name, and vetoes "mallory".
func (w *world) Allocate(_ context.Context, c api.Cid, _, candidates, priority api.MetricsSet) ([]peer.ID, error) {
	if w.onAllocate != nil {
		w.onAllocate(c)
	}
	var chosen []peer.ID
	for _, set := range []api.MetricsSet{priority, candidates} {
		var ids []peer.ID
		for _, m := range set["disk"] {
			if m.Peer != "mallory" {
				ids = append(ids, m.Peer)
			}
		}
		slices.Sort(ids)
		chosen = append(chosen, ids...)
	}
	return chosen, nil
}

func (w *world) Metrics() []string { return []string{"disk", "tag"} }

// options are those of one peer, without a scrub.
func (w *world) options(self peer.ID) Options {
	return Options{
		Self: self, Store: w.store,
		View:    func() membership.View { return w.view(self) },
		Metrics: w.metrics, Allocator: w,
		Repin: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.repin
		},
		Finish: func(_ context.Context, p peer.ID) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.finished = append(w.finished, p) // the view is slow to show it
			return nil
		},
	}
}

func (w *world) reconciler(self peer.ID, change ...func(*Options)) *Reconciler {
	opts := w.options(self)
	for _, c := range change {
		c(&opts)
	}
	return New(opts)
}

// run runs the loops of some peers until the test is over.
func (w *world) run(selves ...peer.ID) (stop func()) {
	var rs []*Reconciler
	for _, self := range selves {
		rs = append(rs, w.reconciler(self))
	}
	return w.start(rs...)
}

func (w *world) start(rs ...*Reconciler) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	for _, r := range rs {
		done.Go(func() { r.Run(ctx) })
	}
	return func() {
		cancel()
		done.Wait()
	}
}

// add stores a pin and lets its holders have it.
func (w *world) add(n, rmin, rmax int, holders ...peer.ID) api.Cid {
	c := w.addUnheld(n, rmin, rmax, holders...)
	for _, p := range holders {
		w.store.hold(p, c, 2)
	}
	return c
}

func (w *world) addUnheld(n, rmin, rmax int, holders ...peer.ID) api.Cid {
	c := testCid(w.t, n)
	pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: rmin, ReplicationFactorMax: rmax, Name: fmt.Sprint("pin ", n)})
	pin.Allocations = holders
	w.store.write(c, &pin)
	return c
}

func (w *world) wantHolders(c api.Cid, want ...peer.ID) {
	w.t.Helper()
	pin := w.store.pin(c)
	if pin == nil {
		w.t.Errorf("%s is not pinned, want it on %v", c, want)
		return
	}
	got := slices.Sorted(slices.Values(pin.Allocations))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("%s is allocated to %q, want %q", pin.Name, got, want)
	}
}

// pass sleeps d of the fake time, and until everybody waits.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// trustOnly is Options.Trusted for the given peers.
func trustOnly(peers ...peer.ID) func(context.Context, peer.ID) bool {
	return func(_ context.Context, p peer.ID) bool { return slices.Contains(peers, p) }
}

package multipeer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/test"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// world is the cluster of one test.
type world struct {
	t      *testing.T
	server *cqltest.Server
	conf   scyllastate.Config
	// sql are the test's own eyes and hands in the database, which no link
	// holds up.
	sql   *gocql.Session
	nodes []*node
	// mu guards which process each node has: TestStress asks while they come
	// and go.
	mu sync.Mutex
	// holders is who holds what in IPFS.
	holders *holders
	// repin is what all peers are told of repinning. asked counts how often
	// each of them wanted to know: its loops do when they look for work.
	repin atomic.Bool
	// ping and recover are the intervals of peers that start from now on.
	ping, recover time.Duration
	// hour is for how long a death counts, the default if it is 0.
	hour time.Duration
	// program is Kubo, where the nodes get a real one.
	program string
	// size measures for these peers what was pinned. It may be nil.
	size func(context.Context, api.Cid) (int64, error)
}

// newWorld makes a cluster without peers. Its test runs beside others: much of
// the time of these tests is waiting.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, server: cqltest.Start(t), holders: newHolders(), ping: 500 * time.Millisecond, recover: time.Hour}
	must(t, w.conf.Default())
	w.conf.Hosts, w.conf.Keyspace = w.server.Hosts(), w.server.Emptied(t)
	w.conf.Secret = []byte("the secret of the peers of the test")
	w.sql = w.server.Session(t)
	w.prepare()
	return w
}

// prepare makes the tables. It spares the first peer the look at the expiries of
// a day before there was a pinset, which is tested elsewhere.
func (w *world) prepare() {
	w.t.Helper()
	store := w.open()
	for shard := range state.ExpiryShards {
		must(w.t, store.SetDuePosition(w.t.Context(), shard, time.Now().Add(-time.Minute)))
	}
	must(w.t, store.Close())
}

// startEvents lets the keyspace have events.
func (w *world) startEvents() {
	w.t.Helper()
	store := w.open()
	must(w.t, store.StartEvents(w.t.Context()))
	must(w.t, store.Close())
}

// open opens a store of no peer, which the caller closes.
func (w *world) open() *scyllastate.Store {
	w.t.Helper()
	conf := w.conf
	conf.Port = w.server.Port()
	store, err := scyllastate.Open(w.t.Context(), &conf)
	must(w.t, err)
	return store
}

// newPeers makes a world in which so many peers run.
func newPeers(t *testing.T, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.start(w.newNodes(n)...)
	return w
}

// node is where one peer runs: its identity, and its IPFS daemon, which goes on
// when the peer dies.
type node struct {
	*process // nil while the peer does not run
	w        *world
	name     string
	id       peer.ID
	key      crypto.PrivKey
	kubo     *kubo
	asked    atomic.Int64
	slo      *sli.Metrics // of the processes that start from now on, nil if there are none
}

// newNodes makes nodes on which nothing runs yet.
func (w *world) newNodes(n int) []*node {
	w.t.Helper()
	var nodes []*node
	for range n {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		must(w.t, err)
		id, err := peer.IDFromPrivateKey(key)
		must(w.t, err)
		n := &node{w: w, name: fmt.Sprintf("peer%d", len(w.nodes)), id: id, key: key}
		if w.program != "" {
			n.kubo = newRealKubo(w.t, w.program)
		} else {
			n.kubo = newKubo(w.t)
		}
		w.nodes, nodes = append(w.nodes, n), append(nodes, n)
	}
	return nodes
}

// start starts peers, all at once, and waits until all know of each other.
func (w *world) start(nodes ...*node) {
	w.t.Helper()
	errs := make([]error, len(nodes))
	var starting sync.WaitGroup
	for i, n := range nodes {
		starting.Go(func() { errs[i] = n.start(false) })
	}
	starting.Wait()
	must(w.t, errors.Join(errs...))
	w.meet()
}

// meet waits until every live peer has the metrics of all of them.
func (w *world) meet() {
	w.t.Helper()
	eventually(w.t, "the peers to know of each other", func() string {
		live := w.live()
		for _, n := range live {
			for _, name := range []string{"ping", "numpin"} {
				if got := n.components.Monitor.LatestMetrics(w.t.Context(), name); len(got) != len(live) {
					return fmt.Sprintf("%s has %d metrics %s", n.name, len(got), name)
				}
			}
		}
		return ""
	})
}

// startedUp waits until every live peer has looked for work that was left undone,
// where there is none: from then on it learns of pins by its feed only.
func (w *world) startedUp() {
	w.t.Helper()
	eventually(w.t, "the peers to have looked through what they hold", func() string {
		for _, n := range w.live() {
			if n.store.looks.Load() == 0 {
				return fmt.Sprintf("%s has not", n.name)
			}
		}
		return ""
	})
}

// processes are the peers that run.
func (w *world) processes() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var running []*process
	for _, n := range w.nodes {
		if n.process != nil {
			running = append(running, n.process)
		}
	}
	return running
}

// live are the nodes whose peer runs.
func (w *world) live() []*node {
	w.mu.Lock()
	defer w.mu.Unlock()
	var live []*node
	for _, n := range w.nodes {
		if n.process != nil {
			live = append(live, n)
		}
	}
	return live
}

// node returns the one with that ID.
func (w *world) node(id peer.ID) *node {
	w.t.Helper()
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	w.t.Fatalf("no peer has the ID %s", id)
	return nil
}

func ids(nodes ...*node) []peer.ID {
	var out []peer.ID
	for _, n := range nodes {
		out = append(out, n.id)
	}
	return out
}

// died waits until every live peer has found that the others are dead.
func (w *world) died(dead ...*node) {
	w.t.Helper()
	eventually(w.t, "dead peers to be noticed", func() string {
		for _, n := range w.live() {
			view := n.components.Monitor.View()
			for _, d := range dead {
				if p, ok := view.Get(d.id); !ok || p.Live || view.Frozen {
					return fmt.Sprintf("%s takes %s for alive", n.name, d.name)
				}
			}
		}
		return ""
	})
}

// lookForWork waits until the loops of every live peer have looked for work many
// times: what they have not done by then they do not do.
func (w *world) lookForWork() {
	w.t.Helper()
	until := make(map[*node]int64)
	for _, n := range w.live() {
		until[n] = n.asked.Load() + 20
	}
	eventually(w.t, "the loops to look for work", func() string {
		for n, asked := range until {
			if now := n.asked.Load(); now < asked {
				return fmt.Sprintf("%s looks %d times more", n.name, asked-now)
			}
		}
		return ""
	})
}

// cidOf is a CID of its own for each text.
func cidOf(t *testing.T, text string) api.Cid {
	t.Helper()
	hash, err := multihash.Sum([]byte(text), multihash.SHA2_256, -1)
	must(t, err)
	return api.NewCid(cid.NewCidV1(cid.Raw, hash))
}

// factors are options that ask for so many copies.
func factors(lowest, highest int) api.PinOptions {
	return api.PinOptions{ReplicationFactorMin: lowest, ReplicationFactorMax: highest}
}

// pin pins the CID of the text through a peer.
func (w *world) pin(by *node, text string, opts api.PinOptions) api.Pin {
	w.t.Helper()
	pin, err := by.cluster.Pin(w.t.Context(), cidOf(w.t, text), opts)
	if err != nil {
		w.t.Fatalf("pinning %q: %s", text, err)
	}
	return pin
}

// allocate pins the CID of the text on the given nodes, which upstream lets its
// own components do over RPC.
func (w *world) allocate(by *node, text string, lowest, highest int, on ...*node) api.Pin {
	w.t.Helper()
	pin := api.PinWithOpts(cidOf(w.t, text), factors(lowest, highest))
	pin.Allocations = ids(on...)
	var stored api.Pin
	must(w.t, by.client.CallContext(w.t.Context(), "", "Cluster", "Pin", pin, &stored))
	return stored
}

func (w *world) unpin(by *node, c api.Cid) {
	w.t.Helper()
	if _, err := by.cluster.Unpin(w.t.Context(), c); err != nil {
		w.t.Fatalf("unpinning %s: %s", c, err)
	}
}

// kubo is an IPFS daemon: upstream's mock of one, or a real one.
type kubo struct {
	t    *testing.T
	url  *url.URL
	real *realKubo // nil for the mock
}

func newKubo(t *testing.T) *kubo {
	t.Helper()
	mock := test.NewIpfsMock(t)
	t.Cleanup(mock.Close)
	return &kubo{t: t, url: &url.URL{Scheme: "http", Host: mock.Addr + ":" + strconv.Itoa(mock.Port)}}
}

// withTimeout limits what a clean-up may take.
func withTimeout(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return f(ctx)
}

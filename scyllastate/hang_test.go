package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func needLong(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skipf("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): %s", why)
	}
}

// work is what some clients did to a store.
type work struct {
	mu     sync.Mutex
	took   []time.Duration
	failed []error
}

// begin starts clients that read and write pins of their own until stop is
// called, which returns when each has its last answer.
func (w *work) begin(s *Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				c := statetest.Cid(fmt.Sprint(rand.Uint64()))
				began := time.Now()
				_, err := s.Get(context.Background(), c)
				read := time.Since(began)
				if errors.Is(err, state.ErrNotFound) {
					err = nil
				}
				if err == nil {
					err = s.Update(context.Background(), c, func(*api.Pin) (*api.Pin, error) {
						pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 2})
						pin.Allocations = []peer.ID{statetest.Peer("a"), statetest.Peer("b")}
						return &pin, nil
					})
				}
				w.mu.Lock()
				w.took = append(w.took, read, time.Since(began)-read)
				if err != nil {
					w.failed = append(w.failed, err)
				}
				w.mu.Unlock()
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// warm waits until servers that have just started have compiled what requests need:
// they have answered some hundreds, without a failure.
func warm(t *testing.T, s *Store) {
	t.Helper()
	var w work
	stop := w.begin(s)
	waitFor(t, "the servers to get going", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.took) >= 500
	})
	stop()
	w.check(t, "while the servers get going", 5*time.Second)
}

// check wants no failure, and all requests but one in a hundred within the given
// time. It forgets them.
func (w *work) check(t *testing.T, when string, within time.Duration) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.took)
	if len(w.took) == 0 {
		t.Fatalf("%s: nothing was done", when)
	}
	p99 := w.took[len(w.took)*99/100]
	t.Logf("%s: %d requests, p50 %s, p99 %s, longest %s", when, len(w.took), w.took[len(w.took)/2], p99, w.took[len(w.took)-1])
	if p99 > within {
		t.Errorf("%s: p99 is %s, more than %s", when, p99, within)
	}
	if len(w.failed) > 0 {
		t.Errorf("%s: %d requests failed, the first: %v", when, len(w.failed), w.failed[0])
	}
	w.took, w.failed = nil, nil
}

// opens checks how long another store takes to open.
func opens(t *testing.T, conf *Config, within time.Duration) {
	t.Helper()
	for range 5 { // whom it asks first is chance
		began := time.Now()
		s, err := Open(t.Context(), conf)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		must(t, s.Close())
		t.Logf("opened in %s", took.Round(time.Millisecond))
		if took > within {
			t.Errorf("opening took %s, more than %s", took, within)
		}
	}
}

// lists checks how long a listing takes.
func lists(t *testing.T, s *Store, when string, want int, within time.Duration) {
	t.Helper()
	began := time.Now()
	n, err := s.Count(t.Context(), func(int) {})
	must(t, err)
	took := time.Since(began)
	t.Logf("%s: listed %d pins in %s", when, n, took.Round(time.Millisecond))
	if n < want {
		t.Errorf("%s: listed %d pins of %d", when, n, want)
	}
	if took > within {
		t.Errorf("%s: listing took %s, more than %s", when, took, within)
	}
}

// TestOneNodeOfThree freezes and kills one of three nodes that all hold every
// row, under load.
func TestOneNodeOfThree(t *testing.T) {
	needLong(t, "it starts three nodes")
	server := cqltest.StartOwn(t, engine.Options{Nodes: 3})
	conf := configOn(t, &server.Server, server.Keyspace(t))
	s := openStore(t, conf)
	shards := 3
	if face := server.Face(); face != nil {
		shards *= face.Shards()
	}
	back := func() bool { return s.db.Shards() == shards }
	warm(t, s)
	var w work
	during := func(what string, fault func()) {
		stop := w.begin(s)
		defer stop()
		time.Sleep(3 * time.Second)
		w.check(t, "before a node is "+what, time.Second)
		fault()
		time.Sleep(5 * time.Second)
		opens(t, conf, 10*time.Second)
		time.Sleep(5 * time.Second)
		w.check(t, "while a node is "+what, 5*time.Second)
		time.Sleep(5 * time.Second)
		w.check(t, "later", time.Second)
	}
	during("frozen", func() { must(t, server.Cluster().Freeze(1)) })
	must(t, server.Cluster().Resume(1))
	waitFor(t, "the node to be back", back)

	// Without any other request: the servers themselves wait for the frozen node
	// until they take it for dead.
	must(t, server.Cluster().Freeze(2))
	lists(t, s, "right after a node was frozen", 0, 25*time.Second)
	lists(t, s, "a while after", 0, 5*time.Second)
	must(t, server.Cluster().Resume(2))
	waitFor(t, "the node to be back", back)

	during("killed", func() { server.Cluster().Kill(2) })
	lists(t, s, "while a node is dead", 0, 5*time.Second)

	// The tables are made without the node that is dead.
	began := time.Now()
	made := openStore(t, configOn(t, &server.Server, server.Keyspace(t)))
	must(t, made.Add(t.Context(), held("a", statetest.Peer("self"))))
	t.Logf("a keyspace was made in %s while a node is dead", time.Since(began).Round(time.Millisecond))
}

// TestHangingReplica hangs one node of three behind a face of ScyllaDB, whose
// conditional updates all go to the first replica of their CID: a third of the
// CIDs has the one that hangs. No request fails, and hardly one is late.
func TestHangingReplica(t *testing.T) {
	needLong(t, "it starts three nodes")
	server := cqltest.StartFace(t, engine.Options{Nodes: 3}, scyllaface.Options{})
	t.Log(server.Name())
	conf := configOn(t, &server.Server, server.Keyspace(t))
	s := openStore(t, conf)
	warm(t, s)
	for i, node := range server.Face().Nodes() {
		var w work
		stop := w.begin(s)
		time.Sleep(3 * time.Second)
		w.check(t, "before", time.Second)
		node.Hang()
		time.Sleep(10 * time.Second)
		w.check(t, fmt.Sprintf("while node %d hangs", i), 5*time.Second)
		opens(t, conf, 5*time.Second)
		must(t, node.Resume())
		waitFor(t, "the node to be back", func() bool { return s.db.Shards() == 3*server.Face().Shards() })
		stop()
		w.check(t, "after", 5*time.Second)
	}
}

// TestHangingDataCentre hangs the only node of another data centre. A start does
// not wait for it, and no connection goes there but those that ask for its clock.
func TestHangingDataCentre(t *testing.T) {
	needLong(t, "it starts three nodes")
	server := cqltest.StartFace(t, engine.Options{Nodes: 3, DCs: 2}, scyllaface.Options{})
	conf := configOn(t, &server.Server, server.Keyspace(t))
	conf.LocalDC, conf.Hosts = "dc1", server.Hosts()
	conf.Replication = map[string]int{"dc1": 2}
	s := openStore(t, conf)
	must(t, s.Add(t.Context(), held("a", statetest.Peer("self"))))
	far := server.Face().Nodes()[1] // node i is in dc<i mod 2 + 1>
	waitFor(t, "the other data centre to be asked for its time", func() bool {
		return far.Count(func(r scyllaface.Request) bool { return strings.Contains(r.Statement, "now()") }) > 0
	})
	waitFor(t, "the connections that ask for it to end", func() bool { return len(far.Connections()) == 0 })
	far.Hang()
	opens(t, conf, 5*time.Second)
	near := server.Face().Nodes()[2]
	near.Hang()
	opens(t, conf, 10*time.Second) // two that are silent may be asked one after the other
}

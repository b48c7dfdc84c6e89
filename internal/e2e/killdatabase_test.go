package e2e

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// pinsPerKill is how many pins are acknowledged between two kills of the database,
// at least.
const pinsPerKill = 100

// TestKill9Database kills the only node of the database with kill -9 right after pins
// and unpins were acknowledged, again and again. With what docs/database.md recommends
// nothing of it is lost. That the test would see it is shown by TestKill9Periodic.
func TestKill9Database(t *testing.T) {
	t.Parallel()
	if !longTests() {
		t.Log("A SLICE ONLY: 1 kill. TEST_LONG=1 tests 50, and three nodes.")
	}
	kills := killsOf(t, 1, 50)
	k := startKilled(t, engine.Options{}, kills)
	k.says(t, `no crash of one node or rack of the database loses what is acknowledged \(1 replica in 1 rack, commitlog_sync batch on 1 node\)`)
	for round := range kills {
		k.checkState(t, k.kill(t, round, 0))
	}
	k.finish(t)
}

// TestKill9OneOfThree kills the nodes in turn: with three replicas nothing is lost
// with the defaults of the engine either.
func TestKill9OneOfThree(t *testing.T) {
	needsLong(t)
	kills := killsOf(t, 0, 15)
	k := startKilled(t, engine.Options{Nodes: 3, Periodic: true}, kills)
	k.says(t, `one crash of the database can lose acknowledged pins and unpins: the rack rack1 of dc1 may hold 3 of the 3 replicas`)
	for round := range kills {
		k.checkState(t, k.kill(t, round, round%3))
	}
	k.finish(t)
}

// TestKill9Periodic kills the only node of a database with the defaults of the
// engine, until something of what was acknowledged is lost.
func TestKill9Periodic(t *testing.T) {
	needsLong(t)
	kills := killsOf(t, 0, 10)
	k := startKilled(t, engine.Options{Periodic: true}, kills)
	k.says(t, `one crash of the database can lose acknowledged pins and unpins: the keyspace killed has one replica`)
	lost, undead := 0, 0
	for round := 0; round < kills && lost == 0; round++ {
		lost, undead = k.undone(k.kill(t, round, 0))
	}
	k.report(t)
	t.Logf("%d acknowledged pins and %d acknowledged unpins are lost with commitlog_sync: periodic", lost, undead)
	if lost == 0 {
		t.Errorf("%d kills of the only node lost nothing with commitlog_sync: periodic: the tests of kills would not see it", kills)
	}
	k.peer.stop(t)
}

func needsLong(t *testing.T) {
	t.Helper()
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): it starts another database and kills it for minutes")
	}
}

// killsOf is how many kills a test of the database is to make: the variable KILLS
// says so, for a long test that is run in pieces.
func killsOf(t *testing.T, short, long int) int {
	t.Helper()
	text := os.Getenv("KILLS")
	switch {
	case text == "" && longTests():
		return long
	case text == "":
		return short
	}
	kills, err := strconv.Atoi(text)
	if err != nil || kills < 1 {
		t.Fatalf("KILLS=%q is not a number of kills", text)
	}
	t.Logf("KILLS: %d kills, where the long form has %d", kills, long)
	return kills
}

// killed is a peer whose database is killed under a load.
type killed struct {
	*load
	own  *cqltest.Own
	db   database
	kubo *ipfs
	peer *peer
}

func startKilled(t *testing.T, opts engine.Options, kills int) *killed {
	t.Helper()
	own := cqltest.StartOwn(t, opts)
	k := &killed{own: own, db: database{own.Hosts(), own.Port(), "killed"}, kubo: startKubo(t)}
	// Requests that are under way at a kill are not to be waited for until they
	// give up.
	k.peer = newPeer(t, k.db, k.kubo, map[string]string{"CLUSTER_SCYLLA_REQUESTTIMEOUT": "5s"})
	k.peer.start(t)
	k.peer.waitReady(t)
	// As in TestKill9UnderLoad.
	k.load = newLoad(k.kubo.addBlocks(t, t.Name(), (kills+1)*(pinsPerKill+4*clients)),
		url.Values{"replication-min": {"1"}, "replication-max": {"1"}}, url.Values{})
	return k
}

// kill kills a node when enough pins are acknowledged, starts it again, and returns
// the pinset then.
func (k *killed) kill(t *testing.T, round, node int) map[string]bool {
	t.Helper()
	pins, want := k.pins.Load(), k.pins.Load()+pinsPerKill
	loading := stopwatch()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		k.run(t, &k.peer.rest, 0.2, stop)
	}()
	err := poll(2*time.Minute, func() error {
		if n := k.pins.Load(); n < want {
			return fmt.Errorf("%d of %d pins are acknowledged", n-pins, pinsPerKill)
		}
		return nil
	})
	loaded := loading()
	k.own.Cluster().Kill(node)
	close(stop)
	since := stopwatch()
	restart := k.own.Cluster().Restart(t.Context(), node)
	started := since()
	<-done
	if err != nil || restart != nil {
		t.Fatalf("round %d: %v, starting the node again: %v", round, err, restart)
	}
	ended := since()
	k.db.waitAllServe(t)
	served := since()
	var state map[string]bool
	eventually(t, time.Minute, "the peer lists its pins", func() (err error) {
		k.peer.daemon.running(t)
		state, err = k.peer.allocations()
		return err
	})
	lost, undead := k.undone(state)
	t.Logf("round %d: %d more pins in %s, node %d killed; it answers after %s, requests have ended after %s, all nodes serve after %s, the peer lists after %s; "+
		"of %d acknowledged pins and %d unpins %d and %d are lost",
		round, k.pins.Load()-pins, loaded, node+1, started, ended, served, since(), k.pins.Load(), k.unpins.Load(), lost, undead)
	return state
}

// stopwatch returns the time since it was called.
func stopwatch() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
}

// finish wants what was acknowledged to be done by the peer, too: it has lost no
// change.
func (k *killed) finish(t *testing.T) {
	t.Helper()
	k.report(t)
	if k.unpins.Load() == 0 {
		t.Error("too few unpins for a test")
	}
	k.checkState(t, k.untilIPFSAgrees(t, k.peer, k.kubo))
	eventually(t, time.Minute, "everything has status pinned", k.peer.allPinned)
	k.peer.stop(t)
}

// says waits for a line of the peer's log about crashes of the database.
func (k *killed) says(t *testing.T, pattern string) {
	t.Helper()
	eventually(t, time.Minute, "the log says what a crash loses", func() error {
		return k.peer.daemon.logged(t, regexp.MustCompile(pattern), 1)
	})
}

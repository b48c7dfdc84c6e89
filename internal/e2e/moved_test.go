package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// movedLimit is how soon a peer works after its database is at another address.
const movedLimit = 30 * time.Second

// TestDatabaseMoves moves a whole database to other addresses under a peer that
// has requests all the time. The peer goes on by itself. Unless
// scylla.nobodyIsNotLocal keeps the driver from it, the process dies.
func TestDatabaseMoves(t *testing.T) {
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): it moves databases for minutes; internal/scylla.TestMove moves one under a session")
	}
	t.Run("one node", func(t *testing.T) { databaseMoves(t, 1, 3) })
	t.Run("three nodes at once", func(t *testing.T) { databaseMoves(t, 3, 2) })
}

func databaseMoves(t *testing.T, nodes, moves int) {
	// Logging in makes a connection take longer, and the driver's crash likelier.
	own := cqltest.StartOwn(t, engine.Options{Nodes: nodes, Auth: true})
	db := database{slices.Concat(own.Hosts(), own.Cluster().Spare()), own.Port(), "moved"}
	k := startKubo(t)
	p := newPeer(t, db, k, map[string]string{
		"CLUSTER_SCYLLA_USERNAME": engine.Superuser,
		"CLUSTER_SCYLLA_PASSWORD": engine.SuperuserPassword,
	})
	p.start(t)
	p.waitReady(t)
	cids := k.addBlocks(t, t.Name(), 1000)
	kept, cids := cids[0], cids[1:]
	if err := p.pin(kept, nil); err != nil {
		t.Fatal(err)
	}
	load := newSteady(t, &p.rest, cids)
	for range moves {
		load.lasts("before", usualP99, 3*time.Second).check(t)
		moving := load.enter("while the database moves", 0)
		own.Move(t)
		eventually(t, movedLimit, "the peer works", func() error {
			p.daemon.running(t)
			return p.allocated(kept, true)
		})
		after := load.lasts("after", usualP99, 5*time.Second)
		after.check(t)
		moving.report(t)
		late := moving.failed.Sub(own.Cluster().Answered())
		t.Logf("the last request failed %s after all nodes answered at %v", late.Round(time.Millisecond), own.Hosts())
		if len(moving.errs) == 0 || late > movedLimit {
			t.Errorf("%d requests failed while the database moved, the last %s after it answered, more than %s", len(moving.errs), late, movedLimit)
		}
		for _, err := range moving.errs {
			checkDatabaseAnswer(t, "a request while the database moves", err)
		}
	}
	load.end()
	p.daemon.running(t)
	p.checkDatabaseLog(t)
	eventually(t, time.Minute, "everything is pinned", p.allPinned)
	p.stop(t)
}

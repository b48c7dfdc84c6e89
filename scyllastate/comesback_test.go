package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestUnpinComesBack shows on three nodes what docs/database.md says of repair. One of
// them is away while pins are removed, and nobody keeps what it misses. A pin that is
// repaired before gc_grace_seconds have passed stays removed; one that is not comes
// back, whatever unpin_grace is. Nothing but a repair prevents that: no reader can tell such
// a row from one that was always there.
func TestUnpinComesBack(t *testing.T) {
	needLong(t, "it starts three nodes")
	server := cqltest.StartOwn(t, engine.Options{Nodes: 3, NoHints: true})
	conf := configOn(t, &server.Server, server.Keyspace(t))
	s := openStore(t, conf)
	admin := server.Session(t)
	// all reads a pin from all replicas, which thereby become alike.
	all := func(c api.Cid) (there bool) {
		t.Helper()
		var pin []byte
		waitFor(t, "all three replicas to answer", func() bool {
			err := admin.Query("SELECT pin FROM "+conf.Keyspace+".pins WHERE cid = ?", c.Bytes()).Consistency(gocql.All).Scan(&pin)
			return err == nil || errors.Is(err, gocql.ErrNotFound)
		})
		return len(pin) > 0
	}
	grace := func(seconds int) {
		t.Helper()
		must(t, admin.Query(fmt.Sprintf("ALTER TABLE %s.pins WITH gc_grace_seconds = %d", conf.Keyspace, seconds)).Exec())
	}
	repaired, not := held("repaired in time", statetest.Peer("a")), held("not repaired", statetest.Peer("a"))
	for _, pin := range []api.Pin{repaired, not} {
		must(t, s.Add(t.Context(), pin))
		if !all(pin.Cid) {
			t.Fatalf("%s is not there", pin.Name)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), engine.StartTimeout)
	defer cancel()
	// away removes a pin while one node is not there.
	away := func(pin api.Pin) {
		t.Helper()
		server.Cluster().ShutDown(2)
		must(t, s.Rm(t.Context(), pin.Cid))
		wantPin(t, s, pin.Cid, nil)
		must(t, server.Cluster().Restart(ctx, 2))
		t.Logf("%q was removed while a node was away, which is back", pin.Name)
	}
	away(repaired)
	before := time.Now().Truncate(time.Millisecond)
	must(t, server.Cluster().Repair(ctx, 0, conf.Keyspace))
	t.Log("the keyspace is repaired")
	found, err := s.db.Repairs(t.Context(), repairedTables()...)
	must(t, err)
	for _, table := range found.Tables {
		if found.Unknown != nil || table.Repaired.Before(before) {
			t.Errorf("after a repair the database tells %+v, %v", table, found.Unknown)
		}
	}
	away(not)
	removed := time.Now()

	grace(1)
	waitFor(t, "gc_grace_seconds to pass", func() bool { return time.Since(removed) > 3*time.Second })
	if all(repaired.Cid) {
		t.Error("a pin that was repaired in time is back")
	}
	wantPin(t, s, repaired.Cid, nil)
	if !all(not.Cid) {
		t.Fatal("a pin that was not repaired is not back: the documentation is wrong, or this is no test any more")
	}
	back := func() (there bool) {
		_, err := s.Get(t.Context(), not.Cid)
		if err != nil && err != state.ErrNotFound {
			t.Fatal(err)
		}
		return err == nil
	}
	waitFor(t, "a peer to be told that the pin is there", back)

	found, err = s.db.Repairs(t.Context(), repairedTables()...)
	must(t, err)
	warned := repairWarnings(found, conf.Keyspace, time.Now())
	if len(warned) != 1 {
		t.Errorf("the peers warn %q of %+v", warned, found)
	}
	if found.Unknown != nil || found.Tables[0].GC != scylla.GCTimeout || found.Tables[0].Grace != time.Second {
		t.Errorf("the database tells %+v", found)
	}
	t.Logf("the peers warn: %q", warned)
}

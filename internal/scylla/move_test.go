package scylla

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

const (
	// moveLimit is how long a session may take until it works again after the
	// database answers at another address.
	moveLimit = 30 * time.Second
	// movePatience is for the short form, on a busy machine, which judges no
	// times.
	movePatience = 3 * time.Minute
)

// TestMove moves the whole database to other addresses while requests are made.
// The driver takes the process down there unless nobodyIsNotLocal keeps it: most
// surely with a server that wants passwords, to which connecting takes longest.
func TestMove(t *testing.T) {
	t.Run("one node, by name", func(t *testing.T) { testMove(t, 1, 1, true) })
	if os.Getenv("TEST_LONG") != "1" {
		t.Log("A SLICE ONLY: one node that moves once. TEST_LONG=1 moves it five times, also with its addresses in hosts, and three nodes at once.")
		return
	}
	t.Run("one node, by name, again and again", func(t *testing.T) { testMove(t, 1, 5, true) })
	t.Run("one node, by addresses", func(t *testing.T) { testMove(t, 1, 5, false) })
	t.Run("three nodes, by name", func(t *testing.T) { testMove(t, 3, 2, true) })
	t.Run("three nodes, by addresses", func(t *testing.T) { testMove(t, 3, 2, false) })
}

func testMove(t *testing.T, nodes, moves int, byName bool) {
	var dns *names
	if byName {
		dns = startNames(t)
	}
	own := cqltest.StartOwn(t, engine.Options{Nodes: nodes, Auth: true})
	conf := Config{
		Hosts: slices.Concat(own.Hosts(), own.Cluster().Spare()), Port: own.Port(), Keyspace: "moved", CreateKeyspace: true,
		Username: engine.Superuser, Password: engine.SuperuserPassword,
		RequestTimeout: 10 * time.Second, ConnectTimeout: 2 * time.Minute,
	}
	if byName {
		conf.Hosts = []string{databaseName}
		dns.set(own.Hosts())
	}
	db := openDB(t, conf)
	change(t, db, leasesTable)
	read := func() error {
		_, err := db.Read(t.Context(), gocql.Quorum, Bind(selectLease, "x"), new(string), new(*int64), new(time.Time))
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	for range moves {
		stop := keepAsking(t, read)
		if byName {
			dns.set(own.Cluster().Spare())
		}
		own.Move(t)
		back := time.Now()
		within := movePatience
		if os.Getenv("TEST_LONG") == "1" {
			within = moveLimit
		}
		for err := read(); err != nil; err = read() {
			if time.Since(back) > within {
				t.Fatalf("it does not work %s after the database is back: %v", within, err)
			}
			<-time.After(50 * time.Millisecond) // the next look
		}
		failed := stop()
		late := failed.Sub(own.Cluster().Answered())
		t.Logf("the last request failed %s after all nodes answered at %v", late.Round(time.Millisecond), own.Hosts())
		if late > within {
			t.Errorf("requests fail %s after all nodes answered, more than %s", late, within)
		}
	}
}

// keepAsking makes requests all the time, as the loops of a peer do, until stop
// is called, which returns when the last one failed.
func keepAsking(t *testing.T, read func() error) (stop func() time.Time) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var failed atomic.Int64 // Unix nanoseconds
	for range 4 {
		wg.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				if err := read(); err != nil { // while the database moves
					failed.Store(time.Now().UnixNano())
				}
				<-tick.C
			}
		})
	}
	return func() time.Time {
		cancel()
		wg.Wait()
		return time.Unix(0, failed.Load())
	}
}

package pins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// openDB opens a session on an empty keyspace.
func openDB(tb testing.TB) *scylla.DB {
	tb.Helper()
	server := cqltest.Start(tb)
	return openOn(tb, server.Hosts(), server.Port(), server.Emptied(tb))
}

func openOn(tb testing.TB, hosts []string, port int, name string) *scylla.DB {
	tb.Helper()
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = hosts, port, name
	conf.ConnectTimeout = cqlsection.Duration(time.Minute)
	db, err := keyspace.Open(tb.Context(), conf, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// clock is a time that tests set. It is safe for concurrent use.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.UnixMilli(1_672_531_200_000)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// newInstance is a service whose clock is ahead by skew, with slices of seven rows.
func newInstance(db *scylla.DB, c *clock, skew time.Duration) *Service {
	s := New(Config{DB: db})
	s.now = func() time.Time { return c.now().Add(skew) }
	s.slicer.rows = 7
	s.wait = func(_ context.Context, d time.Duration) error {
		c.add(d)
		return nil
	}
	return s
}

// testCID is the nth CID.
func testCID(n int) string {
	hash, err := multihash.Sum(fmt.Append(nil, "content ", n), multihash.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return cid.NewCidV1(cid.Raw, hash).String()
}

func newRequest(tenant string, n int) NewRequest {
	return NewRequest{Tenant: tenant, Owner: "owner of " + tenant, CID: testCID(n), Name: fmt.Sprint("name ", n)}
}

func create(tb testing.TB, s *Service, n NewRequest) Request {
	tb.Helper()
	r, err := s.Create(tb.Context(), n)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// keyOf is the key in an id.
func keyOf(tb testing.TB, id string) key {
	tb.Helper()
	k, ok := parseID(id)
	if !ok {
		tb.Fatalf("%q is no id", id)
	}
	return k
}

// errCrash is that of an instance that stops.
var errCrash = errors.New("crash")

// crashAt makes an instance stop when it has made a step for the nth time.
func crashAt(s *Service, step string, n int) {
	var mu sync.Mutex
	dead := false
	s.at = func(made string) error {
		mu.Lock()
		defer mu.Unlock()
		if made == step {
			n--
		}
		if dead = dead || n <= 0; dead {
			return errCrash
		}
		return nil
	}
}

// stored is all rows of a table's columns, as text.
func stored(tb testing.TB, db *scylla.DB, columns, table string) map[string]int {
	tb.Helper()
	rows := db.Session.Query("SELECT " + columns + " FROM " + table).Iter()
	out := make(map[string]int)
	for {
		row := make(map[string]any)
		if !rows.MapScan(row) {
			break
		}
		out[fmt.Sprint(row)]++ // maps are printed in the order of their keys
	}
	if err := rows.Close(); err != nil {
		tb.Fatal(err)
	}
	return out
}

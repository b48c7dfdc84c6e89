package ledger

import (
	"context"
	"errors"
	"math/big"
	"os"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// openDB opens a session on an empty keyspace.
func openDB(tb testing.TB) *scylla.DB {
	tb.Helper()
	server := cqltest.Start(tb)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(tb)
	db, err := keyspace.Open(tb.Context(), conf, nil)
	must(tb, err)
	tb.Cleanup(db.Close)
	return db
}

func openStore(tb testing.TB) *Store {
	tb.Helper()
	return New(tb.Context(), openDB(tb))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// fact is one with an ID that begins with a byte.
func fact(owner, request string, id byte, at int64, bytes *big.Int, pins int64) claim.Fact {
	return claim.Fact{
		Delta: usage.Delta{ID: [32]byte{id, 1}, At: at, Bytes: bytes, Pins: pins}, Kind: claim.KindStart, Owner: owner, RequestID: request, Cid: "cid of " + request,
	}
}

var errLost = errors.New("the answer was lost")

// lossy is a database that works and loses the answers of the next conditional updates.
type lossy struct {
	*scylla.DB
	mu   sync.Mutex
	lose int
}

func (l *lossy) CAS(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
	applied, now, err := l.DB.CAS(ctx, s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose > 0 && err == nil {
		l.lose--
		return false, nil, errLost
	}
	return applied, now, err
}

// cut is a database that fails all writes after some.
type cut struct {
	*scylla.DB
	mu   sync.Mutex
	left int
}

func (c *cut) WriteAll(ctx context.Context, all []scylla.Statement) error {
	c.mu.Lock()
	c.left--
	dead := c.left < 0
	c.mu.Unlock()
	if dead {
		return errLost
	}
	return c.DB.WriteAll(ctx, all)
}

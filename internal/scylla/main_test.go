package scylla

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// testConfig is the configuration of a session on a keyspace of its own.
func testConfig(tb testing.TB) Config {
	tb.Helper()
	server := cqltest.Start(tb)
	return Config{
		Section: "state.scylla",
		Hosts:   server.Hosts(), Port: server.Port(), Keyspace: server.Keyspace(tb), CreateKeyspace: true,
		RequestTimeout: 10 * time.Second, ConnectTimeout: 30 * time.Second,
	}
}

func noSetup(context.Context, *DB) error { return nil }

func openDB(tb testing.TB, conf Config) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), conf, noSetup)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// change makes one change of the schema.
func change(tb testing.TB, db *DB, statement string) {
	tb.Helper()
	c, err := db.conf.survey(tb.Context(), ddlTimeout)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.close()
	if err := db.ddl(tb.Context(), c, statement); err != nil {
		tb.Fatal(err)
	}
}

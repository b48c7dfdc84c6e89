package scyllastate

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// config of a store in a keyspace of its own.
func testConfig(tb testing.TB) *Config {
	tb.Helper()
	return configOn(tb, cqltest.Start(tb))
}

func configOn(tb testing.TB, server *cqltest.Server) *Config {
	tb.Helper()
	conf := &Config{}
	if err := conf.Default(); err != nil {
		tb.Fatal(err)
	}
	conf.Secret = []byte("the secret of the cluster under test")
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Keyspace(tb)
	return conf
}

// openStore opens a store on the keyspace of conf and closes it with the test.
func openStore(tb testing.TB, conf *Config) *Store {
	tb.Helper()
	return openLimited(tb, conf, production())
}

// openQuick opens a store whose feed settles within half a second.
func openQuick(tb testing.TB, conf *Config) *Store {
	tb.Helper()
	return openLimited(tb, conf, limits{writeDeadline: 200 * time.Millisecond, clockSkew: 100 * time.Millisecond})
}

func openLimited(tb testing.TB, conf *Config, lim limits) *Store {
	tb.Helper()
	s, err := open(context.Background(), conf, options{limits: lim, schema: schema.Files})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// newTestStore opens a store on a keyspace of its own.
func newTestStore(tb testing.TB) *Store {
	tb.Helper()
	return openStore(tb, testConfig(tb))
}

// waitFor polls until the condition holds.
func waitFor(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

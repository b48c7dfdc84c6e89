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

// testConfig is the configuration of a store on an empty keyspace, whose tables
// may be there already.
func testConfig(tb testing.TB) *Config {
	tb.Helper()
	server := cqltest.Start(tb)
	return configOn(tb, server, server.Emptied(tb))
}

// freshConfig is that of a store on a keyspace which does not exist yet, for tests
// that change tables, or watch them being made.
func freshConfig(tb testing.TB) *Config {
	tb.Helper()
	server := cqltest.Start(tb)
	return configOn(tb, server, server.Keyspace(tb))
}

func configOn(tb testing.TB, server *cqltest.Server, keyspace string) *Config {
	tb.Helper()
	conf := &Config{}
	if err := conf.Default(); err != nil {
		tb.Fatal(err)
	}
	conf.Secret = []byte("the secret of the cluster under test")
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), keyspace
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

// newTestStore opens a store on an empty keyspace.
func newTestStore(tb testing.TB) *Store {
	tb.Helper()
	return openStore(tb, testConfig(tb))
}

// waitFor is cqltest.WaitFor.
func waitFor(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	cqltest.WaitFor(tb, what, cond)
}

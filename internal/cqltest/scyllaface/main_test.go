package scyllaface_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// The tests here put up faces of their own.
func TestMain(m *testing.M) {
	if err := os.Unsetenv("CQL_FACE"); err != nil {
		panic(err)
	}
	os.Exit(cqltest.Main(m))
}

// start puts a face before the shared Cassandra.
func start(t *testing.T, opts scyllaface.Options) (*scyllaface.Face, *cqltest.Server) {
	t.Helper()
	server := cqltest.Start(t)
	opts.Name, opts.Nodes, opts.Port = server.Name(), server.Hosts(), server.Port()
	face, err := scyllaface.Reserve(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := face.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := face.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	return face, server
}

// config is a driver's that is told as little as possible.
func config(face *scyllaface.Face) *gocql.ClusterConfig {
	cfg := gocql.NewCluster(face.Hosts()...)
	cfg.Port = face.Port()
	cfg.ProtoVersion = 4
	cfg.Timeout = 20 * time.Second
	cfg.ConnectTimeout = 10 * time.Second
	cfg.ReconnectInterval = time.Second
	cfg.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	cfg.RetryPolicy = &gocql.SimpleRetryPolicy{NumRetries: 0} // the tests count requests
	cfg.Logger = quiet{}
	return cfg
}

func connect(t *testing.T, cfg *gocql.ClusterConfig) *gocql.Session {
	t.Helper()
	session, err := cfg.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

func run(t *testing.T, session *gocql.Session, statement string, values ...any) {
	t.Helper()
	if err := session.Query(statement, values...).Exec(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// table makes a keyspace and a table in it, as for ScyllaDB.
func table(t *testing.T, session *gocql.Session, server *cqltest.Server) string {
	t.Helper()
	keyspace := server.Keyspace(t)
	run(t, session, "CREATE KEYSPACE "+keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1} AND tablets = {'enabled': true}")
	run(t, session, "CREATE TABLE "+keyspace+".t (k int PRIMARY KEY, v int)")
	return keyspace + ".t"
}

// quiet drops what the driver logs about the faults of the tests.
type quiet struct{}

func (quiet) Print(...any)          {}
func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// code is the CQL error code of err, for messages.
func code(err error) string {
	var coded interface{ GetCode() int }
	if errors.As(err, &coded) {
		return fmt.Sprintf("%#04x", coded.GetCode())
	}
	return fmt.Sprintf("no code: %v", err)
}

// show formats what Scan stored.
func show(v any) string { return fmt.Sprint(reflect.ValueOf(v).Elem().Interface()) }

package cqltest

import (
	"context"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// Own is a Cassandra of one test. It ignores CQL_HOSTS and Docker: the test
// wants something of it that a shared server cannot give. With authentication
// on, Session and Keyspace log in as engine.Superuser. Methods that talk to
// the server need Run first.
type Own struct {
	Server
	cluster *engine.CassandraCluster
}

// Reserve takes the addresses of a Cassandra that Run starts later, if at
// all. They are given back when the test ends. With CQL_FACE=scylla they are
// those of a face before it.
func Reserve(tb testing.TB, opts engine.Options) *Own {
	tb.Helper()
	wanted, err := faceWanted()
	if err != nil {
		tb.Fatal(err)
	}
	o := reserve(tb, opts)
	if wanted {
		o.reserveFace(tb, scyllaface.Options{})
	}
	return o
}

func reserve(tb testing.TB, opts engine.Options) *Own {
	tb.Helper()
	cluster, err := engine.Reserve(opts)
	if err != nil {
		Unavailable(tb, err)
	}
	tb.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return &Own{
		Server:  Server{name: cluster.Name(), hosts: cluster.Hosts(), port: cluster.Port(), auth: opts.Auth},
		cluster: cluster,
	}
}

// Run starts the reserved server and returns when it answers.
func (o *Own) Run(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), engine.StartTimeout)
	defer cancel()
	if err := o.cluster.Start(ctx); err != nil {
		Unavailable(tb, err)
	}
	if o.face == nil {
		return
	}
	if err := o.face.Listen(ctx); err != nil {
		tb.Fatal(err)
	}
}

// Cluster gives the processes, to freeze, resume, kill and restart nodes.
func (o *Own) Cluster() *engine.CassandraCluster { return o.cluster }

// Move starts all nodes at other addresses, see engine.CassandraCluster.Move.
// Hosts, Session and Keyspace go there from then on.
func (o *Own) Move(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), engine.StartTimeout)
	defer cancel()
	if err := o.cluster.Move(ctx); err != nil {
		tb.Fatal(err)
	}
	o.hosts = o.cluster.Hosts()
}

// StartOwn is Reserve and Run at once.
func StartOwn(tb testing.TB, opts engine.Options) *Own {
	tb.Helper()
	o := Reserve(tb, opts)
	o.Run(tb)
	return o
}

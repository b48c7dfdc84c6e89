// Package keyspace is the gateway's own keyspace: its name and the files of the schema. Package
// cqlsection opens it. The rooms that own tables have their statements.
package keyspace

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// DefaultKeyspace is the name of the keyspace unless told otherwise.
const DefaultKeyspace = "pin_gateway"

// Default returns the configuration of a database on this machine.
func Default() cqlsection.Config { return cqlsection.Default(DefaultKeyspace) }

// Open opens the keyspace and makes or checks the tables, see cqlsection.Program.
func Open(ctx context.Context, conf cqlsection.Config, metrics *scylla.Metrics) (*scylla.DB, error) {
	return program().Open(ctx, conf, metrics)
}

func program() cqlsection.Program {
	return cqlsection.Program{Name: "gateway", Files: schema.Files, First: firstUpdates()}
}

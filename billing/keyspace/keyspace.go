// Package keyspace is the keyspace of billing: its name and the files of the schema, for the
// tables of all its rooms. Package cqlsection opens it. The rooms that own tables have their
// statements.
package keyspace

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// DefaultKeyspace is the name of the keyspace unless told otherwise.
const DefaultKeyspace = "pin_billing"

// Default returns the configuration of a database on this machine.
func Default() cqlsection.Config { return cqlsection.Default(DefaultKeyspace) }

// Open opens the keyspace and makes or checks the tables, see cqlsection.Program.
func Open(ctx context.Context, conf cqlsection.Config, metrics *scylla.Metrics) (*scylla.DB, error) {
	return program().Open(ctx, conf, metrics)
}

func program() cqlsection.Program {
	return cqlsection.Program{Name: "billing service", Files: schema.Files, First: firstUpdates()}
}

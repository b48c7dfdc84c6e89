package scyllastate

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// Serving returns nil while the database serves requests, and else since when it does not.
// It asks nobody.
func (s *Store) Serving() error { return s.db.Serving() }

// CheckSchema reads the schema of the keyspace. It returns an error if that is not one that
// this binary can work with, as after an upgrade of the others that refuses it.
func (s *Store) CheckSchema(ctx context.Context) error {
	return prepareSchema(ctx, s.db, SchemaVerify, schema.Files)
}

// Inventory reads what the keyspace has, for people who look for a mistake.
func (s *Store) Inventory(ctx context.Context) (scylla.Inventory, error) { return s.db.Inventory(ctx) }

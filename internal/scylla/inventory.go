package scylla

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gocql/gocql"
)

const (
	selectTables  = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"
	inventoryPage = 1000
)

// Inventory is what a keyspace has, for people.
type Inventory struct {
	Engine   string   `json:"engine"`
	Keyspace string   `json:"keyspace"`
	LocalDC  string   `json:"local_dc"`
	Nodes    []string `json:"nodes"` // address, data centre and rack
	Schema   []string `json:"schema_files"`
	Tables   []string `json:"tables"`
}

// Inventory reads it. It changes nothing.
func (db *DB) Inventory(ctx context.Context) (Inventory, error) {
	inv := Inventory{Engine: fmt.Sprint(db.Dialect), Keyspace: db.Keyspace, LocalDC: db.LocalDC}
	for _, n := range db.nodes {
		inv.Nodes = append(inv.Nodes, fmt.Sprintf("%s (%s, %s)", n.addr, n.dc, n.rack))
	}
	slices.Sort(inv.Nodes)
	done, err := db.history(ctx)
	if err != nil {
		return inv, err
	}
	for _, version := range slices.Sorted(maps.Keys(done)) {
		inv.Schema = append(inv.Schema, done[version].name)
	}
	rows := db.Rows(ctx, gocql.One, inventoryPage, Bind(selectTables, db.Keyspace))
	var name string
	for rows.Next(&name) {
		inv.Tables = append(inv.Tables, name)
	}
	if err := rows.Close(); err != nil {
		return inv, fmt.Errorf("listing the tables: %w", err)
	}
	slices.Sort(inv.Tables)
	return inv, nil
}

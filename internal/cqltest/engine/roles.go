package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gocql/gocql"
)

// mostRoleReplicas in a data centre are as many as Cassandra recommends at least.
const mostRoleReplicas = 3

// replicateRoles gives every data centre replicas of the roles. A cluster begins
// with one in all: while its node is down, or in another data centre, nobody can
// log in.
func (c *CassandraCluster) replicateRoles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	err := insist(ctx, c.nodes[0].process.Exited(), func() error { return c.tryReplicateRoles(ctx) })
	if err != nil {
		return fmt.Errorf("replicate the roles of Cassandra: %w; the end of the log of %s:\n%s", err, c.nodes[0].addr, c.nodes[0].tail())
	}
	return nil
}

func (c *CassandraCluster) tryReplicateRoles(ctx context.Context) error {
	s, err := c.nodes[0].config().CreateSession()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer s.Close()
	if err := s.Query(c.rolesReplication()).WithContext(ctx).Exec(); err != nil {
		return fmt.Errorf("alter keyspace: %w", err)
	}
	// Cassandra recommends a repair next. A read of all replicas repairs what it
	// reads, and the tables are small.
	var table string
	var tables []string
	rows := s.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system_auth'").WithContext(ctx).Iter()
	for rows.Scan(&table) {
		tables = append(tables, table)
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, table := range tables {
		if err := s.Query("SELECT * FROM system_auth." + table).Consistency(gocql.All).WithContext(ctx).Iter().Close(); err != nil {
			return fmt.Errorf("repair table %s: %w", table, err)
		}
	}
	return nil
}

func (c *CassandraCluster) rolesReplication() string {
	replicas := make(map[string]int)
	for _, n := range c.nodes {
		replicas[n.dc] = min(replicas[n.dc]+1, mostRoleReplicas)
	}
	text := "ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy'"
	for _, dc := range slices.Sorted(maps.Keys(replicas)) {
		text += fmt.Sprintf(", '%s': %d", dc, replicas[dc])
	}
	return text + "}"
}

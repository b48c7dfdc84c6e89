package scylla

import (
	"fmt"
	"sort"
	"strings"

	"github.com/google/uuid"
)

// Engine is the database that answers.
type Engine string

// The supported engines.
const (
	ScyllaDB  Engine = "ScyllaDB"
	Cassandra Engine = "Apache Cassandra"
)

// Dialect holds everything in which the engines differ. It is chosen by what
// the server says of itself, never by configuration.
type Dialect struct {
	// Engine and Version as the server reports them.
	Engine  Engine
	Version string
}

func (d Dialect) String() string { return string(d.Engine) + " " + d.Version }

// TableID returns the option that fixes the identifier of a table, or "". It is
// made from the names, so that two daemons that create one table at the same
// moment on two nodes make the same table. ScyllaDB serializes schema changes
// itself and refuses the option.
func (d Dialect) TableID(keyspace, table string) string {
	if d.Engine == ScyllaDB {
		return ""
	}
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/ipfs-cluster/ipfs-cluster-scylla"))
	return " AND id = " + uuid.NewSHA1(space, []byte(keyspace+"."+table)).String()
}

// Options replaces the placeholders of a schema file: ${point} stands for the
// options of a table read by key, ${feed} for those of a table of rows that
// are written in time order and expire.
func (d Dialect) Options(statement string) string {
	point := "compaction = {'class': 'UnifiedCompactionStrategy'} AND compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}"
	if d.Engine == ScyllaDB {
		point = "compaction = {'class': 'IncrementalCompactionStrategy'} AND compression = {'sstable_compression': 'LZ4Compressor'}"
	}
	feed := "compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS', 'compaction_window_size': '12'} AND gc_grace_seconds = 86400"
	return strings.NewReplacer("${point}", point, "${feed}", feed).Replace(statement)
}

// CreateKeyspace returns the statement that makes the keyspace with so many
// replicas in each data centre.
func (d Dialect) CreateKeyspace(keyspace string, replicas map[string]int) string {
	dcs := make([]string, 0, len(replicas))
	for dc := range replicas {
		dcs = append(dcs, dc)
	}
	sort.Strings(dcs)
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy'", keyspace)
	for _, dc := range dcs {
		fmt.Fprintf(&b, ", '%s': %d", strings.ReplaceAll(dc, "'", "''"), replicas[dc])
	}
	b.WriteString("} AND durable_writes = true")
	if d.Engine == ScyllaDB && !d.lwtOnTablets() {
		b.WriteString(" AND tablets = {'enabled': false}")
	}
	return b.String()
}

// hasTablets tells whether new keyspaces get tablets unless told otherwise.
func (d Dialect) hasTablets() bool { return d.atLeast(2025, 1) }

// lwtOnTablets tells whether conditional updates work on tables with tablets.
func (d Dialect) lwtOnTablets() bool { return d.atLeast(2025, 4) }

func (d Dialect) atLeast(major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(d.Version, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

// Scan is appended to a SELECT that reads a whole range of the ring.
func (d Dialect) Scan() string {
	if d.Engine == ScyllaDB {
		return " BYPASS CACHE"
	}
	return ""
}

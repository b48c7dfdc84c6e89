package scylla

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

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
	Engine Engine
	// Version is what the server reports. It is empty on ScyllaDB when the role
	// may not read it.
	Version string
	// Tablets tells whether new keyspaces get tablets unless told otherwise,
	// and LWTOnTablets whether conditional updates work on them (ScyllaDB).
	Tablets, LWTOnTablets bool
}

// dialectOf tells the engine by the row of system.local: ScyllaDB lists its
// features there, which every role may read.
func dialectOf(local map[string]any) Dialect {
	text, scylla := local["supported_features"].(string)
	if !scylla {
		version, _ := local["release_version"].(string)
		return Dialect{Engine: Cassandra, Version: version}
	}
	features := strings.Split(text, ",")
	return Dialect{
		Engine:       ScyllaDB,
		Tablets:      slices.Contains(features, "TABLETS"),
		LWTOnTablets: slices.Contains(features, "LWT_WITH_TABLETS"),
	}
}

func (d Dialect) String() string {
	switch {
	case d.Version != "":
		return string(d.Engine) + " " + d.Version
	case d.LWTOnTablets:
		return string(d.Engine) + " 2025.4 or newer"
	default:
		return string(d.Engine) + " older than 2025.4"
	}
}

// supported returns an error for a server that is too old.
func (d Dialect) supported() error {
	if d.Engine == ScyllaDB && !d.Tablets {
		return &PermanentError{Text: fmt.Sprintf("this is %s: use 2025.4 or newer (2025.1 works on keyspaces without tablets)", d)}
	}
	return nil
}

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
// options of a table read by key, ${expiring} for those of rows that expire and
// do no harm where one comes back, ${feed} for those of such rows that are
// written in time order, never changed or deleted.
//
// ScyllaDB keeps its own default of compression, whose dictionaries suit rows
// that repeat peer IDs. With tablets it keeps what has expired until a repair
// has seen it (tombstone_gc), which rows that may come back need not wait for.
func (d Dialect) Options(statement string) string {
	point := "compaction = {'class': 'UnifiedCompactionStrategy'} AND compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}"
	expiring := "gc_grace_seconds = 86400"
	if d.Engine == ScyllaDB {
		point = "compaction = {'class': 'IncrementalCompactionStrategy'}"
		expiring += " AND tombstone_gc = {'mode': 'immediate'}"
	}
	feed := "compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS', 'compaction_window_size': '12'} AND " + expiring
	return strings.NewReplacer("${point}", point, "${expiring}", expiring, "${feed}", feed).Replace(statement)
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
	if d.Engine == ScyllaDB && !d.LWTOnTablets {
		b.WriteString(" AND tablets = {'enabled': false}")
	}
	return b.String()
}

// selectCommitLogSync asks a node for its own commitlog_sync.
func (d Dialect) selectCommitLogSync() string {
	return "SELECT value FROM " + d.settings() + " WHERE name = 'commitlog_sync'"
}

// settings is the table in which a node shows its own settings.
func (d Dialect) settings() string {
	if d.Engine == ScyllaDB {
		return "system.config"
	}
	return "system_views.settings"
}

// settingsGrant lets a role read the settings: neither engine does by itself.
func (d Dialect) settingsGrant(role string) string {
	return "GRANT SELECT ON " + d.settings() + " TO " + quoteRole(role) + ";"
}

// commitLogSync reads the answer: the mode, and whether with it a write is on disk
// before it is acknowledged.
func (d Dialect) commitLogSync(value string) (mode string, synced bool, err error) {
	mode = value
	if d.Engine == ScyllaDB { // it shows its settings as JSON
		if err := json.Unmarshal([]byte(value), &mode); err != nil {
			return "", false, fmt.Errorf("%q is not a JSON string: %w", value, err)
		}
	}
	switch {
	case mode == "batch", mode == "group" && d.Engine == Cassandra:
		return mode, true, nil
	case mode == "periodic":
		return mode, false, nil
	}
	return "", false, fmt.Errorf("the mode %q is not known here", mode)
}

// syncAdvice says how a node is made to write first and acknowledge then.
func (d Dialect) syncAdvice() string {
	if d.Engine == ScyllaDB {
		return "set commitlog_sync: batch in scylla.yaml of every node and restart them one by one"
	}
	return "set commitlog_sync: batch, without commitlog_sync_period, in cassandra.yaml of every node and restart them one by one"
}

// SyncsConditional reports whether conditional updates are on disk before they are
// acknowledged in any mode of the commit log. So it is with ScyllaDB by its sources
// (paxos_state::learn forces it), which were read and not run.
func (d Dialect) SyncsConditional() bool { return d.Engine == ScyllaDB }

// Scan is appended to a SELECT that reads a piece of the ring. limit is how long
// its sender waits: the server need not work on.
func (d Dialect) Scan(limit time.Duration) string {
	if d.Engine == ScyllaDB {
		return fmt.Sprintf(" BYPASS CACHE USING TIMEOUT %ds", int(limit.Seconds()))
	}
	return ""
}

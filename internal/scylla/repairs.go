package scylla

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

// The values of tombstone_gc. Apache Cassandra has no such option and does what
// ScyllaDB calls GCTimeout.
const (
	// GCTimeout drops what was removed after gc_grace_seconds.
	GCTimeout = "timeout"
	// GCRepair drops it when a repair has seen it.
	GCRepair = "repair"
	// GCImmediate drops it at once.
	GCImmediate = "immediate"
	// GCDisabled keeps it.
	GCDisabled = "disabled"
)

// Repairs is what the database tells of how long it keeps what was removed from the
// tables of the keyspace, and of their repair.
type Repairs struct {
	// Made is when the first schema file was applied, zero when that is not known.
	Made   time.Time
	Tables []TableRepair
	// Unknown says why the history of repairs is not known. It is nil when it is.
	Unknown error
}

// TableRepair is what Repairs tells of one table.
type TableRepair struct {
	Table string
	// GC is the mode, and Grace gc_grace_seconds, which counts with GCTimeout.
	GC    string
	Grace time.Duration
	// Repaired is when the repair began that was the last one of some part of the table, of
	// the part for which that is longest ago. It is zero when some part was not repaired
	// as far back as the history goes: 30 days on Apache Cassandra.
	Repaired time.Time
}

// The texts end in what differs between the engines. The history of Apache Cassandra
// can only be filtered: it has one partition for each repair.
const (
	selectGrace   = "SELECT id, gc_grace_seconds, extensions FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?"
	selectMade    = "SELECT applied FROM schema_history WHERE version = 1"
	selectRepairs = "SELECT columnfamily_names, started_at, successful_ranges, options FROM system_distributed.parent_repair_history WHERE keyspace_name = ? ALLOW FILTERING"
	selectTablets = "SELECT repair_time FROM system.tablets WHERE table_id = ?"
	// repairsPage is small: a row may have thousands of ranges.
	repairsPage = 100
)

// errNoTablets says that a table has no tablets: its repairs are in tables of each
// node of ScyllaDB.
var errNoTablets = errors.New("each node of ScyllaDB keeps its own history for tables without tablets")

// Replicas asks how many replicas there are of each row, in all data centres.
func (db *DB) Replicas(ctx context.Context) (int, error) {
	options, _, err := db.replication(ctx)
	if err != nil {
		return 0, err
	}
	all, err := replicasOf(options, db.nodes)
	if err != nil {
		return 0, fmt.Errorf("how many replicas the keyspace %s has is not understood: %w", db.Keyspace, err)
	}
	return all.total, nil
}

// Repairs asks for the given tables. Their history needs rights that a role may lack:
// that is told in the result, and is no error.
func (db *DB) Repairs(ctx context.Context, tables ...string) (Repairs, error) {
	var out Repairs
	if _, err := db.Read(ctx, gocql.One, Bind(selectMade), &out.Made); err != nil {
		return out, fmt.Errorf("asking for the age of the keyspace %s: %w", db.Keyspace, err)
	}
	ids := make([]gocql.UUID, len(tables))
	out.Tables = make([]TableRepair, len(tables))
	for i, table := range tables {
		var grace int
		var extensions map[string][]byte
		found, err := db.Read(ctx, gocql.One, Bind(selectGrace, db.Keyspace, table), &ids[i], &grace, &extensions)
		if err == nil && !found {
			err = errors.New("it is not there")
		}
		if err != nil {
			return out, fmt.Errorf("asking for the options of the table %s: %w", table, err)
		}
		out.Tables[i] = TableRepair{Table: table, GC: GCTimeout, Grace: time.Duration(grace) * time.Second}
		if mode, there := extensionMap(extensions["tombstone_gc"])["mode"]; there {
			out.Tables[i].GC = mode
		}
	}
	if db.Dialect.Engine == ScyllaDB {
		out.Unknown = db.repairedTablets(ctx, out.Tables, ids)
	} else {
		out.Unknown = db.repairedRanges(ctx, out.Tables)
	}
	return out, nil
}

// repairedRanges looks through the repairs of Apache Cassandra. Those count that have
// compared all replicas.
func (db *DB) repairedRanges(ctx context.Context, tables []TableRepair) error {
	// A scan: the log is not told that the database does not serve if the role may
	// not read this.
	rows := db.Scan(ctx, gocql.One, repairsPage, Bind(selectRepairs, db.Keyspace))
	var names, ranges []string
	var started time.Time
	var options map[string]string
	done := make(map[string][]repairedRange)
	for rows.Next(&names, &started, &ranges, &options) {
		if !partial(options) {
			for _, text := range ranges {
				for _, r := range parseRange(text, started) {
					for _, name := range names {
						done[name] = append(done[name], r)
					}
				}
			}
		}
		names, ranges, options = nil, nil, nil
	}
	if err := rows.Close(); err != nil {
		return db.unreadHistory("system_distributed.parent_repair_history", err)
	}
	for i := range tables {
		tables[i].Repaired = repairedSince(done[tables[i].Table])
	}
	return nil
}

// partial reports whether a repair with these options leaves replicas out, or data.
func partial(options map[string]string) bool {
	return options["forceRepair"] == "true" || options["pullRepair"] == "true" || options["paxosOnly"] == "true" ||
		options["dataCenters"] != "" || options["hosts"] != ""
}

// repairedTablets asks ScyllaDB when each tablet was repaired.
func (db *DB) repairedTablets(ctx context.Context, tables []TableRepair, ids []gocql.UUID) error {
	for i, id := range ids {
		rows := db.Scan(ctx, gocql.One, repairsPage, Bind(selectTablets, id))
		n, never := 0, false
		var oldest time.Time
		var at *time.Time
		for rows.Next(&at) {
			switch {
			case at == nil:
				never = true
			case n == 0 || at.Before(oldest):
				oldest = *at
			}
			n++
			at = nil
		}
		if err := rows.Close(); err != nil {
			return db.unreadHistory("system.tablets", err)
		}
		if n == 0 {
			return errNoTablets
		}
		if !never {
			tables[i].Repaired = oldest
		}
	}
	return nil
}

// unreadHistory is the error of a history that cannot be read.
func (db *DB) unreadHistory(table string, err error) error {
	if code, ok := Code(err); ok && code == gocql.ErrCodeUnauthorized && !rolesUnread(err) {
		role := db.conf.Username
		return fmt.Errorf("the role %s may not read it; a superuser allows it with: GRANT SELECT ON %s TO %s", role, table, quoteRole(role))
	}
	return fmt.Errorf("reading %s: %w", table, err)
}

// extensionMap decodes an option of a table that ScyllaDB keeps as a map of text: the
// number of entries, then each key and value behind its length, all little-endian.
// What it does not understand it leaves out.
func extensionMap(b []byte) map[string]string {
	out := make(map[string]string)
	number := func() (int, bool) {
		if len(b) < 4 {
			return 0, false
		}
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return int(n), true
	}
	text := func() (string, bool) {
		n, ok := number()
		if !ok || n > len(b) {
			return "", false
		}
		s := string(b[:n])
		b = b[n:]
		return s, true
	}
	n, _ := number()
	for range min(n, len(b)) {
		key, ok := text()
		if !ok {
			break
		}
		value, ok := text()
		if !ok {
			break
		}
		out[key] = value
	}
	return out
}

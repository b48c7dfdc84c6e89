package scyllaface

import (
	"fmt"
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
)

// systemTable is a table of ScyllaDB's that Cassandra does not have like this.
// It is read from another one.
type systemTable struct {
	from    string // the table of Cassandra
	columns []systemColumn
	// superuser says that other roles must not read it.
	superuser bool
}

// systemColumn is a column of a systemTable.
type systemColumn struct {
	name string
	// expression is what is selected instead, or "" for the column itself.
	expression string
	// address says that the values are replaced in the answer.
	address bool
}

// The release that ScyllaDB claims to be compatible with.
const releaseVersion = "(text)'3.0.8'"

// systemTable returns the table of that name. The columns are those that
// ScyllaDB 2025.4 and Cassandra 5.0 have, and what ScyllaDB has besides.
func (g grammar) systemTableOf(keyspace, table string) (systemTable, bool) {
	features := textLiteral(g.features)
	switch keyspace + "." + table {
	case "system.local":
		return systemTable{from: "system.local", columns: append(columns(
			"key bootstrapped cluster_name cql_version data_center gossip_generation host_id",
			"native_protocol_version partitioner rack schema_version tokens truncated_at"),
			systemColumn{name: "broadcast_address", address: true},
			systemColumn{name: "listen_address", address: true},
			systemColumn{name: "rpc_address", address: true},
			systemColumn{name: "release_version", expression: releaseVersion},
			systemColumn{name: "supported_features", expression: features},
		)}, true
	case "system.peers":
		return systemTable{from: "system.peers", columns: append(
			[]systemColumn{{name: "peer", address: true}},
			append(columns("data_center host_id rack schema_version tokens"),
				systemColumn{name: "preferred_ip", address: true},
				systemColumn{name: "rpc_address", address: true},
				systemColumn{name: "release_version", expression: releaseVersion},
				systemColumn{name: "supported_features", expression: features},
			)...)}, true
	case "system.versions":
		return systemTable{from: "system.local", superuser: true, columns: append(columns("key"),
			systemColumn{name: "build_id", expression: textLiteral("none")},
			systemColumn{name: "build_mode", expression: textLiteral("face")},
			systemColumn{name: "version", expression: textLiteral(g.version)},
		)}, true
	case "system.config": // its values are JSON
		return systemTable{from: "system_views.settings", superuser: true, columns: append(columns("name"),
			systemColumn{name: "source", expression: textLiteral("none")},
			systemColumn{name: "type", expression: textLiteral("string")},
			systemColumn{name: "value", expression: "to_json(value)"},
		)}, true
	case "system_schema.scylla_keyspaces":
		return systemTable{from: "system_schema.keyspaces", columns: append(columns("keyspace_name"),
			systemColumn{name: "initial_tablets", expression: "(int)0"}, // null in the answer if it has none
			systemColumn{name: "storage_options", expression: "(map<text, text>)null"},
			systemColumn{name: "storage_type", expression: "(text)null"},
		)}, true
	case "system_schema.scylla_tables":
		return systemTable{from: "system_schema.tables", columns: append(columns("keyspace_name table_name"),
			systemColumn{name: "cdc", expression: "(map<text, text>)null"},
			systemColumn{name: "in_memory", expression: "(boolean)null"},
			systemColumn{name: "partitioner", expression: "(text)null"},
			systemColumn{name: "version", expression: "id"},
		)}, true
	}
	return systemTable{}, false
}

// columns are those that pass as they are.
func columns(names ...string) []systemColumn {
	var out []systemColumn
	for _, name := range strings.Fields(strings.Join(names, " ")) {
		out = append(out, systemColumn{name: name})
	}
	return out
}

func textLiteral(s string) string { return "(text)'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (t systemTable) column(name string) (systemColumn, bool) {
	for _, c := range t.columns {
		if c.name == name {
			return c, true
		}
	}
	return systemColumn{}, false
}

// systemTable makes a SELECT from a system table of ScyllaDB one from
// Cassandra's.
func (s *source) systemTable(g grammar, end int) refusal {
	from := s.find(0, end, "FROM")
	if from < 0 {
		return nil
	}
	keyspace, name, next := s.tableName(from + 1)
	table, ok := g.systemTableOf(keyspace, name)
	switch {
	case ok:
	case keyspace == "system":
		return &message.Invalid{ErrorMessage: fmt.Sprintf("unconfigured table %s (the face shows local, peers, versions and config)", name)}
	case keyspace == "system_views", keyspace == "system_virtual_schema":
		return &message.Invalid{ErrorMessage: fmt.Sprintf("Keyspace %s does not exist", keyspace)}
	default:
		return nil
	}
	s.result.table, s.result.superuser = keyspace+"."+name, table.superuser
	s.replace(from+1, next, table.from+" /*"+s.result.table+"*/")
	for i := next; i < end; i++ {
		if c, ok := s.columnAt(table, i); ok && (c.address || c.expression != "") {
			return &message.Invalid{ErrorMessage: fmt.Sprintf("the face cannot select the rows of %s by %s", s.result.table, c.name)}
		}
	}
	if s.is(1, "JSON") && from > 2 && !s.is(2, ",") && !s.is(2, "AS") {
		return &message.Invalid{ErrorMessage: "the face cannot read " + s.result.table + " as JSON"}
	}
	if name == "scylla_keyspaces" {
		if r := s.oneKeyspace(next); r != nil {
			return r
		}
	}
	if from == 2 && s.is(1, "*") {
		var list []string
		for _, c := range table.columns {
			list = append(list, c.selector(c.name))
		}
		s.replace(1, 2, strings.Join(list, ", "))
		return nil
	}
	for i := 1; i < from; {
		j := s.find(i, from, ",")
		if j < 0 {
			j = from
		}
		if r := s.selector(table, i, j); r != nil {
			return r
		}
		i = j + 1
	}
	return nil
}

// oneKeyspace wants WHERE keyspace_name = at token i: whether a keyspace has
// tablets is not in Cassandra's tables but known to the face.
func (s *source) oneKeyspace(i int) refusal {
	if !s.is(i, "WHERE") || !s.is(i+1, "keyspace_name") || !s.is(i+2, "=") {
		return &message.Invalid{ErrorMessage: "the face reads scylla_keyspaces only WHERE keyspace_name = …"}
	}
	s.result.keyspace, _ = s.constant(i + 3)
	return nil
}

// columnAt returns the column that token i names, if it does.
func (s *source) columnAt(t systemTable, i int) (systemColumn, bool) {
	name, ok := s.name(i)
	if !ok {
		return systemColumn{}, false
	}
	return t.column(name)
}

// selector handles one of the things selected, the tokens from i up to j.
func (s *source) selector(t systemTable, i, j int) refusal {
	name, isName := s.name(i)
	if isName && (j == i+1 || j == i+3 && s.is(i+1, "AS")) {
		c, ok := t.column(name)
		if !ok {
			return &message.Invalid{ErrorMessage: "Unrecognized name " + name}
		}
		if j == i+1 {
			s.replace(i, j, c.selector(c.name))
		} else if c.expression != "" {
			s.replace(i, i+1, c.expression)
		}
		return nil
	}
	for ; i < j; i++ { // a function, whose column is named after its arguments
		if c, ok := s.columnAt(t, i); ok && (c.address || c.expression != "") {
			return &message.Invalid{ErrorMessage: fmt.Sprintf("the face cannot call a function with %s of %s", c.name, s.result.table)}
		}
	}
	return nil
}

func (c systemColumn) selector(as string) string {
	if c.expression == "" {
		return c.name
	}
	return c.expression + " AS " + as
}

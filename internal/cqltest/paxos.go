package cqltest

import "strings"

// IsPaxos reports whether a table is one that ScyllaDB makes beside each table with
// conditional updates. They are listed among the tables of the keyspace, and are
// nobody's to read or to empty.
func IsPaxos(table string) bool { return strings.HasSuffix(table, "$paxos") }

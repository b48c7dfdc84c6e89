// Package schema holds the CQL files of the keyspace of billing, in the order in which they
// are applied. A file that was released is never changed: a change is a new file.
package schema

import "embed"

// Files are the schema files, NNNN_what.cql.
//
//go:embed *.cql
var Files embed.FS

// Package scylla is how this project talks to a CQL cluster: it connects (and
// waits until it can), knows what differs between ScyllaDB and Apache
// Cassandra, decides what may be retried, says in one error what the server
// said, and applies a schema under a lease.
//
// It knows no table but its own two, leases and schema_history. The packages
// that own tables keep their statements and their schema files.
package scylla

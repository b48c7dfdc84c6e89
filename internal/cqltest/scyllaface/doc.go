// Package scyllaface puts a CQL proxy before Apache Cassandra that shows a
// driver what ScyllaDB would show it. What runs behind it is Cassandra and is
// called so everywhere: "Apache Cassandra … behind a ScyllaDB face".
//
// A [Face] has a [Node] for each node of Cassandra, at a loopback address of
// its own, with a CQL port and a shard-aware port. Requests and answers pass
// as they are, byte by byte, except for what follows.
//
//   - SUPPORTED names shards, partitioner, sharding algorithm, shard-aware port
//     and the LWT mark, and offers no compression, no tablets, no metadata IDs.
//     A connection to the shard-aware port belongs to the shard that is its
//     source port modulo the shards, one to the CQL port to the next in turn.
//   - The answer to PREPARE of a conditional statement carries the LWT mark if
//     the client asked for it in STARTUP.
//   - Rows of system.local and system.peers and the events name the addresses of
//     the face. The tables have ScyllaDB's columns; system.versions and config,
//     system_schema.scylla_keyspaces and scylla_tables can be read; the other
//     tables of system, peers_v2 among them, cannot. system.versions and config
//     are denied to roles that are not superusers. config has the settings of the
//     Cassandra, whatever ScyllaDB calls them.
//   - BYPASS CACHE and USING TIMEOUT are checked for their syntax and position
//     and become comments for Cassandra. Without the comments two statements
//     that differ in nothing else would be prepared under one identifier.
//   - The options of CREATE and ALTER TABLE and KEYSPACE are translated. One
//     that is not in options.go is refused. A table gets an identifier made
//     from its name, so that two that are created at once are one, as they
//     are where the servers serialize schema changes.
//   - Only protocol version 4 is spoken.
//
// Tests make a node hang, vanish, slow, cut answers, refuse connections and
// move to another address, and count what it was asked: see [Node].
//
// What the face cannot show, because Cassandra does the work: an applied
// conditional update returns only [applied], where ScyllaDB returns the old
// values of its conditions as well; there are no $paxos tables, tablets,
// tombstone_gc, shards with a load of their own, timeouts of statements or
// ScyllaDB's limits; system_schema shows the options that Cassandra was given;
// what only Cassandra's grammar has is not refused, but for options of tables;
// a node whose Cassandra is down accepts connections and closes them, where
// ScyllaDB's port would be closed.
package scyllaface

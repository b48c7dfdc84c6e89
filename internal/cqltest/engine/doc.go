// Package engine starts real CQL servers for tests and for the demo.
//
// [Start] picks one: the server that CQL_HOSTS names, else ScyllaDB in a
// container when a Docker daemon answers, else Apache Cassandra 5.0.9, whose
// jars come from Maven and which runs as child processes on JDK 17.
// [Reserve] gives a Cassandra of one's own whose address is known before it
// runs.
//
// The nodes of a Cassandra differ by loopback address and share the ports, so
// that clients need one port. A cluster takes the addresses 127.0.0.1 to N if
// their ports are free, else those of another block 127.0.K.1 to N. A block
// belongs to the process that holds the lock on its lock file below
// os.TempDir. The data directory belongs to the block: whoever gets the lock
// removes what an earlier owner left. Only data in [Options].Dir are kept.
//
// Nothing survives the process that started it. A JVM is killed by the kernel
// when its parent ends, a container by the reaper of testcontainers. After a
// kill -9 a data directory stays until the next start, which removes it.
//
// A write is on disk before it is acknowledged, unless [Options] say otherwise.
// The server that tests share is volatile: they change the schema all the time,
// and nobody wants what they leave.
//
// The ScyllaDB path needs Docker. It was compiled but never run where this
// package was written.
package engine

// Package cqltest gives tests a real CQL server.
//
// A package whose tests need one starts it on first use and stops it at the
// end:
//
//	func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		server := cqltest.Start(t)
//		keyspace := server.Emptied(t) // without rows; nobody else has it
//		…
//	}
//
// The server is the one that CQL_HOSTS names (a comma list of host or
// host:port), else ScyllaDB when a Docker daemon answers, else Apache
// Cassandra from Maven; see package engine. CQL_NODES (1 to 6) and CQL_DCS (1
// to 3) say how many nodes a Cassandra has. Where none can be had the test is
// skipped with the reason, or fails if CQL_REQUIRED=1.
//
// CQL_FACE=scylla puts a proxy before the Cassandra, also one of StartOwn,
// that shows the driver what ScyllaDB would show it; see package scyllaface.
// StartFace does so for one test, which may break the nodes.
package cqltest

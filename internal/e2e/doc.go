// Package e2e tests the programs as their users meet them: the real
// ipfs-cluster-service and the stock ipfs-cluster-ctl as processes, a real
// Kubo for each peer, and a real CQL server (see package cqltest).
//
// The tests build the programs, the service with the race detector. When
// E2E_BIN names a folder that holds ipfs-cluster-service, ipfs-cluster-ctl and
// ipfs (which is Kubo), they take those. TestCrashMatrix and TestEventsCrashMatrix
// always build a service of their own, with places in it at which it can be killed;
// they test a slice of their matrix unless TEST_LONG=1. So does TestGatewayTwoTenants for its
// slice: a gateway that looks for what a crash has left within seconds.
//
// Nothing listens outside loopback, all files are in folders of the tests, and
// no process outlives the test process.
package e2e

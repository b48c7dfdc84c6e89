// Package multipeer has tests of several peers that share a pinset: upstream's
// Cluster over the components of package peer, in one process, with upstream's
// mock in place of IPFS, on a real database. Each peer reaches the database and
// its IPFS daemon over a proxy of its own, which the tests count at, hold up and
// cut.
//
// With TEST_LONG=1 the tests that depend on sizes and times use large ones.
package multipeer

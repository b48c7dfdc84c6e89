// Package upstream makes ipfs-cluster itself use our store and consensus, for
// tests: it copies upstream's module out of the module cache, applies the patch
// of contrib as the README there says, and builds the copy.
//
// The tests of this package run upstream's own test suites on a real CQL
// server. docs/upstream-tests.md is the list of upstream's tests: one that is
// not in it fails the run, and so does one that is in it and not in upstream.
package upstream

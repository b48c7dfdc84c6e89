// Package status answers what all peers of a cluster do with pins.
//
// Upstream's cluster asks every peer, dead ones too, keeps the answers about all pins
// in one map, and returns what it got when peers fail: nothing, if all did. Its APIs
// reach it by an RPC client. A Service stands between them: a client that it makes
// answers such questions itself, and hands everything else on.
//
// An answer is complete or an error: a peer that does not answer has an entry that
// says so, for each pin that is allocated to it.
package status

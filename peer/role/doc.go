// Package role says what a peer is for, and has the parts of a peer that has no
// IPFS daemon of its own: an API peer.
//
// Upstream's peer cannot run without an IPFS connector, a pin tracker and an
// informer. Those of an API peer hold nothing: its tracker says that every pin
// is elsewhere, its informer publishes no metric, so that no pin is given to it, and
// its connector asks a peer that has a daemon.
package role

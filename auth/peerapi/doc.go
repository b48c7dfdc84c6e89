// Package peerapi asks the peers of a cluster through ipfs-cluster's REST API (v1.1.6):
// to pin, to unpin, and what they have and do. It also sends them requests of clients
// that somebody else has decided about (Forward).
//
// What is promised: an answer is whole or an error, never a shorter one: a stream that
// breaks off or says so in its trailer, and one that leaves out a CID that was asked
// for, are errors. One call waits no longer than its context, and a peer that hangs does
// not use up the time of the others. Whatever a peer sends, no more of it is kept than
// the limits of this package.
//
// With several URLs the first that works is asked. When a peer does not answer, or says
// that it cannot (5xx), the next is asked the same: all that is asked here may be asked
// twice. A peer that did not answer is asked last for the next seconds. So a late
// request may be carried out after a newer one: who pins and unpins the same CID must
// look again afterwards.
//
// What an attacker cannot do: send the peer a path, a parameter or a header of their own
// (a CID is parsed and written anew, parameters are those of a list); receive the
// gateway's credentials, or the peer's headers; have an answer of the peer that the
// gateway's own password is wrong taken for one about theirs; or lead the gateway
// elsewhere by a redirection or by the proxy settings of its environment.
//
// A Client may be used by any number of goroutines at once.
package peerapi

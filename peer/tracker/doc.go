// Package tracker is the pin tracker of a peer: it knows what the peer does with
// each CID, lets IPFS do it, and writes what came of it to the peer's placements.
//
// Work comes from the peer's feed, from the rows that a process before has left
// unfinished, and from people who ask for a recovery. There is at most one op for a
// CID, whatever it comes from; a later revision of the pin changes what the op
// does. Work that ends within seconds costs one row. Until there is one the change
// that brought it stays open: its feed delivers it again after a stop.
//
// IPFS is asked for a pin only when it will be known after a stop what is to be undone:
// by a row that names the depth, or by the open change that has made a recursive pin.
// So nothing is left behind that the cluster has pinned, and nothing is unpinned that
// it has not. ADR 0016 has the rules, claim.go the code, TestKilled the proof.
//
// What the tracker says of a pin rests on the pinset, on IPFS and on the rows, not
// on whether the feed has told of it.
package tracker

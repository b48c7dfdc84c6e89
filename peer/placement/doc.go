// Package placement brings the IPFS daemon of one peer in line with the pinset,
// and keeps in the database what the peer holds or works on.
//
// A Ledger stands between three parts: the feed tells it what to do, it tells
// the pin tracker, and the IPFS connector tells it what came of that. The row
// of a CID is durable before the tracker is told, and shows an end only when
// IPFS has confirmed it. What is not at an end is done again: after a restart,
// and from time to time.
package placement

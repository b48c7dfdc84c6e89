// Package sli measures the service level of pins: how many were pinned within Deadline of
// when they were accepted.
//
// An event is one revision of a pin at one of its holders. It begins when the pin is
// accepted, which its revision tells, and ends when it is noted durably that the holder's
// IPFS daemon has it pinned. Each event comes to one result:
//
//   - good: it was pinned within Deadline.
//   - late: it was not. It is counted when Deadline is over, not when the pin ends, so that
//     pins that hang are seen as well. What is pinned after that is in the histogram of
//     latencies, and is not counted again.
//   - cancelled: it was unpinned, replaced by a later revision, or given to others before
//     Deadline. It says nothing of the service level.
//
// A Holder counts for the peer that it is in. An Acceptor counts for holders that are dead
// when Deadline is over, and so cannot: it is in the peer that has accepted the pin. A Canary
// pins something of its own now and then, so that there is a pin to measure.
//
// In one process an event is counted once. A process that starts counts as late what it
// finds unfinished whose Deadline passed while nobody counted, as far as it can tell: such an
// event may be counted twice, by two processes, but it is not left out. Only the counters of
// a process that ends before they are read are lost, and what an Acceptor knew when its
// process ends.
package sli

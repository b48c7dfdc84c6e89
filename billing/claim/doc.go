// Package claim says what a claim is billed for: it makes facts of what the gateway tells of
// it, which package usage adds up. It has no state and does no I/O.
//
// # Facts
//
// An event of a claim tells its whole state (package events), not a difference. A Fact is a
// difference: a usage.Delta, with who it is billed to and why. A claim that holds size bytes
// in a number of copies from T0 to T1 has at most four, each with an ID of its own:
//
//	start  +1 pin                at T0
//	size   +size · copies bytes  at T0, if the size is known
//	stop   −1 pin                at T1, if it has ended
//	free   −size · copies bytes  at T1, if it has ended and the size is known
//
// so that the area below the levels of its owner grows by (T1 − T0) pin·ms and by
// size · copies · (T1 − T0) byte·ms. T0 is when the claim was accepted, or when its content
// was first seen pinned, as the Policy says, and not before Policy.Since. T1 is when it was
// removed, and not before T0: what was given up before it began is billed for nothing. Bytes
// are those of the content times the copies asked for, not those that there are: that the
// cluster repairs or moves a copy is not billed.
//
// The ID of a fact is a hash of the owner, the request and the kind, and what it says follows
// from the state that was told. So it does not matter in what order the events of a claim
// come, how often each, or which are missing before the last: the facts of an earlier state are
// among those of a later one, and nothing has to be read before facts are written. An event that
// does not tell what an earlier one did, as the end of a claim without the size, is no whole
// state: its facts would leave the bytes behind. Who has events of both kinds makes facts
// of what they say together.
//
// On the wire a size of 0 is one that is not known. Such a claim is billed for its pin alone,
// and Unsized says so; its bytes are billed from T0 on when the size is told. Content of no
// bytes, as the empty block, cannot be told from it. It too is billed for its pin alone, which
// is right, and stays among the unsized.
//
// # What is refused
//
// A claim that cannot be what it says is refused with a *RefusedError, for a human to look
// at: it is neither billed nor forgotten. What cannot be a mistake of one claim alone, as a
// Policy that is none, is another error. A claim without an owner is not refused but billed to
// Suspense, whose usage is counted and shown and for which there is no invoice. A claim of
// which all is well may still come too late, or from a clock that is ahead: Timely looks at
// facts that are new.
//
// # What is corrected
//
// What was billed by mistake is never edited. A Correction takes away what was billed and
// adds what is right, at the same millisecond, in facts whose IDs follow from that of the
// correction: made twice, it counts once. So also goes a claim to another owner.
//
// A claim that has a correction ends as it was told: free takes away the size that was told,
// stop the pin of its first owner. Its corrections must end with it, at T1 (Correction.Until):
// that gives back what they took and takes what they gave, and leaves nothing.
//
// What is passed in is not changed. All functions may be called by any number of goroutines
// at once.
package claim

// Package drift measures how far what a peer's IPFS daemon has pinned is from what the
// pinset says it is to hold. It believes no row: the pinset says what is desired, Kubo
// what there is. It repairs nothing: whoever is told of what it finds may.
//
// A sweep compares everything. It lists Kubo's pins once, and adds them up by bucket; it
// adds up what is desired in the same way, and where both are equal a bucket is as it
// should be. In each of the others Kubo is asked for one pin after another. So memory
// does not depend on the number of pins, and Kubo answers two lists and some questions.
//
// Between sweeps a sample is taken: Kubo is asked for some pins of random buckets, and
// from how many it lacks follows how large the drift may be.
//
// The tracker's own check, of one bucket after another in a day, asks Kubo for each pin and
// repairs what it finds. A sweep has its own walk for three reasons: it compares with a
// list of Kubo, which is true of one moment only; a measure that is taken where the repair
// is sees what that sees, and not what it misses; and what the check found in a day, and
// has repaired since, says nothing of now. It costs a read of the rows and of the pins of
// this peer in a day.
package drift

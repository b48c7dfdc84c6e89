// Package usage is the arithmetic of what is billed: how many bytes, and how many
// pins, were held for how long. It has no state and does no I/O.
//
// # What is counted
//
// What an owner holds is a level that changes by steps. A step is a Delta: at a
// millisecond of Unix time, more or fewer bytes, more or fewer pins. With L(t) for
// the level at t, a delta that is at t included,
//
//	L(t) = opening + Σ delta of all with At ≤ t
//
// the usage of a day from start to end = start + 86 400 000 is the area below L:
//
//	byte·ms = ∫ L(t) dt = opening · 86 400 000 + Σ delta · (end − At)
//	closing = opening + Σ delta
//
// The second form is what Fold works out. It follows from the first as the integral is
// linear: the level is the sum of its steps, and a step of height delta that goes on
// until the end of the day has the area delta · (end − At). What is taken away is a
// step of negative height. It is exact: times are whole milliseconds and heights whole
// bytes, so nothing is rounded, and every day has 86 400 000 of them, as Unix time
// has no leap seconds (POSIX.1-2017, base definitions, 4.16) and days are those of UTC.
//
// As it is a sum, the order of the deltas does not matter, nor how they came: a delta
// is counted once for its ID, however often it was written. Nothing has to be read
// before a delta is written.
//
// An int64 holds the byte·ms of 107 GB for a day and no more. One EiB for a day is
// 99612417998031578726400000, which takes 87 bits. All sums are big.Int.
//
// # What is promised
//
//   - The same opening and the same set of deltas give the same Day, with the same
//     Digest, in whatever order and however often each is there.
//   - The days of a stretch of time add up to the usage of that stretch. Days on which
//     nothing happened are among them, stored or not, and each opens with what the one
//     before it has closed with: Month refuses others.
//   - A day that was closed is never changed. What a recompute of it finds is an
//     Adjustment, and the closed day with its adjustments is what a recompute from
//     nothing gives. Adjusted refuses adjustments of which one is missing.
//   - Levels may go below zero, as when the end of something is known and its
//     beginning is not. They are billed as they are, never clamped, and Negative says
//     so: a clamp would bill what a late delta takes back.
//   - Two deltas with one ID that are not the same are ErrConflict. Neither is taken.
//
// What is passed in is not changed, and what is returned shares nothing with it. A
// *big.Int that is nil is zero. All functions may be called by any number of
// goroutines at once.
package usage

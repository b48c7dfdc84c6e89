// Package migrate brings pins from where an ipfs-cluster has kept them into a
// pinset, and proves afterwards that they are there. Where they come from is
// package migrate/source; what the pinset has to offer for it is in package
// state.
//
// # Bulk or conditional
//
// A pinset that no peer has used or written to is filled in bulk: plain rows,
// many at a time, without a condition. Their timestamps lie before those of any
// peer, so that whatever is written by a condition stays as it is. This needs a
// pinset that is not in use and holds no pin of anybody else.
//
// In all other cases each pin is written by compare-and-set, as a peer would do
// it. A pin that is there already and the same stays (it is counted as kept).
// For one that differs [Existing] decides. What a peer has removed since an
// earlier run comes back if the source still has it: a pinset in use does not
// remember what it had.
//
// A conditional write encodes the pin anew. A pin that an older version of
// ipfs-cluster has encoded in another way may then have other bytes, though it
// says the same; Verify counts these apart.
//
// # Runs
//
// A run reads the source from its beginning. Runs are numbered from 1, and the
// number is in the timestamp of every row that is written in bulk, with the
// number of the record below it: a later run wins over an earlier one, and a
// later record of a CID over an earlier one. Rows that are written again end as
// the same rows.
//
// Now and then a run stores its position, what it has counted, and its report so
// far. All that lies before the position is durable by then. If the run ends
// early, by whatever cause, the next Run goes on from the position with the same
// number, provided that the source has the same fingerprint and the same [Change]
// is made on the way. Otherwise it begins a new run. A source without a
// fingerprint, such as a cluster that is running, always begins anew. So does a
// source that was brought in completely: to run again then does no harm.
//
// A run that began in bulk goes on with conditional writes once a peer uses the
// pinset. A run that began with conditional writes never goes on in bulk: what it
// kept carries the number of an earlier run, and the sweep would remove it.
//
// # Pins that are too large
//
// A pin that has more than state.MaxPinBytes, as it would be stored, is not written.
// A run that would meet one is refused before its first write: to know that, it reads
// the source once before it copies. With Options.SkipTooLarge it does not, and leaves
// such pins out and counts them. A source that can be read only once is not looked
// through: there the run ends before the first window with such a pin.
//
// # Sweep
//
// Pins that have left the source between two runs are removed at the end of the
// second one, if it wrote in bulk: those rows of the migration that no later run
// has written again. A run that met a record it could not read, left a pin out, or
// met no pin at all removes nothing, since what it lacks may be the very pins that
// would go.
//
// # Duplicates
//
// A source may hold a CID twice, as exports that were put one behind the other
// do. The last one counts. With conditional writes that is certain only within
// one window of records, beyond it the second one meets the first like any other
// pin that is there already.
//
// # Verifying
//
// Verify reads both sides once and compares digests: the pinset is cut into a
// million buckets by key, each with the sum of the hashes of its pins. The order
// of reading plays no part in a sum, so neither side is sorted or kept. Only where
// sums differ are both sides read again, so many buckets at a time as fit into a
// fixed share of memory, and pin is compared with pin. A pin that is too large and
// not there counts as left out.
package migrate

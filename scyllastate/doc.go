// Package scyllastate keeps the pinset of an IPFS Cluster in ScyllaDB or
// Apache Cassandra.
//
// # Tables
//
// pins holds one row for each CID. Its column pin is the truth, the very bytes
// that upstream's dsstate stores; the other columns repeat parts of it for
// whoever reads the table. changes is the feed: for each peer, the CIDs that
// it must look at. cursors says how far each peer has come. schema/*.cql has
// the columns and why the keys are what they are.
//
// # Writing
//
// Every write goes through Store.Update. It knows the revision of the row,
// decides what the row becomes, appends a row to the feed of every peer that
// holds or will hold the pin, and then writes the pin with one conditional
// update (IF rev = the revision it knew). The feed rows come first: a writer
// that dies in between leaves feed rows that lead to nothing, never a pin that
// nobody is told about. When the condition fails somebody else was faster, and
// the decision is taken again for the row as it is now.
//
// A removed pin leaves a marker, a row with a revision and no pin, for
// unpin_grace. It keeps revisions growing over a removal, so that a writer that
// was stopped before the removal finds that its condition no longer holds. One
// that was stopped for half of unpin_grace reads the row again before it writes.
//
// A write that got no answer is repeated with the same revision until the
// outcome is known, or reported as state.ErrOutcomeUnknown.
//
// Before the first of these writes, and before a peer comes to life, the table
// migrations says that the pinset is in use. While it is not, a migration may
// write pins without a condition, under timestamps that every conditional write is
// later than (Store.BeginMigration).
//
// # Reading the feed
//
// A feed row says that a writer was about to replace revision prev. As long as
// the pin still has that revision the writer may be stopped and go on later, so
// the reader does not pass the row. When the writer had time for the slowest append
// it fences it: it writes the same pin under a new revision. A stopped writer that
// wakes up fails its condition and starts again; how long it was stopped makes no
// difference. One that is slow has twice as long at its next try.
//
// Clocks matter in one place: a reader looks for rows that appear late as long
// as clocks within 500 ms of the database's can make them late. A peer whose
// clock is further off, was set, or could not be compared for long neither
// writes nor moves its cursor.
//
// # Consistency
//
// Conditional updates run at SERIAL and commit at QUORUM, everything that
// decides something reads at QUORUM. With consistency: local-reads, Get, Has
// and List read at LOCAL_QUORUM, and may miss what another data centre has just
// written.
package scyllastate

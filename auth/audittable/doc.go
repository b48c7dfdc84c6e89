// Package audittable keeps audit records in a table of the gateway's keyspace: Open makes a
// sink of them, a chain of its own with the lines, hashes and signed checkpoints that package
// audit has in files; Parts reads them for audit.VerifyParts and audit.SearchParts.
// Checkpoints keeps copies of the checkpoints of the files, and audit.FileCopy those of the
// table, so that what is cut off one of them is known to the other.
//
// All records that wait at a moment are one row, made by one conditional update: INSERT IF
// NOT EXISTS, with the number of its first record in the key. That is what keeps a chain
// whole, and why it is not a plain write under a lease:
//
//   - No record is ever written over. A process that was taken for dead and wakes up writes
//     where another has gone on: its row is refused, as is all that it records from then on.
//   - A write without an answer is sent again as it was, until it is known what became of it.
//     If it was applied the row is there with the mark of the process. If a process dies
//     before it knows, the next one reads at SERIAL, which completes what was begun; what is
//     there belongs to the chain, and its event is Unknown if no outcome follows.
//   - An answer means that a quorum has the row. Whether it is on their disks is a matter of
//     commitlog_sync, as for all that the gateway writes; ScyllaDB has conditional updates on
//     disk in any case.
//
// A lease on the name of the writer is beside that, so that of two processes with one name
// the second does not start, instead of ending the first. It lasts 15 seconds: a process that
// starts after a crash waits for so long.
//
// What it costs: a row takes a conditional update, some round trips between the replicas; a
// writer makes one at a time, and what is recorded meanwhile waits for the next.
//
// When the database does not answer, Append returns at the end of its context, and what was
// being written then is written first as soon as the database answers again. Nothing of it
// was done: audit.Recorder.Begin has returned an error.
//
// A Table and a Checkpoints may be used by any number of goroutines at once.
package audittable

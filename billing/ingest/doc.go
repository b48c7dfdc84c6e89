// Package ingest counts what events of claims tell: it notes what they say, makes facts of it by
// package claim, and writes them through package ledger. It also gives claims the size that a
// peer tells of their CID.
//
// Promised, with any number of processes at one keyspace, killed between any two writes:
//   - What was acknowledged is counted, or in the quarantine.
//   - The facts of each owner and day are the same bytes, in whatever order the events have come,
//     how often, in what batches, and to which of the processes.
//   - Of events that do not agree nothing is overwritten: those that came first stay counted, the
//     others are put aside, and with them whatever is told of such a claim from then on, also
//     again, until somebody has looked. Of two that come at the same moment one is counted or
//     none, never both.
//   - What comes after the close of its day has begun is counted, and the day is noted as late.
//     What was there before is not late, however often it is told.
//   - Claims without an owner are counted for claim.Suspense. Claims of pinned content without a
//     size are counted as pins and listed until a size is known.
//
// # How a batch is counted
//
//	note       what the events say is added to what is known of their claims
//	enter      those without a size are entered in the list of these
//	read       what is known of the claims by now, from all events so far
//	sizes      of those that were entered, the sizes that peers have told: noted, read again
//	facts      of each claim as it is known, without those that follow from what others have
//	           told: others see to these. Of days that are over those that are there are left out
//	put aside  what is in conflict or too old
//	put        who is active, then the facts
//	late       of facts of days that are over it is asked whether the close has begun, before
//	           they are written and after
//	leave      claims that have got a size from the batch are removed from the list
//
// That notes come before reads makes it safe without locks. Of two events whose facts depend on
// both, the one that is read last sees both and writes these facts. Of two that do not agree, the
// one that is read last sees both and writes none; the other one may have written its own by
// then. So no two contents of a fact are ever written.
//
// Who has told something is noted as its source, of several the first in the order added, pinned,
// sized, removed. An event writes the facts that follow from what it is the source of. So the
// removal of an old claim does not write its start again, whose day may be closed or
// whose facts may be gone by then; and an event that was delivered before and left half done is
// still the source of what it told, and writes the rest.
//
// A day that is over at the time when its facts are written may be in its close. Who closes notes
// that first and then reads; here facts are written first, and then it is asked. Whoever is last
// sees the other: the fact is in the close, or noted as late, or both, which does no
// harm. A close of a day never begins before the day is over, by any clock of those processes.
//
// What is not covered: an event that JetStream loses before it was handled, which the comparison
// with what the gateway exports finds; and a policy that is changed for claims that were counted,
// of which facts with the same ID and other contents are the result: they are put aside where
// the day is over, and refused by usage.Fold where it is not.
//
// # What it costs
//
// For each claim of a batch, an event each, 64 requests at a time:
//
//	added      1 write, 1 read, and the facts: 1 write for each of 16 partitions of an owner and a
//	           quarter of an hour, that is 1 for each claim if no two are of one owner, and far
//	           fewer if many are. 1 write more for the first fact of such a partition
//	pinned     the same without facts if it is counted from the moment when a claim was accepted;
//	           1 write and 1 read more as it has no size: it is entered, and sizes are looked at
//	sized      the same as added; 1 write more to remove the claim from the list
//	removed    the same as added; 1 write and 1 read more if there is no size
//	again      the same as the first time, without the first fact of a partition
//
// Facts of days that are over cost 1 read more for each partition of theirs, and 1 for each shard
// and day until its close has begun. What is put aside costs 1 read and 1 write, one after
// another. A size of a peer costs 1 write and 2 reads, and for
// the claims that wait for it what sized costs, and a read more.
package ingest

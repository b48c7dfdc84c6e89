// Package ledger has the tables of usage: what is known of claims, the facts that follow from
// it, who was active, the days that were closed and what was adjusted since, and what was put
// aside. It stores what it is given; what is right is worked out in other rooms.
//
// Promised, with any number of processes on one keyspace, killed at any moment:
//   - What was written is read by every process from then on. A failure of the database is an
//     error, never an empty answer.
//   - Nothing that was told is overwritten by something else. What is known of a claim only
//     grows, a fact is its own key, and of a day the first one that is stored counts.
//   - Every write may be made again, and come late.
//   - Who has facts on a day is found by EachActive: it is written first.
//   - Who reads the facts of a day after BeginClose, and another one that writes facts and then
//     asks for Progress: one of them sees the other.
//
// # Rows and timestamps
//
// A claim is a row with a map for each thing that may be told of it, from what was said to the
// lowest Source that has said so. An entry has the timestamp 10^15 - source in microseconds, which
// is in 2001: of several the lowest source stays, whenever it comes. Two entries in a map are a
// conflict. As to write and then to read at QUORUM is all that it takes for one of two who
// say different things to see both, no conditional update is needed to find it.
//
// A fact has its time, its bytes and its pins in the key of its row, after its ID. So the same
// fact is the same row, and another one with its ID another, which usage.Fold refuses. Facts lie
// in partitions of an owner and a quarter of an hour, of which 16 lie side by side; those of
// one request are in one, for start and size together. The row of active names the partition,
// so that an owner with ten facts a day has ten rows to read at most and one with millions has
// partitions of a bounded size.
//
// A day has versions. Of those who store one version the first counts, by a conditional update,
// and all work on with that one: so what is closed stays what it was, also if two have
// closed it with different facts. Everything else is plain.
//
// # What it costs
//
// Requests to the database, at QUORUM. Those in one line that are several are made 64 at a time;
// lines of one operation are one after another.
//
//	Note            1 write for each claim, or for up to 64 of those in one partition
//	Claims          1 read for each partition of claims, of up to 100 rows; claims of different
//	                requests are in different ones nearly always (4,096 for each owner)
//	PutFacts        1 write for each new partition of active; none if this process has written the
//	                row before, which it knows of 100,000
//	                1 write for each partition of facts and 64 rows: of one owner's events that come
//	                together, 16 for each quarter of an hour
//	Stored          1 read for each partition of facts, of up to 100 rows
//	Facts, Deltas   1 read of active, then 1 read for each partition that the owner has that day,
//	                and one more for each 1,000 rows
//	EachActive      1 read for each 1,000 partitions of facts; EachLate likewise of days
//	MarkLate        1 write for each shard and 64 days
//	PutDay          1 write, 1 conditional update (4 rounds on Cassandra, 3 on ScyllaDB), 1 read
//	Day             1 read
//	LastDay         1 read of months, then 1 read for each month without a day before: 1 but after a
//	                crash, or when the day is the first of the month that has days
//	Days            1 read, PutAdjustment 1 write, Adjustments 1 read
//	BeginClose      1 conditional update and 1 read; to take over 1 and 1 more
//	EndClose        1 conditional update and 1 read
//	Progress        1 read; Begun 1 read for each shard and day, none of what was begun before
//	Quarantine      1 read, 1 write of 2 rows
//	EachQuarantined 16 reads, and one more for each 100 rows
//	PutSize         1 write; Sizes 1 read for each CID
//	PutUnsized, DeleteUnsized  1 write for each CID and 64 claims; EachUnsized 1 read for 1,000
package ledger

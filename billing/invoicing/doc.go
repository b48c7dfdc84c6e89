// Package invoicing makes invoices of what was used, gives them their numbers, and keeps what was
// paid: in tables, so that any number of processes work on one keyspace and each may be killed at any
// moment. An Office does it. Arithmetic, documents and plans are those of other rooms.
//
// # Plans
//
// A version of a plan is never changed, and has a digest. A later one begins after the day on which
// it was added. An owner has plans from days on, which are only added. Whoever makes a draft of a
// month decides first, in the owner's partition, that nothing is added any more which begins before
// the end of the month. So a month that is rated again has the same plans.
//
// # From a draft to a number
//
// A draft follows from what was used (Usage), the plans, who pays and the configuration. Adjustments of
// earlier days are lines of their own, each with its reason: one costs what its month would have
// cost more, so that a month has cost, in the end, what it costs as it was in the end.
//
// To issue one, in this order, where each step is found done after a crash:
//
//  1. the draft is kept, by a conditional update: the first one counts, whatever is worked out later
//  2. it says which number it is to have: the one after the last
//  3. the number's row is made, by a conditional update: it belongs to the draft, or to another one;
//     then the draft says the next number
//  4. whose the number is, and what is to be told, is written
//  5. the document is made, dated with the moment at which its number was taken, and stored with its
//     digest by a conditional update
//
// A conditional update whose outcome is not known is sent again as it was, and then read at SERIAL.
// Nothing else is tried before: so no document has two numbers, no number two documents, and there
// are no gaps. Numbers without a document are those of crashes, and Finish issues them; a run does
// so first. An invoice that was a mistake is void, and its month may have another one.
//
// Dates may be a day behind those of higher numbers: a document that a crash has interrupted has
// the day on which its number was taken.
//
// # Payments
//
// A movement of money is what a rail has told last of it, by its version. What an invoice stands at
// is not added to: whoever records something adds up all movements and credit notes of the invoice,
// and writes the sum if nobody has written since it began to read. So the order does not
// matter, and what is told twice is there once. What names no invoice that can be paid, is in
// another currency, or is more than was due, is among those that somebody has to look at, who may
// Assign it.
//
// # What is told
//
// A row of the outbox is written before what it tells of is done, and a Relay tells it when it sees
// that it was. That an invoice is overdue is written when it is issued, into the hour after it was
// due. IDs follow from what is told, and what was told is noted: it is told again only if the relay
// has stopped between the two. Of what an invoice stands at only the last is told, if the relay was
// slow: one that was paid, is open again and is paid again is told to be paid once.
//
// # What it costs
//
// Statements, one after the other; C is a conditional update (4 rounds on Cassandra, 3 on ScyllaDB),
// S a read at SERIAL (2 rounds), R a read, W a write:
//
//	Issue     4 S for the documents and the plans, 1 C to decide them and 1 S, Usage.Month (once more
//	          for each month that is corrected, and each one between), 1 C draft, 2 S, 2 R and
//	          1 C for the number it is to have, 1 S, 1 C and 1 S number, 5 W, 1 C document, 3 S:
//	          5 conditional updates in all
//	          one that is there: 1 S
//	          each number that another one was faster to take: 2 C, 2 S, 2 R
//	Record    2 W, 2 C and 1 S for the movement, and for its invoice 1 R for its number, 2 S,
//	          1 S for each movement and 1 S for the documents of the month, 2 W, 1 C, 1 S
//	Credit    as Issue, without the plans and the usage, and 1 C and 4 S for the invoice
//	Relay     of each notice 1 R, 1 S, 2 W; of a pass with nothing to do 16 leases, 1 R each
//	Run       as many Issues as there are owners, 8 at a time, and 2 W; 3 C, 2 S for 64 owners.
//	          It has the names of all owners in memory.
//
// Numbers of a series are taken one after the other, in one partition: that bounds a run, whatever the
// number of processes. Those of one process wait for each other; several contend.
package invoicing

// Package pins holds what tenants asked to be pinned, and makes the cluster hold what is asked
// for. It knows no HTTP: the cluster is behind the interface Peer.
//
// Promised, with any number of instances on one keyspace, killed at any moment:
//   - What Create has answered, Get and List of every instance show from then on, until what
//     Remove has answered: not any more. A failure of the database is an error, never an
//     empty page.
//   - A tenant finds its own requests only.
//   - Lists are newest first, complete and without doubles, and never split a millisecond.
//   - The cluster holds a CID as long as a request of any tenant wants it, and no longer, as
//     soon as the peer does what it is asked and the last change was settled. What somebody
//     else has pinned is neither replaced nor removed.
//   - The largest replication that is asked for a CID counts. If the cluster refuses it, the
//     pin is made with the default, and Info of the requests for more says so.
//   - No tenant has more requests than its quota allows.
//   - What Create has answered, Claims are told, and what Remove has answered, too: within
//     minutes, or when they listen again within a week. Of a Create that was not answered they are told if
//     the request is there. What they were told never reads otherwise the next time.
//
// # Rows and timestamps
//
// A request is a row of the table pins, which leads by its ID. The same row lies in
// by_status, in the partition of its status, for lists of some statuses; lists of all read
// pins. Rows lie in slices of time (slices.go). Every write carries its timestamp, so that
// it may be sent twice and come late:
//   - that of a creation is its time;
//   - that of a change of status is the moment at which the observation began, before the
//     peer was asked and the row read; its last two bits tell the status. Two changes with
//     one timestamp thus have one status and delete nothing of each other, and differ only
//     in columns where one of the values wins, the same in both tables;
//   - an observation that is not later than the row is dropped, and the CID looked at again:
//     clocks that differ delay a status by as much as they differ, and do no more;
//   - that of a deletion is an hour ahead, so a change that was observed before, and is
//     written late, changes nothing. IDs are never used again.
//
// A change first inserts the row of the new status and then, in one logged batch, updates
// pins and deletes the rows of the other three. So a request is always in a list, for a
// moment in two, of which readers take the newer one. What a crash leaves between is the
// same change not made yet, or, if it is never made again, an old row in a list, which
// Recount deletes. A list of two or three statuses is read twice: a request that moves
// between them while they are read is in one of them the second time.
//
// # Claims
//
// Each request has a row in claims, in the partition of its CID. The order is:
//
//	Create: todo row, claim, request (one logged batch), answer
//	Remove: todo row, request (one logged batch), claim, answer
//
// A todo row names a CID, and is looked at two to three minutes later by whoever has the
// lease of its shard. Whatever crash: either nothing was answered, or a todo row finds it. A
// claim without a request goes, and with it what may yet be written of the request; so a
// Create that took longer than 20 seconds does not say that it worked. A Remove that took as
// long writes another todo row. What does not come to its end gets one in a later slot, with
// pauses from 2 minutes to an hour, as long as a request is not pinned or failed, or the pin
// is somebody else's. What is pinned or failed Verify looks at once a day.
//
// To settle a CID is to read its claims, see what the cluster has, ask for a pin or for its
// removal, and to do so again until the two agree with nothing asked between. No lock is
// needed: who adds or removes a claim settles after that is durable, so the last look of one
// of them sees all claims and what it asks is asked last. A question to the peer that was
// lost may take effect later: it is begun within 20 seconds of a todo row, bounded by 30, and
// by the promise of Peer takes effect within another minute, before the todo row is looked
// at. Not covered: a process that stands still for minutes between reading claims and
// asking, then asks, and is killed before it looks again; an event, or any later change of
// the CID, mends that. An event or a look at a status has a claimed CID pinned and never one
// unpinned: a keyspace that is empty by mistake does not empty the cluster.
//
// # What is told
//
// Todo rows are an outbox as well. What one says that there is something to tell of is read
// when its minute has ended, at QUORUM, by whoever has another lease of the shard, and told
// as it is by then:
//
//	there is a request         that it was accepted, and what is noted of it: that it was
//	                           seen pinned, and its size
//	there is none, but a row   all of that, and that it was removed
//	of it in ended
//	neither                    nothing: it never was
//
// Rows of ended are written in the logged batch that deletes the request, and expire after 35
// days. A first sight of the content pinned, or of its size, writes a todo row and then a note
// in the row of the request; without a todo row if that of Create comes late enough to find it.
// A cursor of its own says how far all is told. While nobody listens it stands still, and
// the cluster follows all the same; todo rows are kept for 7 days.
//
// Each fact is one for ever. Notes, and rows of ended, carry timestamps that are less the later
// they are, so that of two observations, or removals, at once the earlier one stays; a deletion
// is above all of these. They are told when they are so old that an earlier one would be
// there: an observation is noted within 20 seconds or not at all, and told after a minute. Not
// covered: a process that stands still for longer between the last look at its clock and a write.
// And a batch of a removal whose outcome nobody knows may be made by the servers minutes later: the
// request is looked at, and told, three times more. EachClaim is for who wants to find what is left
// of that.
//
// # Quotas
//
// The table usage has how many requests a tenant has at the most. An instance reserves
// places there by a conditional update: a 64th of what is free, at most 1,000 and at least
// one, and uses them within five minutes. A removal frees its place by another one, once,
// however many removed the same request. What counts for too long after a crash is corrected
// by Recount, never below what there is: it begins a new generation, waits until no place of
// an older one is used any more, counts, and adds what was reserved meanwhile; what is freed
// counts only in the generation in which the removal began. A request whose creation ended
// with an error keeps its place until then. Not covered: a Replace at the limit that is
// killed between making and removing leaves both, one more than the limit allows. Bytes are those of contents whose size is known,
// by a Peer or by Worker.Sized, and told when something else is reserved: that limit is not
// exact.
//
// # What it costs
//
// Requests to the database, one after another where not said otherwise:
//
//	Create   3: todo row, claim, a logged batch of 2 rows (3 in a new slice); a request of more
//	         than 2 KiB 4 or 5 instead, since servers refuse large batches. One of 1,000, or
//	         the first in 5 minutes, reads and conditionally updates usage; at a limit each
//	Get      1 read
//	List     1 read of slices for 100 of them, 1 of each slice that the page touches and of the
//	         one after it, by 500 rows, and 10 rows of each full slice around these; twice
//	         that for each of two or three statuses. By CID: 1 read of each one's claims, 1
//	         of each request, 16 at a time
//	Remove   4: 1 read, todo row, a logged batch of 5 deletions, 1 deletion of the claim. With
//	         a quota 1 read of usage and 1 to 2 conditional updates and a read more
//	a status 3: 1 read, 1 insert, a logged batch of 4, for each request. 1 read more to settle
//	         a CID with other claims, if the Peer does not know sizes
//	to tell  With Claims a removal's batch has a row more, and so has that of the first pinned
//	         status. If this is later than a minute after the creation, and for a size that is
//	         known later, a todo row more, which is looked at. What is told is read again: 1 read
//	         of each request, and 1 of ended if it is not there; and the todo rows
//	EachClaim  List's reads by 500 rows, and 16 for each day since
//
// Known limits: who lists what is queued reads over what was queued and is not any more, up
// to the engine's grace for deletions (10 days); the same for one CID that is claimed and
// given up again and again, for which the limit on requests is the bound. All claims on a
// CID are read to settle it.
package pins

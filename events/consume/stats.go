package consume

import "sync/atomic"

// Stats is what a Consumer has done since it was made.
type Stats struct {
	// Handled are the events that the handler has handled.
	Handled uint64
	// Dropped are the events that were not newer than what was handled.
	Dropped uint64
	// Superseded are the messages of an earlier epoch than was seen, as of a relay that did
	// not know yet that another one has its shard. They were dropped. The other one tells
	// the same events.
	Superseded uint64
	// Dead are the events that were put aside, of which Unknown are of types that this
	// build does not know, and Malformed are none.
	Dead, Unknown, Malformed uint64
	// Gaps is how often messages were missing. LookedAgain is how often the stream had
	// them when it was read again.
	Gaps, LookedAgain uint64
	// Late is how often the stream had dropped messages, by its limits, before they were
	// read.
	Late uint64
	// Asked is how often a replay was asked for, Replays how many were received whole.
	Asked, Replays uint64
	// Retries is how often the handler has failed and was called again.
	Retries uint64
}

type counters struct {
	handled, dropped, superseded, dead, unknown, malformed, failed, gaps, lookedAgain, late, asked, replays, retries atomic.Uint64
}

// Stats returns what the Consumer has done. It may be called at any time.
func (c *Consumer) Stats() Stats {
	s := &c.stats
	return Stats{
		Handled: s.handled.Load(), Dropped: s.dropped.Load(), Superseded: s.superseded.Load(),
		Dead: s.dead.Load(), Unknown: s.unknown.Load(), Malformed: s.malformed.Load(),
		Gaps: s.gaps.Load(), LookedAgain: s.lookedAgain.Load(), Late: s.late.Load(),
		Asked: s.asked.Load(), Replays: s.replays.Load(), Retries: s.retries.Load(),
	}
}

package consume

import "time"

// warnEvery is how often it is said at most that messages are superseded.
const warnEvery = time.Minute

// isSuperseded reports whether a message is of an earlier epoch of its shard than was seen. It
// counts and says so of one that was not read before: when the stream is read again there
// are others.
func (r *run) isSuperseded(i int, it item, epoch int64) bool {
	s := r.state.Shards[i]
	if epoch >= s.Epoch {
		return false
	}
	if it.seq > s.Seq {
		r.stats.superseded.Add(1)
		r.warnSuperseded(i, epoch, s.Epoch)
	}
	return true
}

// warnSuperseded says that messages of an epoch are dropped after those of a later one, once
// in warnEvery for all shards.
func (c *Consumer) warnSuperseded(i int, epoch, later int64) {
	now, last := time.Now().UnixNano(), c.warned.Load()
	if now-last < int64(warnEvery) || !c.warned.CompareAndSwap(last, now) {
		return
	}
	logger.Warnf("consumer %s drops messages of shard %d that are of epoch %d, after those of epoch %d: their relay was replaced, and does not know yet", c.opts.Name, i, epoch, later)
}

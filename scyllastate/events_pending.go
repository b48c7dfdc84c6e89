package scyllastate

import (
	"context"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// await looks at a task again while the writers of its rows have time, and fences those
// that had theirs, as the dispatcher does. It comes after those who hold the pin, if there
// is one that is allocated. The caller holds the lock.
func (e *eventReader) await(ctx context.Context, t *eventTask, now row) {
	c, err := api.CastCid([]byte(t.cid))
	if err == nil && e.store.turnToFence(e.name, c, now, changesOf(t.rows)) && e.aside(ctx, t, e.fences, func(c api.Cid) error {
		_, err := e.store.fence(ctx, c, now)
		return err
	}) {
		return
	}
	t.pending = true
	e.later(t, e.store.deadlines.wait(t.cid)/looksPerWait)
}

// probe reads the pin of a task by itself that could not be read together with others,
// until that works: what cannot be read must not hold up those. The caller holds the lock.
func (e *eventReader) probe(ctx context.Context, t *eventTask) {
	t.alone, t.pending = true, false
	started := e.aside(ctx, t, e.probes, func(c api.Cid) error {
		_, err := e.store.readRow(ctx, c, gocql.Quorum)
		t.alone = err != nil
		return err
	})
	if !started {
		e.later(t, lastRetry)
	}
}

// aside does something for a task while others go on, and makes it due after that. It
// returns false if too many do. The caller holds the lock.
func (e *eventReader) aside(ctx context.Context, t *eventTask, tokens chan struct{}, do func(api.Cid) error) bool {
	c, err := api.CastCid([]byte(t.cid))
	if err != nil {
		return false
	}
	select {
	case tokens <- struct{}{}:
	default:
		return false
	}
	t.busy = true
	e.wg.Go(func() {
		err := do(c)
		<-tokens
		e.mu.Lock()
		defer e.mu.Unlock()
		t.busy = false
		if err != nil {
			if ctx.Err() == nil {
				state.Failure(err, logger.Warnf, logger.Debugf)("an event of %s waits in the feed %s (try %d): %s", c, e.name, t.tries+1, err)
			}
			e.later(t, lastRetry)
			e.signal()
			return
		}
		e.push(t)
	})
	return true
}

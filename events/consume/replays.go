package consume

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// maxReplays is how many replays of a shard are received at a time. One is usual.
const maxReplays = 16

// ask is how the relay of a shard was asked for a replay.
type ask struct {
	// sent is the number of the request that has no answer yet, 0 if there is none.
	sent int
	// names are those of the replays that it has promised for what is asked for now.
	names []string
	// gone is until when what is missing is not kept any more.
	gone time.Time
	// next is when to ask again, and wait the pause before, which grows: each request for
	// the same makes more work for a relay that is slow.
	next time.Time
	wait time.Duration
}

// answer is what became of a request.
type answer struct {
	shard, sent int
	name        string
	err         error
}

// replay is one that is being received.
type replay struct {
	n     uint64   // the messages that were handled, without a jump
	whole bool     // it has come to its end, and none was missing
	told  interval // what it tells again, if it is whole
}

// askAll asks the relays for what is missing, if it is time.
func (r *run) askAll(ctx context.Context) {
	if r.state == nil {
		return
	}
	now := time.Now()
	for i, s := range r.state.Shards {
		a := &r.shards[i].ask
		if a.sent != 0 || now.Before(a.next) {
			continue
		}
		iv, again, ok := s.ask(a.gone)
		if !ok {
			continue
		}
		if !again {
			a.names, a.wait = nil, 0
		}
		r.asked++
		a.sent = r.asked
		r.stats.asked.Add(1)
		sent := a.sent
		r.group.Go(func() {
			name, err := r.opts.Bus.AskReplay(ctx, i, iv.From, iv.To)
			select {
			case r.answers <- answer{i, sent, name, err}:
			case <-ctx.Done():
			}
		})
	}
}

// answered notes what became of a request.
func (r *run) answered(got answer) {
	a := &r.shards[got.shard].ask
	if r.state == nil || got.sent != a.sent {
		return // asked before this process has lost the shard
	}
	a.sent = 0
	if got.err != nil {
		a.wait = min(max(2*a.wait, time.Second), r.opts.AskAgain)
		a.next = time.Now().Add(a.wait)
		switch s := r.state.Shards[got.shard]; {
		case errors.Is(got.err, bus.ErrGone) && s.asked != nil:
			if a.gone.IsZero() {
				logger.Errorf("consumer %s has missed events of shard %d after %s that nobody can tell any more, and goes on with later ones: %s", r.opts.Name, got.shard, s.asked.From.Format(time.RFC3339), got.err)
			}
			a.gone, a.next, a.wait = s.asked.To, time.Time{}, 0
			s.asked = nil
		default:
			logger.Debugf("consumer %s: %s", r.opts.Name, got.err)
		}
		return
	}
	if !slices.Contains(a.names, got.name) {
		a.names = append(a.names, got.name)
	}
	a.wait = min(max(2*a.wait, r.opts.AskAgain), 16*r.opts.AskAgain)
	a.next = time.Now().Add(a.wait)
	if p := r.shards[got.shard].replays[got.name]; p != nil && p.whole {
		r.finish(got.shard, p.told)
	}
}

// handleReplay handles an event that is told again.
func (r *run) handleReplay(ctx context.Context, i int, it item) error {
	h, sr := it.header, &r.shards[i]
	if r.isSuperseded(i, it, h.Epoch) {
		return nil
	}
	p := sr.replay(h.Replay)
	if h.N <= p.n {
		return nil
	}
	if err := r.handle(ctx, it.msg, false); err != nil {
		return err
	}
	if h.N == p.n+1 {
		p.n++
	}
	if slices.Contains(sr.ask.names, h.Replay) {
		sr.ask.next = time.Now().Add(sr.ask.wait)
	}
	return nil
}

// handleReplayed notes the end of a replay. Only one that was asked for counts, as only
// of that it is known that it was read after what is missing was written.
func (r *run) handleReplayed(i int, it item, m events.Replayed) {
	sr := &r.shards[i]
	if r.isSuperseded(i, it, m.Epoch) {
		return
	}
	p := sr.replay(m.Replay)
	p.whole, p.told = p.n == m.N, interval{m.From, m.Through}
	switch {
	case !slices.Contains(sr.ask.names, m.Replay): // perhaps the answer is still on its way
	case p.whole:
		r.finish(i, p.told)
	default:
		logger.Debugf("consumer %s has %d of %d messages of replay %s", r.opts.Name, p.n, m.N, m.Replay)
		sr.ask.next = time.Time{}
	}
}

// finish notes that a replay that was asked for is there.
func (r *run) finish(i int, told interval) {
	s, sr := r.state.Shards[i], &r.shards[i]
	if s.replayed(told) {
		r.stats.replays.Add(1)
	}
	sr.ask.names, sr.ask.next, sr.ask.wait = nil, time.Time{}, 0
	if len(s.Missing) == 0 {
		logger.Infof("consumer %s has been told what it has missed of shard %d", r.opts.Name, i)
	}
}

// replay returns how much of a replay has been received.
func (sr *shardRun) replay(name string) *replay {
	p := sr.replays[name]
	if p != nil {
		return p
	}
	if len(sr.replays) >= maxReplays || sr.replays == nil {
		sr.replays = make(map[string]*replay) // they are asked for again
	}
	p = new(replay)
	sr.replays[name] = p
	return p
}

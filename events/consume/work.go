package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// item is a message of a shard.
type item struct {
	msg    jetstream.Msg
	header bus.Header
	seq    uint64    // its place in the stream
	at     time.Time // when it was stored there
}

// work handles messages, saves the state, and acknowledges what was handled: in that
// order, so that nothing is acknowledged that is not known to be handled. It reports
// whether the stream is to be read again, and after which place.
func (r *run) work(ctx context.Context, batch []jetstream.Msg) (after uint64, again bool, err error) {
	if pin := batch[0].Headers().Get(pinHeader); r.state == nil || pin != r.pin {
		if err := r.load(ctx, pin); err != nil {
			return 0, false, err
		}
	}
	parts, done, err := r.sort(ctx, batch)
	if err != nil {
		return 0, false, err
	}
	stop := r.stay()
	var handled [events.Shards]int
	var g errgroup.Group
	g.SetLimit(r.opts.Workers)
	for i := range parts {
		if len(parts[i]) > 0 {
			g.Go(func() (err error) {
				handled[i], err = r.handleShard(ctx, i, parts[i])
				return err
			})
		}
	}
	failed := g.Wait()
	stop()
	for i, n := range handled {
		for _, it := range parts[i][:n] {
			done = append(done, it.msg)
		}
		if seq := r.state.Shards[i].Seq; n < len(parts[i]) && (!again || seq < after) {
			after, again = seq, true
		}
	}
	// What was handled is saved also at the end.
	saving, cancel := context.WithCancel(ctx)
	if failed != nil {
		saving, cancel = context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	}
	defer cancel()
	if err := r.save(saving); err != nil {
		return 0, false, errors.Join(failed, err)
	}
	for _, m := range done {
		if err := m.Ack(); err != nil {
			logger.Debugf("consumer %s: a message that was handled will come again: %s", r.opts.Name, err)
		}
	}
	return after, again, failed
}

// sort divides messages by their shards. What belongs to none is put aside, and is done.
func (r *run) sort(ctx context.Context, batch []jetstream.Msg) (parts [events.Shards][]item, done []jetstream.Msg, err error) {
	for _, m := range batch {
		meta, err := m.Metadata()
		if err != nil {
			return parts, nil, fmt.Errorf("reading where a message is from: %w", err)
		}
		h, err := r.opts.Bus.Header(m.Subject(), m.Headers())
		if err != nil {
			if err := r.bury(ctx, m, err); err != nil {
				return parts, nil, err
			}
			done = append(done, m)
			continue
		}
		parts[h.Shard] = append(parts[h.Shard], item{m, h, meta.Sequence.Stream, meta.Timestamp})
	}
	return parts, done, nil
}

// lookAgain reads the stream again after a place, as messages that were not seen may have
// been delivered to another process, or not have arrived.
func (r *run) lookAgain(ctx context.Context, after uint64) {
	r.stats.lookedAgain.Add(1)
	read := uint64(0)
	for i, s := range r.state.Shards {
		read = max(read, s.Seq)
		if s.Seq >= after {
			r.shards[i].looked = s.position()
		}
	}
	first, err := r.reader.rewind(ctx, after)
	if err != nil {
		logger.Warnf("consumer %s goes on where it is: %s", r.opts.Name, err)
	}
	if after > 0 && first > read+1 {
		r.late = first
		r.stats.late.Add(1)
		logger.Warnf("consumer %s is slower than the limits of stream %s allow: the messages from %d to %d were dropped before it has read them, and it asks the relays to tell them again",
			r.opts.Name, r.opts.Bus.Stream(), read+1, first-1)
	}
}

// handleShard handles messages of a shard, in order, and returns how many. It stops
// before one that follows something that was not seen, when the stream is to be read
// again first. An error means that ctx has ended.
func (r *run) handleShard(ctx context.Context, i int, items []item) (int, error) {
	for n, it := range items {
		ok, err := r.handleMessage(ctx, i, it)
		if errors.Is(err, events.ErrMalformed) || errors.Is(err, events.ErrUnknown) {
			ok, err = true, r.bury(ctx, it.msg, err)
		}
		if err != nil || !ok {
			return n, err
		}
	}
	return len(items), nil
}

// handleMessage handles one message, and returns false if the stream is to be read again
// first. An error matches events.ErrMalformed or events.ErrUnknown, or means that ctx has
// ended.
func (r *run) handleMessage(ctx context.Context, i int, it item) (bool, error) {
	s := r.state.Shards[i]
	switch h := it.header; h.Kind {
	case bus.KindEvent:
		return r.follow(i, it, h.Epoch, s.event(h.Epoch, h.N), func() error {
			if err := r.handle(ctx, it.msg, false); err != nil {
				return err
			}
			s.takeEvent(h.Epoch, h.N)
			return nil
		})
	case bus.KindManifest:
		m, err := events.ParseManifest(it.msg.Data())
		if err != nil || m.Shard != i {
			return false, misplaced(err, m.Shard, i)
		}
		return r.follow(i, it, m.Epoch, s.manifest(m), func() error { s.takeManifest(m); return nil })
	case bus.KindResume:
		m, err := events.ParseResume(it.msg.Data())
		if err != nil || m.Shard != i {
			return false, misplaced(err, m.Shard, i)
		}
		return r.follow(i, it, m.Epoch, s.resume(m), func() error { s.takeResume(m); return nil })
	case bus.KindReplay:
		return true, r.handleReplay(ctx, i, it)
	case bus.KindReplayed:
		m, err := events.ParseReplayed(it.msg.Data())
		if err != nil || m.Shard != i {
			return false, misplaced(err, m.Shard, i)
		}
		r.handleReplayed(i, it, m)
		return true, nil
	case bus.KindAgain:
		return true, r.handle(ctx, it.msg, true)
	default: // a retry
		if h.Consumer != r.opts.Name {
			return true, nil
		}
		return true, r.handleRetry(ctx, it)
	}
}

// follow takes a message of an epoch by the verdict on it. After a jump it has the stream read again
// once; what is not there then is missing. It does so, too, before the first message of a
// shard in a stream: earlier ones may have been delivered to another process.
func (r *run) follow(i int, it item, epoch int64, v verdict, take func() error) (bool, error) {
	s, looked := r.state.Shards[i], r.shards[i].looked
	switch {
	case v == old:
		r.isSuperseded(i, it, epoch)
		return true, nil
	case (v == jump || s.Seq == 0) && looked != s.position():
		return false, nil
	case v == jump && s.Seq < r.late: // which was said
		r.stats.gaps.Add(1)
	case v == jump:
		r.stats.gaps.Add(1)
		logger.Warnf("consumer %s misses events of shard %d after number %d of epoch %d, and asks the relay to tell them again", r.opts.Name, i, s.N, s.Epoch)
	}
	if err := take(); err != nil {
		return false, err
	}
	s.begin(it.at)
	s.Seq = it.seq
	return true, nil
}

// misplaced returns why a message was not read, or that it is about another shard than it
// was published for.
func misplaced(err error, said, published int) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: it is of shard %d, and was published for shard %d", events.ErrMalformed, said, published)
}

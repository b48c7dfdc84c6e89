package consume

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// item is a message of a shard.
type item struct {
	msg    jetstream.Msg
	header bus.Header
	seq    uint64
}

// work handles a batch, saves the state, and acknowledges what was handled: in that
// order, so that nothing is acknowledged that is not known to be handled.
func (r *run) work(ctx context.Context, batch []jetstream.Msg) error {
	if pin := batch[0].Headers().Get(pinHeader); r.state == nil || pin != r.pin {
		if err := r.load(ctx, pin); err != nil {
			return err
		}
	}
	var parts [events.Shards][]item
	var done []jetstream.Msg
	for _, m := range batch {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading where a message is from: %w", err)
		}
		h, err := r.opts.Bus.Header(m.Subject(), m.Headers())
		if err != nil {
			if err := r.bury(ctx, m, err); err != nil {
				return err
			}
			done = append(done, m)
			continue
		}
		parts[h.Shard] = append(parts[h.Shard], item{m, h, meta.Sequence.Stream})
	}
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
	again, after := false, uint64(0) // where to read the stream again
	for i, n := range handled {
		for _, it := range parts[i][:n] {
			done = append(done, it.msg)
		}
		if n < len(parts[i]) {
			seq := r.state.Shards[i].Seq
			if !again || seq < after {
				after = seq
			}
			again = true
		}
	}
	// What was handled is saved also at the end.
	saving, cancel := context.WithCancel(ctx)
	if failed != nil {
		saving, cancel = context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	}
	defer cancel()
	if err := r.save(saving); err != nil {
		return errors.Join(failed, err)
	}
	for _, m := range done {
		if err := m.Ack(); err != nil {
			logger.Debugf("consumer %s: a message that was handled will come again: %s", r.opts.Name, err)
		}
	}
	if failed == nil && again {
		r.lookAgain(ctx, after)
	}
	return failed
}

// lookAgain reads the stream again after a place, as messages that were not seen may have
// been delivered to another process, or not have arrived.
func (r *run) lookAgain(ctx context.Context, after uint64) {
	r.stats.lookedAgain.Add(1)
	r.held = nil
	if after == 0 {
		for i := range r.shards {
			r.shards[i].begun = true
		}
	}
	if err := r.reader.rewind(ctx, after); err != nil {
		logger.Warnf("consumer %s goes on where it is: %s", r.opts.Name, err)
	}
}

// handleShard handles messages of a shard, in order, and returns how many. It stops
// before one that follows something that was not seen, when the stream is to be read
// again first. An error means that ctx has ended.
func (r *run) handleShard(ctx context.Context, i int, items []item) (int, error) {
	for n, it := range items {
		ok, err := r.handleMessage(ctx, i, it)
		if err != nil || !ok {
			return n, err
		}
	}
	return len(items), nil
}

// handleMessage handles one message, and returns false if the stream is to be read again
// first.
func (r *run) handleMessage(ctx context.Context, i int, it item) (bool, error) {
	s := r.state.Shards[i]
	switch it.header.Kind {
	case bus.KindEvent:
		return r.follow(i, it, s.event(it.header.Epoch, it.header.N), func() error {
			if err := r.handle(ctx, it.msg); err != nil {
				return err
			}
			s.takeEvent(it.header.Epoch, it.header.N)
			return nil
		})
	case bus.KindManifest:
		m, err := events.ParseManifest(it.msg.Data())
		if err == nil {
			err = ofShard(m.Shard, i)
		}
		if err != nil {
			return true, r.bury(ctx, it.msg, err)
		}
		return r.follow(i, it, s.manifest(m), func() error { s.takeManifest(m); return nil })
	case bus.KindResume:
		m, err := events.ParseResume(it.msg.Data())
		if err == nil {
			err = ofShard(m.Shard, i)
		}
		if err != nil {
			return true, r.bury(ctx, it.msg, err)
		}
		return r.follow(i, it, s.resume(m), func() error { s.takeResume(m); return nil })
	case bus.KindReplay:
		return true, r.handleReplay(ctx, i, it)
	case bus.KindReplayed:
		m, err := events.ParseReplayed(it.msg.Data())
		if err == nil {
			err = ofShard(m.Shard, i)
		}
		if err != nil {
			return true, r.bury(ctx, it.msg, err)
		}
		r.handleReplayed(i, m)
		return true, nil
	default: // a retry
		if it.header.Consumer != r.opts.Name {
			return true, nil
		}
		return true, r.handle(ctx, it.msg)
	}
}

// follow takes a message by the verdict on it. After a jump it has the stream read again
// once; what is not there then is missing. It does so, too, before the first message of a
// shard, which is the first one only if none before it was delivered to another process.
func (r *run) follow(i int, it item, v verdict, take func() error) (bool, error) {
	s, sr := r.state.Shards[i], &r.shards[i]
	switch here := (position{s.Epoch, s.N}); {
	case v == old:
		return true, nil
	case s.isNew() && !sr.begun:
		return false, nil
	case v == jump && s.Seq > 0 && sr.looked != here:
		sr.looked = here
		return false, nil
	case v == jump:
		r.stats.gaps.Add(1)
		logger.Warnf("consumer %s misses events of shard %d after number %d of epoch %d, and will ask for them", r.opts.Name, i, s.N, s.Epoch)
	}
	if err := take(); err != nil {
		return false, err
	}
	s.Seq = it.seq
	return true, nil
}

// ofShard returns an error if a message is about another shard than it was published for.
func ofShard(said, published int) error {
	if said != published {
		return fmt.Errorf("%w: it is of shard %d, and was published for shard %d", events.ErrMalformed, said, published)
	}
	return nil
}

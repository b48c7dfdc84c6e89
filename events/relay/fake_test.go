package relay_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// straggle is how far the fake feeds stay behind the time.
const straggle = 20 * time.Millisecond

var errSuperseded = errors.New("somebody else has opened the feed")

// fakeEvents are events in memory, with feeds and leases as the contract has them.
type fakeEvents struct {
	mu     sync.Mutex
	feeds  [state.EventShards]fakeShard
	leases map[string]fakeLease
	// opening is called before a feed is opened. It may be nil.
	opening func(shard int)
	// gone is until when nothing is kept.
	gone time.Time
}

type fakeShard struct {
	rows []state.Event
	done int // the cursor: how many rows were handed on
	last *fakeFeed
}

type fakeLease struct {
	holder string
	epoch  int64
	until  time.Time
}

func newFakeEvents() *fakeEvents { return &fakeEvents{leases: make(map[string]fakeLease)} }

func newRevision() state.Revision { return state.Revision(uuid.Must(uuid.NewUUID())) }

// cidOf makes a CID whose feed is that of a shard.
func cidOf(tb testing.TB, shard int) api.Cid {
	tb.Helper()
	for {
		id := uuid.New()
		hash, err := multihash.Sum(id[:], multihash.SHA2_256, -1)
		if err != nil {
			tb.Fatal(err)
		}
		if c := api.NewCid(cid.NewCidV1(cid.Raw, hash)); state.EventShard(c) == shard {
			return c
		}
	}
}

// write adds a new pin to a feed.
func (f *fakeEvents) write(tb testing.TB, shard int) state.Event {
	tb.Helper()
	pin := api.PinCid(cidOf(tb, shard))
	at := newRevision()
	e := state.Event{Kind: state.EventAccepted, Cid: pin.Cid, At: at, Rev: at, Pin: &pin}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feeds[shard].rows = append(f.feeds[shard].rows, e)
	return e
}

func (f *fakeEvents) done(shard int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.feeds[shard].done
}

func (f *fakeEvents) holder(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.leases[name]; l.until.After(time.Now()) {
		return l.holder
	}
	return ""
}

func (f *fakeEvents) EventsSince() time.Time                                { return time.Unix(1, 0) }
func (f *fakeEvents) LogStatus(context.Context, ...state.StatusEvent) error { return nil }
func (f *fakeEvents) LogPeer(context.Context, state.PeerEvent) error        { return nil }

func (f *fakeEvents) OpenEvents(_ context.Context, shard int) (state.EventFeed, error) {
	if f.opening != nil {
		f.opening(shard)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.feeds[shard]
	feed := &fakeFeed{events: f, shard: shard, from: time.Unix(1, 0)}
	if s.done > 0 {
		feed.from = timeOf(s.rows[s.done-1])
	}
	s.last = feed
	return feed, nil
}

func timeOf(e state.Event) time.Time { return time.Unix(uuid.UUID(e.At).Time().UnixTime()) }

func (f *fakeEvents) ReadEvents(_ context.Context, shard int, after, upTo time.Time, do func([]state.Event) error) error {
	f.mu.Lock()
	if !after.IsZero() && after.Before(f.gone) {
		f.mu.Unlock()
		return state.ErrEventsGone
	}
	var found []state.Event
	for _, e := range f.feeds[shard].rows {
		if at := timeOf(e); at.After(after) && !at.After(upTo) {
			found = append(found, e)
		}
	}
	f.mu.Unlock()
	if len(found) == 0 {
		return nil
	}
	return do(found)
}

func (f *fakeEvents) TryLease(_ context.Context, name, holder string, ttl time.Duration) (int64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.leases[name]
	switch {
	case l.holder == holder:
	case l.until.After(time.Now()):
		return 0, false, nil
	default:
		l.epoch++
	}
	l.holder, l.until = holder, time.Now().Add(ttl)
	f.leases[name] = l
	return l.epoch, true, nil
}

func (f *fakeEvents) FreeLease(_ context.Context, name, holder string, epoch int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.leases[name]; l.holder == holder && l.epoch == epoch {
		f.leases[name] = fakeLease{epoch: epoch}
	}
	return nil
}

// fakeFeed reads a shard.
type fakeFeed struct {
	events *fakeEvents
	shard  int
	from   time.Time
	read   bool // Consume was called
}

func (f *fakeFeed) From() time.Time { return f.from }

func (f *fakeFeed) Consume(ctx context.Context, handle func(context.Context, []state.Event, time.Time) error) error {
	s := &f.events.feeds[f.shard]
	for ctx.Err() == nil {
		f.events.mu.Lock()
		f.read = true
		if s.last != f {
			f.events.mu.Unlock()
			return errSuperseded
		}
		n := len(s.rows)
		batch := append([]state.Event(nil), s.rows[s.done:n]...)
		f.events.mu.Unlock()
		if err := handle(ctx, batch, time.Now().Add(-straggle)); err == nil {
			f.events.mu.Lock()
			if s.last == f {
				s.done = n
			}
			f.events.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return ctx.Err()
}

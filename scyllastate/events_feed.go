package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// eventConsumer is the consumer of the feeds of events in the table cursors.
	eventConsumer = "relay"
	// eventSpare is how much of what is still kept a reader leaves out that has missed
	// some: else more of it would run out before it was read.
	eventSpare = time.Hour
	// eventIdle is how often a feed of events is looked at while nothing comes: there are
	// many, and nobody waits for what they tell.
	eventIdle = time.Second
	// EventsKept is how long the database has the rows of events.
	EventsKept = feedTTL
	// maxCounted is how many rows CountEvents counts, maxCountedSlots of how much time,
	// and countedAtOnce how many partitions it reads at once.
	maxCounted      = 10_000
	maxCountedSlots = int64(24 * time.Hour / slotLength)
	countedAtOnce   = 16
	// lastSave is how long the cursor may take that is saved when a reader ends.
	lastSave = 2 * time.Second
)

// eventFeed is a feed of events and its one cursor.
type eventFeed struct {
	feed *Feed
	from time.Time
}

// OpenEvents implements state.Events. A feed that was never read begins where the
// keyspace has events from.
func (s *Store) OpenEvents(ctx context.Context, shard int) (state.EventFeed, error) {
	if err := s.checkEvents(shard); err != nil {
		return nil, err
	}
	f := &Feed{
		store:       s,
		name:        state.EventFeedName(shard),
		consumer:    eventConsumer,
		start:       s.eventsSince.Add(-s.lim.window()),
		lost:        "who receives events must be told of all pins again",
		spare:       eventSpare,
		incarnation: gocql.MustRandomUUID(),
		now:         s.now,
	}
	if err := f.claim(ctx); err != nil {
		return nil, fmt.Errorf("taking the cursor of feed %s: %w", f.name, err)
	}
	return &eventFeed{feed: f, from: f.position}, nil
}

// EventPositions returns how far the feed of each shard was handed on, the zero time for
// one that was never read.
func (s *Store) EventPositions(ctx context.Context) ([]time.Time, error) {
	positions := make([]time.Time, state.EventShards)
	for shard := range positions {
		at, err := s.tables.readCursor(ctx, state.EventFeedName(shard), eventConsumer)
		if err != nil {
			return nil, fmt.Errorf("reading how far the events of shard %d are told: %w", shard, err)
		}
		positions[shard] = at.position
	}
	return positions, nil
}

// CountEvents counts the rows of a shard's events that are later than after, or all that
// are kept if that is zero. It stops early where there are many, or much time to look
// through: more says that there may be others. A relay tells several rows about one CID as
// one event, and its position stays for a while behind what it has told.
func (s *Store) CountEvents(ctx context.Context, shard int, after time.Time) (n int, more bool, err error) {
	if err := s.checkEvents(shard); err != nil {
		return 0, false, err
	}
	now := s.now()
	if oldest := now.Add(-feedTTL); after.Before(oldest) {
		after = oldest
	}
	if begin := s.eventsSince.Add(-s.lim.window()); after.Before(begin) {
		after = begin
	}
	upTo := now.Add(s.lim.skew())
	var g errgroup.Group
	g.SetLimit(countedAtOnce)
	var counted atomic.Int64
	first, last := slotOf(after), slotOf(upTo)
	for slot := first; slot <= min(last, first+maxCountedSlots) && counted.Load() < maxCounted; slot++ {
		g.Go(func() error {
			return s.tables.readChanges(ctx, []string{state.EventFeedName(shard)}, slot, after, upTo, func(changeRow) error {
				counted.Add(1)
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return 0, false, fmt.Errorf("counting the events of shard %d: %w", shard, err)
	}
	return int(counted.Load()), counted.Load() >= maxCounted || last > first+maxCountedSlots, nil
}

func (s *Store) checkEvents(shard int) error {
	if s.eventsSince.IsZero() {
		return state.ErrEventsOff
	}
	if shard < 0 || shard >= state.EventShards {
		return fmt.Errorf("there is no shard %d of events", shard)
	}
	return nil
}

// From implements state.EventFeed.
func (f *eventFeed) From() time.Time { return f.from }

// Consume implements state.EventFeed. It ends with ctx, with ErrSuperseded, or with
// state.ErrEventsGone. With ctx it saves how far it has come, so that the next reader
// repeats little.
func (f *eventFeed) Consume(ctx context.Context, handle func(context.Context, []state.Event, time.Time) error) error {
	reader, err := newEventReader(f.feed, handle)
	if err != nil {
		return fmt.Errorf("reading feed %s: %w", f.feed.name, err)
	}
	reading, end := context.WithCancelCause(ctx)
	defer end(nil)
	reader.lapsed = func() { end(state.ErrEventsGone) }
	err = f.feed.consume(reading, newTail(f.feed, reader))
	if errors.Is(context.Cause(reading), state.ErrEventsGone) {
		return fmt.Errorf("reading feed %s after %s: %w", f.feed.name, reader.read.Format(time.RFC3339), state.ErrEventsGone)
	}
	if ctx.Err() == nil || !reader.handed.After(f.feed.position) {
		return err
	}
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	if failed := f.feed.save(saving, reader.handed); failed != nil {
		logger.Debugf("saving the cursor of feed %s at its end: %s", f.feed.name, failed)
	}
	return err
}

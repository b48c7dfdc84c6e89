package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// eventConsumer is the consumer of the feeds of events in the table cursors.
	eventConsumer = "relay"
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
		name:        eventFeedName(shard),
		consumer:    eventConsumer,
		start:       s.eventsSince.Add(-s.lim.window()),
		lost:        "who receives events must be told of all pins again",
		incarnation: gocql.MustRandomUUID(),
		now:         s.now,
	}
	if err := f.claim(ctx); err != nil {
		return nil, fmt.Errorf("taking the cursor of feed %s: %w", f.name, err)
	}
	return &eventFeed{feed: f, from: f.position}, nil
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

// Consume implements state.EventFeed. It ends with ctx, or with ErrSuperseded. With ctx
// it saves how far it has come, so that the next reader repeats little.
func (f *eventFeed) Consume(ctx context.Context, handle func(context.Context, []state.Event, time.Time) error) error {
	reader, err := newEventReader(f.feed, handle)
	if err != nil {
		return fmt.Errorf("reading feed %s: %w", f.feed.name, err)
	}
	err = f.feed.consume(ctx, reader)
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

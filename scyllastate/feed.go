package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// pollEvery is how often a feed is looked at when nothing wakes it.
	pollEvery = 250 * time.Millisecond
	// wakeEvery is the least pause between two looks, however often a feed is
	// written to.
	wakeEvery = 25 * time.Millisecond
	// sharedEvery is how often the feeds that all peers read are looked at,
	// sharedIdle that while there is nothing in them.
	sharedEvery = time.Second
	sharedIdle  = 4 * time.Second
	// saveEvery is how often the cursor is written while changes arrive, and
	// saveIdle while none do.
	saveEvery = time.Second
	saveIdle  = 10 * time.Second
)

// ErrSuperseded ends a feed whose cursor another process has taken: it runs
// with the same peer ID.
var ErrSuperseded = errors.New("another process has taken over this peer's feed")

// Feed reads the changes that concern one peer: its own feed and those for
// every peer. It has one position for all of them.
type Feed struct {
	store *Store
	name  string
	// consumer is who reads it: whose cursor it has.
	consumer string
	// start is where a cursor begins that was never there. Zero means shortly before it is
	// taken.
	start time.Time
	// lost says what became of changes that are not kept any more, for the log, and spare
	// how far after the oldest that is kept it begins then.
	lost  string
	spare time.Duration
	// shared are the feeds of changes for every peer, none if the feed is
	// somebody else's.
	shared      []string
	incarnation gocql.UUID
	// position is where the stored cursor is, or where reading begins.
	position time.Time
	// opened is later than every change that an earlier process can have seen. It
	// is zero if the feed is somebody else's.
	opened time.Time
	// missed is set if reading does not begin where it ended, or did not before and
	// that was not made up for.
	missed bool
	saved  atomic.Int64 // position in Unix seconds, for Lagging
	now    func() time.Time
	// follows is set when the feed is somebody else's, whose cursor stays.
	follows bool
}

var (
	_ state.OwnFeed  = (*Feed)(nil)
	_ state.Follower = (*Store)(nil)
)

// OpenFeed opens the feed of a peer where it was left, and takes its cursor: a
// process that read the feed before gets ErrSuperseded. The cursor of a peer
// that never read starts at the first change for it, or now. Changes that are made after
// OpenFeed returns are delivered.
func (s *Store) OpenFeed(ctx context.Context, id peer.ID) (state.OwnFeed, error) {
	f := &Feed{
		store:       s,
		name:        id.String(),
		consumer:    id.String(),
		lost:        "what changed before that is found by a comparison of all pins of this peer with the pinset",
		incarnation: gocql.MustRandomUUID(),
		now:         s.now,
		shared:      sharedFeeds(),
	}
	err := s.goLive(ctx)
	if err == nil {
		err = f.claim(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("taking the cursor of feed %s: %w", f.name, err)
	}
	return f, nil
}

// Follow implements state.Follower. The feed has no changes for every peer.
func (s *Store) Follow(ctx context.Context, id peer.ID) (state.Feed, error) {
	f := &Feed{store: s, name: id.String(), now: s.now, follows: true}
	at, err := s.tables.readCursor(ctx, f.name, f.name)
	if err != nil {
		return nil, fmt.Errorf("reading the cursor of feed %s: %w", f.name, err)
	}
	f.position = at.position
	if oldest := s.now().Add(-feedTTL); f.position.Before(oldest) {
		f.position = oldest
	}
	return f, nil
}

// Lagging implements state.OwnFeed: more than half of the time for which changes
// are kept has passed since the stored cursor.
func (f *Feed) Lagging() bool { return f.now().Sub(time.Unix(f.saved.Load(), 0)) > feedTTL/2 }

// claim makes this process the only one that moves the cursor. It goes on until
// it succeeds, ctx ends or trying is useless. A wrong clock makes it wait: it
// would choose a wrong position, and what lies before that is never read.
func (f *Feed) claim(ctx context.Context) error {
	for try := 0; ; try++ {
		done, err := f.tryClaim(ctx)
		if done {
			return nil
		}
		if err != nil && scylla.Permanent(err) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("taking the cursor of feed %s, trying again: %s", f.name, err)
		}
		if pause(ctx, f.store.random, min(try+5, 10)) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (f *Feed) tryClaim(ctx context.Context) (done bool, err error) {
	if err := f.store.clock.check(); err != nil {
		return false, err
	}
	now := f.now() // before the read: a writer may open the feed after it
	at, err := f.store.tables.readCursor(ctx, f.name, f.consumer)
	if err != nil {
		return false, err
	}
	oldest, position, missed := now.Add(f.spare-feedTTL), at.position, true
	if at.holder == nil && position.IsZero() && !f.start.IsZero() {
		position = f.start
	}
	switch {
	case at.holder == nil && position.IsZero():
		position = now.Add(-f.store.lim.window())
	case at.holder != nil && *at.holder == f.incarnation:
		return true, nil // an earlier try whose answer was lost
	case position.After(now.Add(f.store.lim.skew())):
		logger.Warnf("feed %s was read up to %s, which is in the future: a clock was wrong then; reading all changes again", f.name, position.Format(time.RFC3339))
		position = oldest
	case position.Before(oldest):
		logger.Warnf("feed %s was last read on %s and keeps changes for %s: %s", f.name, position.Format(time.RFC3339), feedTTL, f.lost)
		position = oldest
	default:
		missed = false
	}
	if f.consumer == f.name { // nothing is owed to those who read a feed of events: they see the gap
		if missed, err = f.owe(ctx, now, missed); err != nil {
			return false, err
		}
	}
	f.position, f.opened, f.missed = position, now.Add(f.store.lim.skew()), missed
	f.saved.Store(position.Unix())
	return f.store.tables.claimCursor(ctx, f.name, f.consumer, cursor{position, &f.incarnation}, at.holder)
}

// save moves the stored cursor. A lost answer is no harm: the position only
// says where to start again.
// Operator Passed of spec/WritePath.tla.
func (f *Feed) save(ctx context.Context, position time.Time) error {
	applied, err := f.store.tables.moveCursor(ctx, f.name, f.consumer, cursor{position, &f.incarnation})
	if err != nil {
		return err
	}
	if !applied {
		return fmt.Errorf("feed %s: %w", f.name, ErrSuperseded)
	}
	return nil
}

// Consume implements state.Feed. It ends with ctx, or with ErrSuperseded.
func (f *Feed) Consume(ctx context.Context, handle state.Handler) error {
	d := newDispatcher(f, handle)
	t := newTail(f, d)
	if f.isOwn() {
		f.store.metrics.reads(&feedReader{t, d})
	}
	return f.consume(ctx, t)
}

// isOwn reports whether the feed is that of the changes for this peer.
func (f *Feed) isOwn() bool { return len(f.shared) > 0 }

// consume hands on what a tail finds in the feed.
func (f *Feed) consume(ctx context.Context, t *tail) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel(nil)
	t.out.start(ctx, &background)
	if !f.follows {
		background.Go(func() {
			if err := f.keepSaved(ctx, t); err != nil {
				cancel(err)
			}
		})
	}
	f.readOn(ctx, t)
	if err := context.Cause(ctx); errors.Is(err, ErrSuperseded) {
		return err
	}
	return ctx.Err()
}

// readOn looks for changes until ctx ends.
func (f *Feed) readOn(ctx context.Context, t *tail) {
	own, stopOwn := f.store.nudges.listen([]string{f.name})
	defer stopOwn()
	shared, stopShared := f.store.nudges.listen(f.shared)
	defer stopShared()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		began := time.Now()
		more, err := t.look(ctx)
		if err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("reading feed %s: %s", f.name, err)
		}
		if more && err == nil {
			continue
		}
		// A wake-up that is there comes before a tick that is due as well: else chance
		// would tell whether what this process has written is looked at now or later.
		select {
		case <-own:
			t.sources[0].woken = true
		default:
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				continue
			case <-own:
				t.sources[0].woken = true
			case <-shared:
				t.sources[1].woken = true
			}
		}
		t.out.recheck()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakeEvery - time.Since(began)):
		}
	}
}

// keepSaved writes the cursor while it moves: often while changes are done,
// seldom while there are none. It returns when another process has taken the
// cursor, and nil when ctx ends.
func (f *Feed) keepSaved(ctx context.Context, t *tail) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !t.out.worked() && time.Since(last) < saveIdle {
			continue
		}
		position := t.position()
		if !position.After(f.position) {
			continue
		}
		err := f.save(ctx, position)
		switch {
		case errors.Is(err, ErrSuperseded):
			return err
		case err == nil:
			f.position, last = position, time.Now()
			f.saved.Store(position.Unix())
			t.out.saved()
		case ctx.Err() == nil:
			state.Failure(err, logger.Warnf, logger.Debugf)("saving the cursor of feed %s: %s", f.name, err)
		}
	}
}

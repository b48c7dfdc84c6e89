package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// pollEvery is how often a feed is looked at when nothing wakes it.
	pollEvery = 250 * time.Millisecond
	// fenceAfter is how long a change may stay pending before its writer is
	// fenced.
	fenceAfter = 2 * time.Second
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
	store       *Store
	name        string
	sources     []string
	incarnation gocql.UUID
	position    time.Time
	now         func() time.Time
}

var _ state.Feed = (*Feed)(nil)

// Feed opens the feed of a peer where it was left, and takes its cursor: a
// process that read the feed before gets ErrSuperseded. The cursor of a peer
// that never read starts now. Changes that are made after Feed returns are
// delivered.
func (s *Store) Feed(ctx context.Context, id peer.ID) (*Feed, error) {
	f := &Feed{
		store:       s,
		name:        id.String(),
		incarnation: gocql.MustRandomUUID(),
		now:         time.Now,
	}
	f.sources = append(f.sources, f.name)
	for shard := range everywhereShards {
		f.sources = append(f.sources, "*/"+strconv.Itoa(shard))
	}
	if err := f.claim(ctx); err != nil {
		return nil, fmt.Errorf("taking the cursor of feed %s: %w", f.name, err)
	}
	return f, nil
}

// claim makes this process the only one that moves the cursor.
func (f *Feed) claim(ctx context.Context) error {
	ctx = scylla.WithTrail(ctx)
	for try := 0; ; try++ {
		position, holder, err := f.cursor(ctx)
		if err != nil {
			return err
		}
		if holder != nil && *holder == f.incarnation {
			return nil // an earlier try whose answer was lost
		}
		if holder == nil {
			position = f.now().Add(-f.store.lim.window())
		}
		if oldest := f.now().Add(-feedTTL); position.Before(oldest) {
			logger.Warnf("feed %s was last read on %s and keeps changes for %s: what was removed before is only found by comparing with IPFS", f.name, position.Format(time.RFC3339), feedTTL)
			position = oldest
		}
		f.position = position
		applied, err := f.store.db.Query(claimCursor, position, f.incarnation, f.name, f.name, holder).
			WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(map[string]any{})
		if err == nil && applied {
			return nil
		}
		if err != nil && scylla.Permanent(err) {
			return scylla.Describe(ctx, err)
		}
		if pause(ctx, try) != nil {
			return errors.Join(context.Cause(ctx), scylla.Describe(ctx, err))
		}
	}
}

func (f *Feed) cursor(ctx context.Context) (position time.Time, holder *gocql.UUID, err error) {
	ctx = scylla.WithTrail(ctx)
	err = f.store.db.Query(selectCursor, f.name, f.name).WithContext(ctx).Consistency(gocql.Serial).Idempotent(true).
		Scan(&position, &holder)
	if errors.Is(err, gocql.ErrNotFound) {
		err = nil
	}
	return position, holder, scylla.Describe(ctx, err)
}

// save moves the stored cursor. A lost answer is no harm: the position only
// says where to start again.
func (f *Feed) save(ctx context.Context, position time.Time) error {
	ctx = scylla.WithTrail(ctx)
	got := make(map[string]any, 1)
	applied, err := f.store.db.Query(moveCursor, position, f.name, f.name, f.incarnation).
		WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(got)
	if err != nil {
		return scylla.Describe(ctx, err)
	}
	if !applied {
		return fmt.Errorf("feed %s: %w (incarnation %v)", f.name, ErrSuperseded, got["incarnation"])
	}
	return nil
}

// Consume implements state.Feed. It ends with ctx, or with ErrSuperseded.
func (f *Feed) Consume(ctx context.Context, handle state.Handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wake, stop := f.store.nudges.listen(f.sources)
	defer stop()

	d := newDispatcher(f.store, handle)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel(nil)
	d.start(ctx, &workers)

	t := newTail(f, d)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var saved time.Time
	for {
		more, err := t.look(ctx)
		if err != nil && ctx.Err() == nil {
			logger.Warnf("reading feed %s: %s", f.name, err)
		}
		pause := saveIdle
		if d.worked() {
			pause = saveEvery
		}
		if p := t.position(); p.After(f.position) && f.now().Sub(saved) >= pause {
			err := f.save(ctx, p)
			switch {
			case errors.Is(err, ErrSuperseded):
				return err
			case err == nil:
				f.position, saved = p, f.now()
				d.saved()
			case ctx.Err() == nil:
				logger.Warnf("saving the cursor of feed %s: %s", f.name, err)
			}
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		case <-wake:
			d.recheck()
		}
	}
}

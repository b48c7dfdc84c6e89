package scyllastate

import (
	"context"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// changesPage is the number of rows that one request returns.
const changesPage = 1000

// changeKey identifies a row of changes.
type changeKey struct {
	at  gocql.UUID
	cid string
}

// tail finds the rows of a feed. A row carries the time of its append and
// appears at most one window later. So there are two passes: each look reads
// what is newer than the newest row seen, and rows that have become older than
// the window are read once more, to find those that came late.
type tail struct {
	feed *Feed
	out  *dispatcher
	// newest is, for each source, the time of the newest row seen.
	newest map[string]time.Time
	looks  int

	mu sync.Mutex
	// final is the time up to which every row has been seen.
	final time.Time
}

func newTail(f *Feed, d *dispatcher) *tail {
	t := &tail{feed: f, out: d, newest: make(map[string]time.Time), final: f.position}
	for _, s := range f.sources {
		t.newest[s] = f.position
	}
	return t
}

// look makes both passes. It returns true when there is more to read at once.
// The feeds of changes for every peer are read by every peer: unless all is
// set, they are looked at in one look of sharedEvery only.
func (t *tail) look(ctx context.Context, all bool) (more bool, err error) {
	now := t.feed.now()
	settled := now.Add(-t.feed.store.lim.window())
	if err := t.feed.store.clock.check(); err != nil {
		settled = t.final // this clock must not decide that no row is late
	}
	if settled.Sub(t.final) > slotLength {
		// What lies further back than the window gets no more rows. One slot
		// at a time, so that the cursor moves meanwhile.
		return true, t.finish(ctx, t.final.Add(slotLength))
	}
	t.looks++
	sources := t.feed.sources
	if !all && t.looks%sharedEvery != 0 {
		sources = sources[:1]
	}
	for _, s := range sources {
		from := t.newest[s].Add(-t.feed.store.lim.skew())
		if from.Before(t.final) {
			from = t.final
		}
		if err := t.read(ctx, s, from, now.Add(t.feed.store.lim.skew())); err != nil {
			return false, err
		}
	}
	if settled.Sub(t.final) < t.feed.store.lim.window()/4 {
		return false, nil // not worth a pass yet
	}
	return false, t.finish(ctx, settled)
}

// finish reads what lies up to the given time for the last time.
func (t *tail) finish(ctx context.Context, upTo time.Time) error {
	for _, s := range t.feed.sources {
		if err := t.read(ctx, s, t.final, upTo); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.final = upTo
	t.mu.Unlock()
	t.out.forget(upTo)
	return nil
}

// read hands on the rows of one source with a time in (after, upTo].
func (t *tail) read(ctx context.Context, source string, after, upTo time.Time) error {
	for slot := slotOf(after); slot <= slotOf(upTo); slot++ {
		err := t.feed.store.tables.readChanges(ctx, source, slot, after, upTo, func(r changeRow) error {
			if at := r.at.Time(); at.After(t.newest[source]) {
				t.newest[source] = at
			}
			return t.out.put(ctx, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// position is the time up to which everything was seen and is done. It may be
// called while a look goes on.
func (t *tail) position() time.Time {
	t.mu.Lock()
	final := t.final
	t.mu.Unlock()
	if oldest, ok := t.out.oldest(); ok && !oldest.After(final) {
		return oldest.Add(-tick)
	}
	return final
}

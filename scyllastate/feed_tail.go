package scyllastate

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

const (
	// changesPage is the number of rows that one request returns.
	changesPage = 1000
	// behind is how far before the newest row each look begins: writers append at
	// the same time, and their rows do not appear in the order of their times.
	behind = 50 * time.Millisecond
	// quietAfter is how long no row comes before a source is looked at seldom.
	quietAfter = time.Minute
	// longestLook bounds the pause between two looks.
	longestLook = 30 * time.Second
	// longestPause is how long the last pass over a source waits after errors.
	longestPause = 5 * time.Minute
)

// changeKey identifies a row of changes.
type changeKey struct {
	at  gocql.UUID
	cid string
}

// tail finds the rows of a feed. A row carries the time of its append and
// appears at most one window later. So there are two passes over each source:
// each look reads what is newer than the newest row seen, and rows that have
// become older than the window are read once more, to find those that came late.
// The second pass alone would be slow where the clocks of writers differ, or an append
// takes long: a row may appear after newer ones. So every two skews a look begins one
// skew before the newest row of the last such look, and what appears within a skew after
// newer rows is seen within two. That costs one and a half rows read per change.
type tail struct {
	feed    *Feed
	out     sink
	sources []*source

	mu sync.Mutex
	// final is the time up to which every row of every source has been seen.
	final time.Time
}

// sink takes what a tail finds, and says how much of it is done. Its methods are safe
// for concurrent use.
type sink interface {
	// start works on it until ctx ends.
	start(ctx context.Context, wg *sync.WaitGroup)
	// put takes a row, unless it is known, and reports whether it did. It waits while there
	// are too many.
	put(ctx context.Context, r changeRow) (taken bool, err error)
	// forget says that all rows up to the given time were put, and are not read again.
	forget(upTo time.Time)
	// oldest is the time of the oldest row that is not done, false if all are.
	oldest() (time.Time, bool)
	// worked reports whether rows were done since the last call of saved.
	worked() bool
	saved()
	// recheck says that this process has written to the feed.
	recheck()
}

var (
	_ sink = (*dispatcher)(nil)
	_ sink = (*eventReader)(nil)
)

// source are feeds that are read by one statement.
type source struct {
	feeds []string
	// every is the pause between two looks, idle that while no rows come.
	every, idle time.Duration

	next  time.Time // the next look
	woken bool      // something was written, do not wait for it
	came  time.Time // when rows came that were newer than all before
	// newest is the time of the newest row seen.
	newest time.Time
	// overlapped is when a look last began that far back, and reached what was
	// newest after the last one of them that was read to its end.
	overlapped, reached time.Time
	// final is the time up to which every row has been seen.
	final time.Time
	// failed is how often the last pass has failed in sequence, and again when it
	// is made again.
	failed int
	again  time.Time
}

func newTail(f *Feed, out sink) *tail {
	t := &tail{feed: f, out: out, final: f.position}
	add := func(every, idle time.Duration, feeds []string) {
		t.sources = append(t.sources, &source{
			feeds: feeds, every: every, idle: idle, came: f.now(),
			newest: f.position, reached: f.position, final: f.position,
		})
	}
	idle := pollEvery
	if isEventFeed(f.name) {
		idle = eventIdle
	}
	add(pollEvery, idle, []string{f.name})
	if len(f.shared) > 0 {
		add(sharedEvery, sharedIdle, f.shared)
	}
	return t
}

// look makes both passes over the sources that are due. It returns true when there
// is more to read at once. What cannot be read of one source holds up no other.
func (t *tail) look(ctx context.Context) (more bool, err error) {
	for _, s := range t.sources {
		now := t.feed.now()
		if now.Before(s.next) && !s.woken {
			continue
		}
		s.woken = false
		again, failed := t.lookAt(ctx, s, now)
		if failed != nil { // it may have taken longer than the pause: the others have their turn
			err = errors.Join(err, failed)
			if next := t.feed.now().Add(t.paced(s.every)); next.After(s.next) {
				s.next = next
			}
		}
		more = more || again
	}
	t.settle()
	return more, err
}

// lookAt is look for one source.
func (t *tail) lookAt(ctx context.Context, s *source, now time.Time) (more bool, err error) {
	skew, window := t.feed.store.lim.skew(), t.feed.store.lim.window()
	settled := now.Add(-window)
	if err := t.feed.store.clock.check(); err != nil {
		settled = s.final // this clock must not decide that no row is late
	}
	switch {
	case settled.Sub(s.final) > slotLength && !now.Before(s.again):
		// What lies further back than the window gets no more rows. One slot
		// at a time, so that the cursor moves meanwhile.
		return true, t.finish(ctx, s, now, s.final.Add(slotLength), s.final.Add(slotLength))
	case now.Sub(s.came) > quietAfter && now.Sub(s.final) <= slotLength && !now.Before(s.again):
		// One read serves both passes.
		every, came, from := s.idle, s.came, s.final
		err := t.finish(ctx, s, now, now.Add(skew), settled)
		if s.came != came {
			every = s.every
		}
		s.next = now.Add(pauseAfter(t.paced(every), from, now.Add(skew)))
		return false, err
	}
	from, overlap := s.newest.Add(-behind), now.Sub(s.overlapped) >= 2*skew
	if overlap {
		s.overlapped = now
		from = s.overlapFrom(from, settled, skew)
	}
	if from.Before(s.final) {
		from = s.final
	}
	s.next = now.Add(pauseAfter(t.paced(s.every), from, now.Add(skew)))
	// A slot that cannot be read holds up the last pass over it, not what is newer.
	if err := t.read(ctx, s, from, now.Add(skew), true); err != nil {
		return false, err
	}
	if overlap {
		s.reached = s.newest
	}
	if settled.Sub(s.final) < window/4 || now.Before(s.again) {
		return false, nil // not worth a pass yet
	}
	return false, t.finish(ctx, s, now, settled, settled)
}

// paced is how long a source is left alone.
func (t *tail) paced(every time.Duration) time.Duration { return t.feed.store.nudges.paced(every) }

// overlapFrom is where a look begins that reads the last ones again, rather than at from.
// After one that failed that is further back, but not beyond what is settled: the last pass
// finds that, and a slot that cannot be read must not have all after it read again and again.
func (s *source) overlapFrom(from, settled time.Time, skew time.Duration) time.Time {
	back := s.reached.Add(-skew)
	if back.Before(settled) {
		back = settled
	}
	if back.Before(from) {
		return back
	}
	return from
}

// pauseAfter is how long to wait after a look at the slots between two times: so long that
// slots are read no more often if there are many, as while the clock is wrong.
func pauseAfter(every time.Duration, after, upTo time.Time) time.Duration {
	return min(every*time.Duration(1+slotOf(upTo)-slotOf(after)), max(every, longestLook))
}

// finish reads what lies up to the given time, and up to settled for the last
// time. When that fails it waits longer and longer: it begins at the same row
// again.
func (t *tail) finish(ctx context.Context, s *source, now, upTo, settled time.Time) error {
	if err := t.read(ctx, s, s.final, upTo, false); err != nil {
		s.again = now.Add(min(pollEvery<<min(s.failed, 20), longestPause))
		s.failed++
		return err
	}
	s.failed, s.final = 0, settled
	return nil
}

// settle moves final to that of the source which is furthest behind.
func (t *tail) settle() {
	final := t.sources[0].final
	for _, s := range t.sources {
		if s.final.Before(final) {
			final = s.final
		}
	}
	t.mu.Lock()
	moved := final.After(t.final)
	t.final = final
	t.mu.Unlock()
	if moved {
		t.out.forget(final)
	}
}

// read hands on the rows of a source with a time in (after, upTo], slot by slot. After
// a slot that cannot be read it ends, or goes on with the others.
func (t *tail) read(ctx context.Context, s *source, after, upTo time.Time, goOn bool) error {
	var failed error
	for slot := slotOf(after); slot <= slotOf(upTo) && (failed == nil || goOn && ctx.Err() == nil); slot++ {
		newest := s.newest
		err := t.feed.store.tables.readChanges(ctx, s.feeds, slot, after, upTo, func(r changeRow) error {
			at := r.at.Time()
			if at.After(newest) {
				newest = at
			}
			taken, err := t.out.put(ctx, r)
			if taken && t.feed.isOwn() {
				// A look at what is new would have missed it.
				t.feed.store.metrics.took(at.Before(s.newest.Add(-behind)))
			}
			return err
		})
		switch {
		case err != nil:
			failed = cmp.Or(failed, err) // older rows may be missing: newest stays
		case newest.After(s.newest):
			s.newest, s.came = newest, t.feed.now()
		}
	}
	return failed
}

// position is the time up to which everything was seen and is done. It may be
// called while a look goes on.
// Operator Passed of spec/WritePath.tla.
func (t *tail) position() time.Time {
	t.mu.Lock()
	final := t.final
	t.mu.Unlock()
	if oldest, ok := t.out.oldest(); ok && !oldest.After(final) {
		return oldest.Add(-tick)
	}
	return final
}

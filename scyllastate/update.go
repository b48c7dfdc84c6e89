package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxConflicts is how often one update starts again because somebody else
// changed the pin first.
const maxConflicts = 50

// point names a moment of a write.
type point string

// The moments of a write at which tests stop it.
const (
	beforeIntents point = "before intents"
	beforeCAS     point = "before CAS"
	afterCAS      point = "after CAS"
)

// write is one try to replace one row.
type write struct {
	cid api.Cid
	old row
	// current is the pin of old, nil when it is none.
	current *api.Pin
	rev     gocql.UUID
	// next is nil when the pin is removed.
	next *content
	// feeds are those of everybody who must know.
	feeds []string
	// read is when old was read.
	read time.Time
	// round is how many tries of an update it makes.
	round int
}

// Update implements state.Updater.
func (s *Store) Update(ctx context.Context, c api.Cid, f func(current *api.Pin) (next *api.Pin, err error)) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/Update")
	defer span.End()

	return answer(s.update(ctx, byUpdate, c, func(old row) (current *api.Pin, next *content, err error) {
		if current, err = old.decode(c); err != nil {
			return nil, nil, err
		}
		pin, err := f(current)
		if err != nil || pin == nil {
			return current, nil, err
		}
		if !pin.Cid.Equals(c) {
			return nil, nil, fmt.Errorf("writing the pin of %s: the new pin is that of %s", c, pin.Cid)
		}
		next, err = encodePin(*pin)
		return current, next, err
	}))
}

// replace writes next, or removes the pin, whatever is there. A row that cannot
// be decoded is replaced like any other, and every peer is told.
func (s *Store) replace(ctx context.Context, c api.Cid, next *content) error {
	return s.update(ctx, byReplace, c, func(old row) (*api.Pin, *content, error) {
		current, err := old.decode(c)
		if err != nil {
			logger.Warnf("replacing a row that cannot be read: %s", err)
			everywhere := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1})
			current = &everywhere
		}
		return current, next, nil
	})
}

// update is the write path: decide what the row becomes, announce it, write it
// if the row is still the one that was decided on, else start again.
// Action Decide of spec/WritePath.tla.
func (s *Store) update(ctx context.Context, op operation, c api.Cid, decide func(old row) (current *api.Pin, next *content, err error)) error {
	if !c.Defined() {
		return fmt.Errorf("writing a pin: %w", errNoCid)
	}
	// A CID that was absent a moment ago is taken to be absent still, which
	// saves a read: when it is not, the condition fails and tells. It was read
	// when it was found absent: a marker that runs out since then would make
	// the condition hold, and peers that have seen the marker would not act.
	var old row
	var err error
	read, assumed := s.absent.Peek(c.KeyString())
	s.absent.Remove(c.KeyString())
	if !assumed {
		read = s.now()
		if old, err = s.readRow(ctx, c, gocql.Quorum); err != nil {
			return err
		}
	}
	for try := range maxConflicts {
		current, next, err := decide(old)
		if try == 0 && (err != nil || next == nil && current == nil) {
			// A refusal must not rest on an assumption; and an earlier write
			// whose outcome is unknown must not appear after "there is nothing
			// to remove": reading at SERIAL finishes it or rules it out.
			if old, err = s.readRow(ctx, c, gocql.Serial); err != nil {
				return err
			}
			current, next, err = decide(old)
		}
		if err != nil || next == nil && current == nil {
			return err
		}
		w, err := s.newWrite(ctx, c, old, current, next)
		if err != nil {
			return err
		}
		w.read, w.round = read, try+1
		s.at(beforeIntents, w)
		if err := s.announce(ctx, w); err != nil {
			return fmt.Errorf("announcing the pin of %s: %w", c, err)
		}
		read = s.now()
		var applied bool
		if applied, old, err = s.swap(ctx, w); err != nil || applied {
			return err
		}
		s.metrics.conflict(op)
		if err := pause(ctx, s.random, try); err != nil {
			return fmt.Errorf("writing the pin of %s: %w", c, err)
		}
	}
	return fmt.Errorf("writing the pin of %s: given up after %d conflicts with other writers", c, maxConflicts)
}

// newWrite chooses the revision of a write, which must be fit to be made.
// Action Decide of spec/WritePath.tla.
func (s *Store) newWrite(ctx context.Context, c api.Cid, old row, current *api.Pin, next *content) (*write, error) {
	err := s.clock.check()
	if err == nil {
		err = s.goLive(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the pin of %s: %w", c, err)
	}
	holders := []*api.Pin{current}
	if next != nil {
		holders = append(holders, &next.pin)
	}
	return &write{cid: c, old: old, current: current, rev: nextRev(s.now(), old.rev), next: next, feeds: s.withEvents(feedsFor(holders...), c)}, nil
}

// announce writes all that must be there before the pin is: the changes for
// those whom it concerns, and the rows by which it is found without a walk over
// the pinset. The row of an expiry that the current pin has is not repeated.
// Action Refuse of spec/WritePath.tla, if it fails.
func (s *Store) announce(ctx context.Context, w *write) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/announce")
	defer span.End()

	if w.next != nil {
		next, current := &w.next.pin, w.current
		if next.IsPinEverywhere() {
			if err := s.indexEverywhere(ctx, w.cid, w.rev); err != nil {
				return err
			}
		}
		if due := next.ExpireAt; !due.IsZero() && (current == nil || !current.ExpireAt.Equal(due)) {
			if err := s.indexExpiry(ctx, w.cid, due); err != nil {
				return err
			}
		}
	}
	return s.intents.append(ctx, newIntents(ctx, w))
}

// swap makes the conditional write. It returns false and the row as it is when
// the condition failed.
// Action Swap of spec/WritePath.tla.
func (s *Store) swap(ctx context.Context, w *write) (applied bool, now row, err error) {
	ctx, span := trace.StartSpan(ctx, "state/scylla/CAS")
	defer span.End()

	ctx = scylla.WithTrail(ctx)
	s.at(beforeCAS, w)
	if ctx.Err() != nil {
		return false, row{}, fmt.Errorf("writing the pin of %s: %w", w.cid, ctx.Err())
	}
	if s.stale(w) {
		now, err = s.readRow(ctx, w.cid, gocql.Quorum)
		return false, now, err
	}
	applied, now, err = s.tables.swap(ctx, w)
	s.at(afterCAS, w)
	if err != nil {
		if scylla.NotSent(err) || scylla.Rejected(err) {
			return false, row{}, fmt.Errorf("writing the pin of %s: %w", w.cid, err)
		}
		applied, now, err = s.resolve(ctx, w, err)
	}
	if applied {
		state.NoteRevision(ctx, state.Revision(w.rev))
		s.metrics.written(w.round)
		s.pins.wrote(w.old, w.next)
		s.nudges.wrote(w.feeds)
	}
	return applied, now, err
}

// resolve finds out what became of a conditional update whose answer was lost.
// It repeats the very same update, at another replica: the row then either has
// this revision, or had it, or still has the one that was asserted, or was
// replaced by somebody else who asserted the same one. In that last case ours
// can never be applied, and resolve returns false and the row, as swap does. Of
// anything else it never says "not applied": an update that was not seen yet may
// still arrive. The context of the caller may have ended, so it goes on under one
// of its own.
// Actions LoseAnswer, Repeat, ReadBack and GiveUp of spec/WritePath.tla.
func (s *Store) resolve(ctx context.Context, w *write, cause error) (applied bool, now row, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.resolveTime())
	defer cancel()
	logger.Debugf("the outcome of writing %s is open, asking again: %s", w.cid, cause)
	unknown := fmt.Errorf("writing the pin of %s: %w: %w", w.cid, state.ErrOutcomeUnknown, cause)
	last := cause
	for try := 0; ; try++ {
		if s.stale(w) {
			return false, row{}, unknown
		}
		applied, _, err := s.tables.swap(ctx, w)
		if applied {
			return true, row{}, nil
		}
		if err == nil {
			now, err = s.readRow(ctx, w.cid, gocql.Serial)
		}
		if err != nil {
			last = err
		} else {
			switch {
			case now.rev == w.rev || now.prev == w.rev:
				return true, row{}, nil
			case now.rev == w.old.rev:
				// Nobody has replaced it yet.
			case now.prev == w.old.rev && !s.stale(w):
				return false, now, nil
			default:
				return false, row{}, fmt.Errorf("%w (it was replaced more than once meanwhile)", unknown)
			}
		}
		if pause(ctx, s.random, try) != nil {
			s.db.NotServed(last)
			return false, row{}, unknown
		}
	}
}

// stale reports whether the row was read so long ago that the marker of a
// removal in between may have run out: the condition would then hold again.
// Actions Swap and RunOut of spec/WritePath.tla.
func (s *Store) stale(w *write) bool {
	return elapsed(w.read, s.now()) > s.conf.UnpinGrace/2
}

// pause waits a random time that grows with the number of the try.
func pause(ctx context.Context, random func(time.Duration) time.Duration, try int) error {
	longest := min(10*time.Millisecond<<min(try, 10), time.Second)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(random(longest)):
		return nil
	}
}

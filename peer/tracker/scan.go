package tracker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// scanBatch is how many pins a scan reads together.
	scanBatch = 256
	// scanPause is how long a scan waits after an error of the database. It grows
	// up to lastScanPause.
	scanPause     = time.Second
	lastScanPause = time.Minute
)

// Run takes up what a process before has left unfinished, and looks until ctx ends for
// what was left, and for what is not as it should be. None of them waits for another: a
// full queue or a bucket that cannot be read may hold up the first one for days.
func (t *Tracker) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { t.scanLeftOften(ctx) })
	beside.Go(func() { t.checkAll(ctx) })
	beside.Go(func() { t.countPins(ctx) })
	t.scan(ctx, true)
	t.scanned.Store(ctx.Err() == nil)
	t.endComparison(ctx)
}

func (t *Tracker) scanLeftOften(ctx context.Context) {
	ticker := time.NewTicker(t.opts.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.sayKept()
			t.scanLeft(ctx)
		}
	}
}

// scanLeft takes up what was left to a scan. Until it has, lists read that from the rows.
func (t *Tracker) scanLeft(ctx context.Context) {
	if left := t.left.Load(); left > 0 {
		t.scan(ctx, false)
		t.left.Add(-left)
	}
}

// scan looks through all that this peer may have to do with, and takes up what is
// unfinished. The first one also takes up what every peer is to hold and this one has
// no row of, and, if changes were missed, what is not as the pinset says: of what is at
// its end it reads no pin otherwise. It returns when it has seen everything or ctx
// has ended. A bucket that cannot be read is passed over and looked at again at the
// end.
func (t *Tracker) scan(ctx context.Context, first bool) {
	part := func(at state.Place, to int) *scanner {
		return &scanner{t: t, unheld: first, all: first && t.opts.Missed, owes: first && t.opts.Missed, at: at, to: to}
	}
	todo := []*scanner{part(state.Place{}, state.Buckets)}
	pause := scanPause
	for len(todo) > 0 && ctx.Err() == nil {
		s := todo[0]
		from := s.at
		err := s.run(ctx)
		if err == nil {
			todo, pause = todo[1:], scanPause
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if s.at != from {
			pause = scanPause
		}
		state.Failure(err, logger.Warnf, logger.Debugf)("looking for unfinished work, next try in %s: %s", pause, err)
		var bad *state.BucketError
		if errors.As(err, &bad) && bad.Bucket < s.to {
			todo = append(todo[1:], part(state.Place{Bucket: bad.Bucket}, bad.Bucket+1))
			if bad.Bucket+1 < s.to {
				todo = append([]*scanner{part(state.Place{Bucket: bad.Bucket + 1}, s.to)}, todo...)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastScanPause)
	}
}

// scanner is a scan of the buckets below to, which knows how far it has come.
type scanner struct {
	t *Tracker
	// unheld is set if what every peer is to hold is taken up where there is no row.
	unheld bool
	// all is set if what has come to an end is compared with the pinset.
	all bool
	// owes is set if what is found is to be done, or noted, before the comparison ends.
	owes bool
	// check is set if that is compared with IPFS, too, and if nothing waits for room
	// in a queue: a check comes again.
	check bool
	to    int
	// at is the place up to which everything was done.
	at    state.Place
	batch []state.Own
}

// errEnough ends a listing at the end of the scan's part.
var errEnough = errors.New("enough")

func (s *scanner) run(ctx context.Context) error {
	s.batch = nil
	rows := tally{held: &s.t.held, from: s.at}
	err := s.t.opts.Store.ListPlaced(ctx, s.t.opts.Self, s.at, func(own state.Own) error {
		if state.Bucket(own.Cid) >= s.to {
			return errEnough
		}
		rows.add(own)
		return s.take(ctx, own)
	})
	var bad *state.BucketError
	switch {
	case err == nil, errors.Is(err, errEnough):
		rows.end()
		return s.flush(ctx)
	case errors.As(err, &bad):
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return err
}

// take collects what is to be looked at, and works on it when it is much.
func (s *scanner) take(ctx context.Context, own state.Own) error {
	if !s.concerns(own) {
		return nil
	}
	s.batch = append(s.batch, own)
	if len(s.batch) < scanBatch {
		return nil
	}
	return s.flush(ctx)
}

// concerns reports whether the scan has to look at the pin of a CID. What is only in
// the feed comes by the feed.
func (s *scanner) concerns(own state.Own) bool {
	row := own.Placement
	switch {
	case row == nil:
		return s.unheld && own.Everywhere
	case row.Status != state.PlacementPinned:
		return true
	}
	if row.Size == 0 {
		s.t.measureLater(own.Cid, row.Rev)
	}
	return s.all
}

// flush works on what has been collected.
func (s *scanner) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	cids := make([]api.Cid, len(s.batch))
	for i, own := range s.batch {
		cids[i] = own.Cid
	}
	var found, fine []int
	pins := make([]*api.Pin, len(cids))
	err := s.t.opts.Store.GetVersions(ctx, cids, func(i int, pin *api.Pin, rev state.Revision, err error) {
		pins[i] = pin
		switch {
		case err != nil:
			logger.Errorf("nothing is done with %s until its pin is written again: %s", cids[i], err)
		case s.t.view(cids[i]).atIt(): // it needs no room
			s.owe(s.batch[i])
		case s.amiss(s.batch[i], pin, rev):
			found = append(found, i)
		case s.check && s.t.holds(pin):
			fine = append(fine, i)
		}
	})
	if err != nil {
		return err
	}
	for _, i := range found {
		if err := s.takeUp(ctx, s.batch[i], pins[i]); err != nil {
			return err
		}
	}
	for _, i := range fine {
		held, err := s.t.askKubo(ctx, *pins[i])
		if err != nil {
			return fmt.Errorf("asking IPFS for %s: %w", cids[i], err)
		}
		if held {
			continue
		}
		if err := s.takeUp(ctx, s.batch[i], pins[i]); err != nil {
			return err
		}
		logger.Warnf("IPFS has lost %s, which is pinned again", cids[i])
	}
	last := s.batch[len(s.batch)-1].Cid
	s.at, s.batch = state.PlaceOf(last), nil
	return nil
}

// amiss reports whether there is work, as far as pin and row tell.
func (s *scanner) amiss(own state.Own, pin *api.Pin, rev state.Revision) bool {
	row, holds := own.Placement, s.t.holds(pin)
	if row == nil {
		return holds
	}
	if s.t.opts.KeepContent && row.Status == state.PlacementUnpinError && !holds {
		return false // it was asked for, and is not done here
	}
	return row.Status != state.PlacementPinned || !holds || row.Rev != rev
}

// takeUp takes up the work on a CID when there is room for it.
func (s *scanner) takeUp(ctx context.Context, own state.Own, pin *api.Pin) error {
	if s.check && s.t.full(pin) {
		return ErrFullQueue
	}
	if err := s.t.room(ctx, pin); err != nil {
		return err
	}
	s.t.takeUp(own)
	s.owe(own)
	return nil
}

// takeUp lets the work on a CID begin that the feed does not tell of, unless it is
// under way. The pin is read once more, so that nothing newer is overtaken.
func (t *Tracker) takeUp(own state.Own) {
	t.with(own.Cid, func(o *op, e *effects) {
		switch {
		case o.phase == idle && !o.busy:
			if row := own.Placement; row != nil { // which may not be there any more
				o.attempts = row.Attempts
			}
			t.enter(o, looking)
		case o.phase == pinFailed || o.phase == unpinFailed || o.phase == unpinKept:
			t.retry(o)
		}
		t.advance(o, e)
	})
}

package reconcile

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// pinsetScrub is the loop that scrubs the pinset, piece by piece. A piece may have
// hundreds of thousands of pins: one that fails is gone on with where it failed.
type pinsetScrub struct {
	r *Reconciler
	// piece is the last one that failed, from the pin in it that is the next.
	piece int
	from  api.Cid
}

// share scrubs a piece if that is this peer's work. As long as it comes further it
// goes on after errors.
func (l *pinsetScrub) share(ctx context.Context, piece int) error {
	if !l.r.opts.View().Mine(share("scrub", piece)) {
		return nil
	}
	if l.piece != piece {
		l.piece, l.from = piece, api.CidUndef
	}
	for {
		before := l.from
		report, next, err := l.r.scrubPiece(ctx, piece, l.from)
		report.log(fmt.Sprintf("piece %d of the pinset", piece))
		if l.from = next; err == nil {
			l.from = api.CidUndef
		}
		if err == nil || next.Equals(before) {
			return err
		}
		logger.Debugf("scrub of piece %d of the pinset, going on at %s: %s", piece, next, err)
		if waitErr := wait(ctx, l.r.opts.RecheckInterval); waitErr != nil {
			return err
		}
	}
}

// scrubPiece looks for pins that are not held by those who should, and lists
// again what has to be found beside the pinset. It begins with the pin of a CID,
// and returns one up to which all is done, also with an error.
func (r *Reconciler) scrubPiece(ctx context.Context, piece int, from api.Cid) (Report, api.Cid, error) {
	s := &pieceScrub{r: r, tell: newTeller(r.opts.Store), reached: from}
	s.begin(ctx)
	scanErr := r.opts.Store.ScanFrom(ctx, piece, scrubPieces, from, func(pin api.Pin, rev state.Revision) error {
		return s.check(ctx, pin, rev)
	}, func(_ api.Cid, err error) {
		s.report.BadRows++
		logger.Errorf("scrub: %s", err)
	})
	err := s.end(ctx)
	if err == nil && scanErr != nil {
		err = fmt.Errorf("reading piece %d of the pinset: %w", piece, scanErr)
	}
	s.report.Told, s.report.Moved, s.report.Starved = s.tell.told, int(s.met.moved.Load()), int(s.met.starved.Load())
	s.report.Alone = int(s.met.alone.Load())
	s.report.Suspects = int(s.met.suspects.Load())
	r.opts.Counts.scrubbedPart(s.report)
	return s.report, s.reached, err
}

// pieceScrub is the work on a piece of the pinset: the pins that a scan has found,
// a step of them at a time.
type pieceScrub struct {
	r      *Reconciler
	tell   *teller
	met    met
	report Report
	// reached is the last pin of the steps that are done, last that of this one.
	reached, last api.Cid
	pins          int

	// The checks of a step; inner ends with the first that fails.
	view   membership.View
	checks *errgroup.Group
	inner  context.Context
	// failed is why a step was not done. There is none after it.
	failed error
}

// begin begins a step.
func (s *pieceScrub) begin(ctx context.Context) {
	s.checks, s.inner = errgroup.WithContext(ctx)
	s.checks.SetLimit(s.r.opts.Rates.Checks)
	s.view, s.pins, s.last = s.r.opts.View(), 0, s.reached
}

// check begins to check a pin. Its error is that of another one, or of a step.
func (s *pieceScrub) check(ctx context.Context, pin api.Pin, rev state.Revision) error {
	s.report.Pins++
	inner, view := s.inner, s.view
	s.checks.Go(func() error { return s.r.scrubPin(inner, view, s.tell, &s.met, pin, rev) })
	s.last = pin.Cid
	if s.pins++; s.pins < scrubStep {
		return inner.Err()
	}
	if err := s.end(ctx); err != nil {
		return err
	}
	s.begin(ctx)
	return nil
}

// end waits for the checks of the step, and tells what they have found, without
// which it is not done.
func (s *pieceScrub) end(ctx context.Context) error {
	if s.failed != nil {
		return s.failed
	}
	s.failed = s.checks.Wait()
	if err := s.tell.flush(ctx); s.failed == nil {
		s.failed = err
	}
	if s.failed == nil {
		s.reached = s.last
	}
	return s.failed
}

package invoicing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var (
	// ErrTaken says that somebody else runs the month.
	ErrTaken = errors.New("somebody else runs it")
	// ErrFenced says that somebody with a later epoch runs the month by now.
	ErrFenced = errors.New("somebody else runs it by now")
)

const (
	// runLease is for how long a month is taken. It is renewed with each step.
	runLease = 5 * time.Minute
	// stepOwners is how many owners are done between two notes of how far a run is, and runWidth of
	// how many at a time.
	stepOwners = 64
	runWidth   = 8
)

// Progress is how far the run of a month is.
type Progress struct {
	Month plan.Month
	// Owners is how many there are, and Done how many were looked at.
	Owners, Done int
	// Issued have an invoice, Nothing have nothing to pay, and Held have none before somebody has
	// looked: see EachHeld.
	Issued, Nothing, Held int
	// Ended is when the run has ended, zero before.
	Ended time.Time

	after string
	epoch int64
	mark  gocql.UUID
}

// Run issues the invoices of a month for every owner that has a plan, or has used something. It goes
// on where the last run was, and shows how far it is. One that has ended begins anew:
// then who was held is looked at again, and who has an invoice keeps it. An owner that fails is held,
// with the error. Errors: ErrTaken, ErrFenced.
func (o *Office) Run(ctx context.Context, month plan.Month, holder string, show func(Progress)) (p Progress, err error) {
	name := fmt.Sprintf("billing/run/%d", periodOf(month))
	epoch, got, err := o.db.TryLease(ctx, name, holder, runLease)
	if err != nil {
		return Progress{}, err
	}
	if !got {
		return Progress{}, fmt.Errorf("the run of %s: %w", month, ErrTaken)
	}
	defer func() {
		err = errors.Join(err, o.db.FreeLease(context.WithoutCancel(ctx), name, holder, epoch))
	}()
	if !o.over(month) {
		return Progress{}, held("%s is not over", month)
	}
	for _, series := range []string{o.opts.Series, o.opts.CreditSeries} {
		if _, err := o.Finish(ctx, series); err != nil {
			return Progress{}, err
		}
	}
	owners, err := o.owners(ctx, month)
	if err != nil {
		return Progress{}, err
	}
	if p, err = o.begin(ctx, month, epoch); err != nil {
		return p, err
	}
	book, err := o.Book(ctx)
	if err != nil {
		return p, err
	}
	from, _ := slices.BinarySearch(owners, p.after)
	if p.after != "" && from < len(owners) && owners[from] == p.after {
		from++
	}
	p.Owners = len(owners)
	for left := owners[from:]; len(left) > 0; {
		step := left[:min(len(left), stepOwners)]
		left = left[len(step):]
		if err := o.step(ctx, book, step, &p); err != nil {
			return p, err
		}
		p.after = step[len(step)-1]
		if _, got, err := o.db.TryLease(ctx, name, holder, runLease); err != nil || !got {
			return p, errors.Join(err, ErrFenced)
		}
		if err := o.save(ctx, &p); err != nil {
			return p, err
		}
		if show != nil {
			show(p)
		}
	}
	p.Ended = o.now()
	return p, o.save(ctx, &p)
}

// owners returns who may have an invoice, sorted: some 100 bytes of memory each.
func (o *Office) owners(ctx context.Context, month plan.Month) ([]string, error) {
	all := make(map[string]bool)
	rows := o.db.Scan(ctx, gocql.Quorum, page, scylla.Bind(selectOwners))
	defer rows.Close()
	for owner := ""; rows.Next(&owner); {
		all[owner] = true
	}
	if err := rows.Close(); err != nil {
		o.db.NotServed(err)
		return nil, fmt.Errorf("reading who has a plan: %w", err)
	}
	err := o.opts.Usage.Owners(ctx, month, func(owner string) error {
		all[owner] = true
		return nil
	})
	return slices.Sorted(maps.Keys(all)), wrap(err, "asking who has used something in %s", month)
}

// step does some owners.
func (o *Office) step(ctx context.Context, book *plan.Book, owners []string, p *Progress) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runWidth)
	var mu sync.Mutex
	for _, owner := range owners {
		g.Go(func() error {
			_, err := o.issue(ctx, book, owner, p.Month)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			why := err
			if errors.Is(err, ErrNothing) {
				why = nil
			}
			if err := o.hold(ctx, periodOf(p.Month), owner, why); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.Done++
			switch {
			case err == nil:
				p.Issued++
			case why == nil:
				p.Nothing++
			default:
				p.Held++
			}
			return nil
		})
	}
	return g.Wait()
}

// hold notes why an owner has no invoice, or that there is no reason.
func (o *Office) hold(ctx context.Context, period int, owner string, why error) error {
	s := scylla.Bind(deleteHeld, period, shardOf(owner), owner)
	if why != nil {
		s = scylla.Bind(insertHeld, period, shardOf(owner), owner, why.Error(), o.now())
	}
	return wrap(o.write(ctx, s), "noting why %q has no invoice", owner)
}

// Held is an owner without an invoice.
type Held struct {
	Owner, Why string
	Since      time.Time
}

// EachHeld calls f with everybody who has no invoice of a month after a run, and why.
func (o *Office) EachHeld(ctx context.Context, month plan.Month, f func(Held) error) error {
	for shard := range shards {
		rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectHeld, periodOf(month), shard))
		for h := (Held{}); rows.Next(&h.Owner, &h.Why, &h.Since); h = (Held{}) {
			if err := f(h); err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if err := rows.Close(); err != nil {
			return fmt.Errorf("reading who is held: %w", err)
		}
	}
	return nil
}

// Progress returns how far the run of a month is. All is zero if there was none.
func (o *Office) Progress(ctx context.Context, month plan.Month) (Progress, error) {
	p := Progress{Month: month}
	_, err := o.db.Read(ctx, gocql.Serial, scylla.Bind(selectRun, periodOf(month)), &p.after, &p.Owners, &p.Done, &p.Issued, &p.Nothing, &p.Held, &p.Ended, &p.epoch, &p.mark)
	return p, wrap(err, "reading how far the run of %s is", month)
}

// begin takes a run over for an epoch, and begins one that has ended anew.
func (o *Office) begin(ctx context.Context, month plan.Month, epoch int64) (Progress, error) {
	mark, err := newMark()
	if err != nil {
		return Progress{}, err
	}
	err = o.decide(ctx, scylla.Bind(insertRun, periodOf(month), "", 0, 0, 0, 0, 0, epoch, mark))
	if err != nil {
		return Progress{}, fmt.Errorf("beginning the run of %s: %w", month, err)
	}
	p, err := o.Progress(ctx, month)
	if err != nil || p.mark == mark {
		return p, err
	}
	if p.epoch > epoch {
		return p, fmt.Errorf("the run of %s: %w", month, ErrFenced)
	}
	if !p.Ended.IsZero() {
		p = Progress{Month: month, mark: p.mark}
	}
	p.epoch = epoch
	return p, o.save(ctx, &p)
}

// save notes how far a run is, if nobody else has.
func (o *Office) save(ctx context.Context, p *Progress) error {
	mark, err := newMark()
	if err != nil {
		return err
	}
	var ended any
	if !p.Ended.IsZero() {
		ended = p.Ended
	}
	err = o.decide(ctx, scylla.Bind(updateRun, p.after, p.Owners, p.Done, p.Issued, p.Nothing, p.Held, ended, p.epoch, mark, periodOf(p.Month), p.mark))
	if err != nil {
		return fmt.Errorf("noting how far the run of %s is: %w", p.Month, err)
	}
	now, err := o.Progress(ctx, p.Month)
	if err == nil && now.mark != mark {
		err = ErrFenced
	}
	p.mark = mark
	return wrap(err, "the run of %s", p.Month)
}

package invoicing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var (
	// ErrPlan says that a version of a plan cannot be added.
	ErrPlan = errors.New("the plan cannot be added")
	// ErrDecided says that a plan cannot be given to an owner from a day on, because another one
	// was from that day, or invoices were made until then.
	ErrDecided = errors.New("it was decided before")
)

// PutPlan adds a version of a price plan, for good. The first version of a plan is 1, and each one
// is the next: so whoever adds one has seen all others. A later version begins after today. To add
// what is there is no error. The error is ErrPlan if it cannot be added, as when there is another
// text of the version.
func (o *Office) PutPlan(ctx context.Context, name string, text []byte) (*plan.Plan, error) {
	p, err := plan.Parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	there, err := o.plansOf(ctx, p.Name())
	if err != nil {
		return nil, err
	}
	if err := o.fits(p, there); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	digest, err := hex.DecodeString(p.Digest())
	if err != nil {
		return nil, fmt.Errorf("the digest of %s: %w", p, err)
	}
	err = o.decide(ctx, scylla.Bind(insertPlan, p.Name(), p.Version(), int32(p.Effective()), string(p.Canonical()), digest, o.now())) //nolint:gosec // a day
	if err != nil {
		return nil, fmt.Errorf("adding %s: %w", p, err)
	}
	if there, err = o.plansOf(ctx, p.Name()); err != nil {
		return nil, err
	}
	return p, wrap(o.fits(p, there), "%w", ErrPlan)
}

// fits says why a version cannot be added to those of the plan that are there.
func (o *Office) fits(p *plan.Plan, there []plan.File) error {
	last := len(there)
	if p.Version() <= last {
		old := there[p.Version()-1]
		if q, err := plan.Parse(old.Name, old.Text); err != nil || q.Digest() != p.Digest() {
			return errors.Join(err, fmt.Errorf("there is another text of %s, and a version is never changed: the next one is %d", p, last+1))
		}
		return nil
	}
	switch {
	case p.Version() != last+1:
		return fmt.Errorf("it is %s, and the next version is %d", p, last+1)
	case last > 0 && p.Effective() <= plan.DayOf(o.now()):
		return fmt.Errorf("%s begins on %s, and what is over may have been invoiced by version %d: let it begin after today", p, p.Effective(), last)
	}
	_, err := plan.NewBook(append(there[:last:last], plan.File{Name: "the new version", Text: p.Canonical()}), nil)
	return err
}

// plansOf returns the versions of a plan, by their numbers from 1.
func (o *Office) plansOf(ctx context.Context, name string) ([]plan.File, error) {
	rows := o.db.Rows(ctx, gocql.Serial, page, scylla.Bind(selectPlan, name))
	defer rows.Close()
	var out []plan.File
	for {
		var version int
		var doc string
		var digest []byte
		if !rows.Next(&version, &doc, &digest) {
			break
		}
		f, err := planFile(name, version, doc, digest)
		if err != nil {
			return nil, err
		}
		out = append([]plan.File{f}, out...)
	}
	return out, wrap(rows.Close(), "reading the plan %q", name)
}

// planFile checks that a plan is the one that was stored.
func planFile(name string, version int, doc string, digest []byte) (plan.File, error) {
	f := plan.File{Name: fmt.Sprintf("%s version %d", name, version), Text: []byte(doc)}
	p, err := plan.Parse(f.Name, f.Text)
	switch {
	case err != nil:
		return plan.File{}, fmt.Errorf("%s as it is stored: %w", f.Name, err)
	case p.Name() != name || p.Version() != version || p.Digest() != hex.EncodeToString(digest):
		return plan.File{}, fmt.Errorf("%s as it is stored: it was changed, its digest is %s and not %x", f.Name, p.Digest(), digest)
	}
	return f, nil
}

// Book returns all plans.
func (o *Office) Book(ctx context.Context) (*plan.Book, error) {
	rows := o.db.Scan(ctx, gocql.Quorum, page, scylla.Bind(selectPlans))
	defer rows.Close()
	var files []plan.File
	for {
		var name, doc string
		var version int
		var digest []byte
		if !rows.Next(&name, &version, &doc, &digest) {
			break
		}
		f, err := planFile(name, version, doc, digest)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if err := rows.Close(); err != nil {
		o.db.NotServed(err)
		return nil, fmt.Errorf("reading the plans: %w", err)
	}
	book, err := plan.NewBook(files, nil)
	return book, wrap(err, "the plans as they are stored")
}

// Given is a plan that an owner has from a day on.
type Given struct {
	plan.Assignment
	Made   time.Time
	MadeBy string
}

// Give gives an owner a plan from a day on, for good: what is to be another one later is given from
// a later day. To give what is given is no error. The error is ErrDecided if another one is given
// from that day, or drafts were made of a month that has it, or a later one.
func (o *Office) Give(ctx context.Context, owner string, a plan.Assignment, by string) error {
	if owner == "" || by == "" {
		return errors.New("a plan is given to an owner, by somebody")
	}
	if there, err := o.plansOf(ctx, a.Plan); err != nil {
		return err
	} else if len(there) == 0 || a.Version < 0 || a.Version > len(there) {
		return fmt.Errorf("there is no plan %q of version %d", a.Plan, a.Version)
	}
	for {
		decided, err := o.decided(ctx, owner)
		if err != nil {
			return err
		}
		given, err := o.Given(ctx, owner)
		if err != nil {
			return err
		}
		for _, g := range given {
			if g.From == a.From {
				if g.Assignment == a {
					return nil
				}
				return fmt.Errorf("%q has plan %s from %s: %w", owner, g.Plan, g.From, ErrDecided)
			}
		}
		if decided != nil && periodOf(plan.MonthOf(a.From)) <= *decided {
			return fmt.Errorf("%q has drafts of %d: %w", owner, *decided, ErrDecided)
		}
		err = o.decide(ctx, scylla.Bind(updateAssigned, a.Plan, a.Version, o.now(), by, owner, int32(a.From), nil, decided)) //nolint:gosec // a day
		if err != nil {
			return fmt.Errorf("giving %q a plan: %w", owner, err)
		}
	}
}

// Given returns which plans an owner has, the last ones first.
func (o *Office) Given(ctx context.Context, owner string) ([]Given, error) {
	rows := o.db.Rows(ctx, gocql.Serial, page, scylla.Bind(selectAssigned, owner))
	defer rows.Close()
	var out []Given
	for {
		var g Given
		var from *int32
		if !rows.Next(&from, &g.Plan, &g.Version, &g.Made, &g.MadeBy) {
			return out, wrap(rows.Close(), "reading the plans of %q", owner)
		}
		if from != nil { // there may be a row for what is of the whole partition
			g.From = plan.Day(*from)
			out = append(out, g)
		}
	}
}

func (o *Office) decided(ctx context.Context, owner string) (*int, error) {
	var decided *int
	_, err := o.db.Read(ctx, gocql.Serial, scylla.Bind(selectDecided, owner), &decided)
	return decided, wrap(err, "reading until when the plans of %q are decided", owner)
}

// schedule returns the plans of an owner, after it has decided those of a month: no other one
// begins before its end from then on.
func (o *Office) schedule(ctx context.Context, book *plan.Book, owner string, period int) (plan.Schedule, error) {
	for {
		decided, err := o.decided(ctx, owner)
		if err != nil {
			return plan.Schedule{}, err
		}
		if decided != nil && *decided >= period {
			return o.planned(ctx, book, owner)
		}
		if err := o.decide(ctx, scylla.Bind(updateDecided, period, owner, decided)); err != nil {
			return plan.Schedule{}, fmt.Errorf("deciding the plans of %q: %w", owner, err)
		}
	}
}

// planned returns the plans of an owner as they are by now.
func (o *Office) planned(ctx context.Context, book *plan.Book, owner string) (plan.Schedule, error) {
	given, err := o.Given(ctx, owner)
	if err != nil {
		return plan.Schedule{}, err
	}
	var all []plan.Assignment
	for _, g := range given {
		all = append(all, g.Assignment)
	}
	s, err := book.Schedule(all)
	return s, wrap(err, "the plans of %q", owner)
}

// periodOf returns a month as 202612.
func periodOf(m plan.Month) int { return m.Year*100 + int(m.Month) }

// monthOf returns the month of a period.
func monthOf(period int) plan.Month {
	return plan.Month{Year: period / 100, Month: time.Month(period % 100)}
}

package invoicing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
)

// Usage tells what owners have used.
type Usage interface {
	// Owners calls f with those who have used something in a month, or are charged for something in
	// it, each at least once and in any order.
	Owners(ctx context.Context, month plan.Month, f func(owner string) error) error
	// Month returns what an owner has used in a month: a total for each of the stretches that
	// begin on the days of cuts, of which the first is that of the month.
	Month(ctx context.Context, owner string, month plan.Month, cuts []plan.Day) (Used, error)
}

// Used is what an owner has used in a month, and does not change any more once it is complete.
type Used struct {
	// Complete says that all days of the month are closed.
	Complete bool
	// Totals are what the days of each stretch were closed with.
	Totals []plan.Quantities
	// Adjustments are those that are charged in the month, of whatever days.
	Adjustments []Adjustment
	// Unsized is of how many pins the size is not known.
	Unsized int64
	// Held says why no invoice is to be issued, as that a day was negative.
	Held []string
	// Digest is another one if a day or an adjustment is.
	Digest [32]byte
}

// Adjustment is by how much a closed day was wrong.
type Adjustment struct {
	ID  [32]byte
	Day plan.Day
	// Version orders those of a day.
	Version int64
	// ByteMS and PinMS are what is to be added, or taken away if they are negative.
	ByteMS, PinMS *big.Int
	Reason        string
}

// ErrHeld says that there is no invoice before somebody has looked, and why.
var ErrHeld = errors.New("the invoice is held")

func held(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrHeld, fmt.Errorf(format, args...))
}

const (
	// correctionMonths is how many months before a month there may be days that are adjusted in it.
	correctionMonths = 12
	kindCorrection   = "correction"
)

// Preview returns the draft of an owner's month as it is by now. Nothing is kept of it. The error is
// ErrHeld if there could be no invoice of it, but for a month that is not over.
func (o *Office) Preview(ctx context.Context, owner string, month plan.Month) (invoice.Document, error) {
	book, err := o.Book(ctx)
	if err != nil {
		return invoice.Document{}, err
	}
	schedule, err := o.planned(ctx, book, owner)
	if err != nil {
		return invoice.Document{}, err
	}
	buyer, err := o.opts.Buyer(ctx, owner)
	if err != nil {
		return invoice.Document{}, fmt.Errorf("asking who %q is: %w", owner, err)
	}
	return o.draft(ctx, owner, month, schedule, buyer, false)
}

// draft makes the draft of a month. It follows from the plans, what was used, who pays and the
// configuration.
func (o *Office) draft(ctx context.Context, owner string, month plan.Month, s plan.Schedule, buyer Buyer, whole bool) (invoice.Document, error) {
	region, err := o.opts.Regions.Of(buyer.Region)
	if err != nil {
		return invoice.Document{}, held("%w", err)
	}
	m := &monthRating{office: o, owner: owner, schedule: s}
	used, stretches, err := m.used(ctx, month)
	switch {
	case err != nil:
		return invoice.Document{}, err
	case whole && !used.Complete:
		return invoice.Document{}, held("not all days of %s are closed", month)
	case len(used.Held) > 0:
		return invoice.Document{}, held("%s", used.Held)
	case o.opts.MostUnsized >= 0 && used.Unsized > o.opts.MostUnsized:
		return invoice.Document{}, held("the sizes of %d pins are not known", used.Unsized)
	}
	rating, err := plan.Rate(month, stretches)
	if err != nil {
		return invoice.Document{}, held("%w", err)
	}
	lines := make([]invoice.Line, 0, len(rating.Lines))
	for _, l := range rating.Lines {
		line, err := lineOf(l)
		if err != nil {
			return invoice.Document{}, err
		}
		lines = append(lines, line)
	}
	corrections, err := m.corrections(ctx, month, used.Adjustments)
	if err != nil {
		return invoice.Document{}, err
	}
	c := invoice.Contents{
		Owner: owner, Period: invoice.Period{From: invoice.Date(month.First()), To: invoice.Date(month.Next().First())}, Seller: o.opts.Seller, Buyer: buyer.Party,
		Currency: rating.Total.Currency(), Lines: append(lines, corrections...), Region: region, Usage: hex.EncodeToString(used.Digest[:]), Notes: buyer.Notes,
	}
	for _, s := range stretches {
		c.Plans = append(c.Plans, invoice.Plan{Name: s.Plan.Name(), Version: s.Plan.Version(), Digest: s.Plan.Digest(), Period: period(s.From, s.To)})
	}
	d, err := invoice.New(c)
	if err != nil {
		return invoice.Document{}, held("%w", err)
	}
	return d, nil
}

func period(from, to plan.Day) invoice.Period {
	return invoice.Period{From: invoice.Date(from), To: invoice.Date(to)}
}

// lineOf returns a line of a rating as one of an invoice.
func lineOf(l plan.Line) (invoice.Line, error) {
	out := invoice.Line{
		Kind: string(l.Kind), Description: l.Description, Meter: string(l.Meter), Period: period(l.From, l.To), TierFrom: l.TierFrom, TierTo: l.TierTo,
		Exact: l.Exact, Unit: l.Unit, UnitPrice: l.UnitPrice, Measure: measureOf(l.Meter), Amount: l.Amount,
	}
	var err, err2 error
	out.Quantity, err = invoice.ParseDecimal(l.Quantity)
	if l.Measured != "" {
		out.Measured, err2 = invoice.ParseDecimal(l.Measured)
	}
	return out, wrap(errors.Join(err, err2), "the line %q", l.Description)
}

func measureOf(m plan.Meter) invoice.Measure {
	switch m {
	case plan.Storage:
		return invoice.ByteMS
	case plan.Pins:
		return invoice.PinMS
	}
	return ""
}

// monthRating rates months of an owner.
type monthRating struct {
	office   *Office
	owner    string
	schedule plan.Schedule
}

// used returns what was used in a month, and its stretches with their plans. The error is ErrHeld if
// something was used when there was no plan, or there is none at all.
func (m *monthRating) used(ctx context.Context, month plan.Month) (Used, []plan.Stretch, error) {
	stretches, err := m.schedule.Stretches(month, nil)
	if err != nil {
		return Used{}, nil, err
	}
	cuts := []plan.Day{month.First()}
	for _, s := range stretches {
		cuts = append(cuts, s.From, s.To)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	if last := len(cuts) - 1; cuts[last] == month.Next().First() {
		cuts = cuts[:last]
	}
	used, err := m.office.opts.Usage.Month(ctx, m.owner, month, cuts)
	if err != nil {
		return Used{}, nil, fmt.Errorf("what %q has used in %s: %w", m.owner, month, err)
	}
	if len(used.Totals) != len(cuts) {
		return Used{}, nil, fmt.Errorf("what %q has used in %s has %d totals for %d stretches", m.owner, month, len(used.Totals), len(cuts))
	}
	for i, cut := range cuts {
		at := slices.IndexFunc(stretches, func(s plan.Stretch) bool { return s.From == cut })
		if at >= 0 {
			stretches[at].Used = used.Totals[i]
			continue
		}
		for _, n := range used.Totals[i] {
			if n != nil && n.Sign() != 0 {
				return Used{}, nil, held("something was used from %s on, when no plan was in force", cut)
			}
		}
	}
	if len(stretches) == 0 {
		return Used{}, nil, held("no plan was in force in %s", month)
	}
	return used, stretches, nil
}

// corrections are lines for the adjustments that are charged in a month, each with its reason. One
// costs what its month would have cost more, with all adjustments before it: so what an owner is
// charged for a month in the end is what the month costs as it was in the end, minimum and tiers
// and all.
func (m *monthRating) corrections(ctx context.Context, charged plan.Month, all []Adjustment) ([]invoice.Line, error) {
	byMonth := make(map[plan.Month][]Adjustment)
	var months []plan.Month
	for _, a := range sorted(all) {
		of := plan.MonthOf(a.Day)
		if byMonth[of] == nil {
			months = append(months, of)
		}
		byMonth[of] = append(byMonth[of], a)
	}
	var out []invoice.Line
	for _, month := range months {
		lines, err := m.correct(ctx, month, charged, byMonth[month])
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

// sorted returns adjustments in an order that follows from what they are, each once.
func sorted(all []Adjustment) []Adjustment {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b Adjustment) int {
		if a.Day != b.Day {
			return int(a.Day - b.Day)
		}
		if a.Version != b.Version {
			return int(a.Version - b.Version)
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return slices.CompactFunc(out, func(a, b Adjustment) bool { return a.ID == b.ID })
}

// correct returns the lines of the adjustments of a month that are charged in another one, or in
// itself.
func (m *monthRating) correct(ctx context.Context, month, charged plan.Month, all []Adjustment) ([]invoice.Line, error) {
	if charged.First() < month.First() || charged.First()-month.First() > correctionMonths*31 {
		return nil, held("%s is corrected in %s, more than %d months later", month, charged, correctionMonths)
	}
	_, stretches, err := m.used(ctx, month)
	if err != nil {
		return nil, err
	}
	for at := month; at != charged; at = at.Next() { // those that were charged before
		earlier, err := m.office.opts.Usage.Month(ctx, m.owner, at, []plan.Day{at.First()})
		if err != nil {
			return nil, fmt.Errorf("what %q was charged in %s: %w", m.owner, at, err)
		}
		for _, a := range sorted(earlier.Adjustments) {
			if plan.MonthOf(a.Day) != month {
				continue
			}
			for _, p := range a.parts() {
				if err := add(stretches, a, p); err != nil {
					return nil, err
				}
			}
		}
	}
	before, err := plan.Rate(month, stretches)
	if err != nil {
		return nil, held("%w", err)
	}
	var out []invoice.Line
	for _, a := range all {
		for _, p := range a.parts() {
			if err := add(stretches, a, p); err != nil {
				return nil, err
			}
			after, err := plan.Rate(month, stretches)
			if err != nil {
				return nil, held("a correction for %s: %w", a.Day, err)
			}
			more, err := after.Total.Sub(before.Total)
			if err != nil {
				return nil, held("a correction for %s: %w", a.Day, err)
			}
			out, before = append(out, correction(a, p, more)), after
		}
	}
	return out, nil
}

// part is what an adjustment does to one meter.
type part struct {
	meter plan.Meter
	n     *big.Int
	name  string
}

func (a Adjustment) parts() []part {
	var out []part
	for _, p := range []part{{plan.Storage, a.ByteMS, "storage"}, {plan.Pins, a.PinMS, "pins"}} {
		if p.n != nil && p.n.Sign() != 0 {
			out = append(out, p)
		}
	}
	return out
}

// add adds a part of an adjustment to the stretch that has its day.
func add(stretches []plan.Stretch, a Adjustment, p part) error {
	i := slices.IndexFunc(stretches, func(s plan.Stretch) bool { return s.From <= a.Day && a.Day < s.To })
	if i < 0 {
		return held("%s is corrected, when no plan was in force", a.Day)
	}
	used := plan.Quantities{}
	for meter, n := range stretches[i].Used {
		used[meter] = n
	}
	sum := new(big.Int).Set(p.n)
	if was := used[p.meter]; was != nil {
		sum.Add(sum, was)
	}
	used[p.meter] = sum
	stretches[i].Used = used
	return nil
}

func correction(a Adjustment, p part, more money.Amount) invoice.Line {
	text := fmt.Sprintf("Correction for %s, %s", a.Day, p.name)
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return invoice.Line{
		Kind: kindCorrection, Description: text, Meter: string(p.meter), Period: period(a.Day, a.Day+1),
		Measured: invoice.Whole(p.n), Measure: measureOf(p.meter), Amount: more,
	}
}

// over tells whether a month is over.
func (o *Office) over(month plan.Month) bool { return !o.now().Before(month.Next().First().Time()) }

// dayTime is when a day begins.
func dayTime(day int32) time.Time { return plan.Day(day).Time() }

package plan

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Stretch is what was used on some days of a month, under one plan.
type Stretch struct {
	Plan *Plan
	// From is the first day, and To the first after them.
	From, To Day
	Used     Quantities
}

// Ref names a version of a plan, and its text.
type Ref struct {
	Plan    string `json:"plan"`
	Version int    `json:"version"`
	Digest  string `json:"digest"`
}

// Ref names the plan.
func (p *Plan) Ref() Ref { return Ref{p.name, p.version, p.digest} }

// Rating is what the usage of a month costs.
type Rating struct {
	Month Month `json:"month"`
	// Plans are those that it is by, in the order of their days.
	Plans []Ref  `json:"plans"`
	Lines []Line `json:"lines"`
	// Total is the sum of the lines.
	Total money.Amount `json:"total"`
}

// Rate says what a month costs. The stretches are in the order of their days, and no day
// is in two. Those of one plan that follow one another are one: a month that is cut into
// days costs what it costs uncut. All plans must have one currency.
//
// At a change of plan the tiers and packages of the new one begin at 0, and its quota is
// in proportion to its days. With tiers: carry they go on where the usage of the month
// was, by the measures of the new plan, and the quota is that of the whole month, of which
// that usage is taken. The minimum of a plan is compared with all of its own lines.
func Rate(m Month, stretches []Stretch) (Rating, error) {
	return rate(m, stretches, m.end(), true)
}

// rater collects lines.
type rater struct {
	month   Month
	through Day // what is due for days counts up to here
	before  Quantities
	due     map[string]bool // what is due once, and was added
	lines   []Line
}

// rate is Rate, with what is due for days up to a day only, and without a minimum unless
// the month is over.
func rate(m Month, stretches []Stretch, through Day, over bool) (Rating, error) {
	stretches, err := merged(m, stretches)
	if err != nil {
		return Rating{}, err
	}
	r := &rater{month: m, through: through, before: Quantities{}.plus(nil), due: map[string]bool{}}
	out := Rating{Month: m}
	for _, s := range stretches {
		out.Plans = append(out.Plans, s.Plan.Ref())
		for _, c := range s.Plan.charges {
			if err := r.charge(s, c); err != nil {
				return Rating{}, fmt.Errorf("%s, from %s: %w", s.Plan, s.From, err)
			}
		}
		r.before = r.before.plus(s.Used)
	}
	if over {
		if err := r.minimums(stretches); err != nil {
			return Rating{}, err
		}
	}
	out.Lines, out.Total = r.lines, money.Zero(stretches[0].Plan.currency)
	for _, l := range r.lines {
		if out.Total, err = out.Total.Add(l.Amount); err != nil {
			return Rating{}, err
		}
	}
	return out, nil
}

// merged checks stretches, and makes one of those that follow one another.
func merged(m Month, stretches []Stretch) ([]Stretch, error) {
	if len(stretches) == 0 {
		return nil, errors.New("no plan was in force")
	}
	var out []Stretch
	day := m.First()
	for _, s := range stretches {
		if s.Plan == nil || s.From < day || s.To <= s.From || s.To > m.end() {
			return nil, fmt.Errorf("the days from %s to %s are not in %s, or not in their order, or have no plan", s.From, s.To, m)
		}
		day = s.To
		if err := s.Used.check(); err != nil {
			return nil, fmt.Errorf("%s, from %s: %w", s.Plan, s.From, err)
		}
		if first := stretches[0].Plan; s.Plan.currency != first.currency {
			return nil, fmt.Errorf("%w: %s has %s, and %s has %s; a currency changes with a month", money.ErrCurrencies, first, first.currency, s.Plan, s.Plan.currency)
		}
		for _, before := range out {
			if before.Plan.same(s.Plan) && before.Plan.digest != s.Plan.digest {
				return nil, fmt.Errorf("there are two texts of %s", s.Plan)
			}
		}
		if last := len(out) - 1; last >= 0 && out[last].To == s.From && out[last].Plan.same(s.Plan) {
			out[last].To, out[last].Used = s.To, out[last].Used.plus(s.Used)
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

// add adds a line of num/den units at a price.
func (r *rater) add(p *Plan, l Line, num, den *big.Int, price money.Decimal) error {
	if err := l.fill(p, num, den, price); err != nil {
		return fmt.Errorf("%s: %w", l.Description, err)
	}
	r.lines = append(r.lines, l)
	return nil
}

// minimums adds what the lines of each plan are short of its minimum. A plan that was left
// and came back finds that of its first days among its lines.
func (r *rater) minimums(stretches []Stretch) error {
	for _, s := range stretches {
		p, days, to := s.Plan, Day(0), s.To
		for _, other := range stretches {
			if other.Plan.same(p) {
				days, to = days+other.To-other.From, other.To
			}
		}
		if p.minimum == nil {
			continue
		}
		if err := r.minimum(p, s.From, to, int64(days)); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

func (r *rater) minimum(p *Plan, from, to Day, days int64) error {
	of := int64(r.month.Days())
	description := "Minimum of " + p.price(p.minimum.amount).String()
	if !p.minimum.prorate {
		days = of
	}
	if days < of {
		description += fmt.Sprintf(", for %d of %d days", days, of)
	}
	var missing Line // as if all of it were
	if err := missing.fill(p, big.NewInt(days), big.NewInt(of), p.minimum.amount); err != nil {
		return err
	}
	rest := missing.Amount
	for _, l := range r.lines {
		if l.Plan != p.name || l.Version != p.version {
			continue
		}
		var err error
		if rest, err = rest.Sub(l.Amount); err != nil {
			return err
		}
	}
	if rest.Sign() <= 0 {
		return nil
	}
	one := big.NewInt(1)
	return r.add(p, Line{Kind: Minimum, Description: description, From: from, To: to, Unit: "month"}, one, one, rest.Decimal())
}

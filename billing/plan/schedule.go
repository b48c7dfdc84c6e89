package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Assignment says which plan an owner has from a day on.
type Assignment struct {
	From Day
	Plan string
	// Version is the version, or 0 for the one that is effective on each day.
	Version int
}

// Schedule says which plan is in force on which day. The zero value has none.
type Schedule struct {
	turns []turn // by their days, each until the next one
}

// turn is a plan, or none, from a day on.
type turn struct {
	from Day
	plan *Plan
}

// Always returns the schedule of those who have one plan, also before it was effective.
func Always(p *Plan) Schedule {
	return Schedule{[]turn{{math.MinInt32, p}}}
}

// Schedule returns that of an owner. The assignments may be in any order. Those that name
// a plan or a version that is not there, or are from one day, are errors.
func (b *Book) Schedule(assignments []Assignment) (Schedule, error) {
	assignments = slices.Clone(assignments)
	slices.SortFunc(assignments, func(a, b Assignment) int { return cmp.Compare(a.From, b.From) })
	var s Schedule
	for i, a := range assignments {
		end := Day(math.MaxInt64)
		if i+1 < len(assignments) {
			end = assignments[i+1].From
		}
		if end == a.From {
			return Schedule{}, fmt.Errorf("two plans are assigned from %s: %s and %s", a.From, a.Plan, assignments[i+1].Plan)
		}
		turns, err := b.turns(a)
		if err != nil {
			return Schedule{}, err
		}
		for _, t := range turns {
			if t.from < end {
				s.turns = append(s.turns, t)
			}
		}
	}
	return s, nil
}

// turns are the versions that an assignment has, one after another.
func (b *Book) turns(a Assignment) ([]turn, error) {
	if a.Version != 0 {
		p, ok := b.Plan(a.Plan, a.Version)
		if !ok {
			return nil, fmt.Errorf("there is no version %d of plan %.70q, which is assigned from %s", a.Version, a.Plan, a.From)
		}
		return []turn{{a.From, p}}, nil
	}
	turns := []turn{{a.From, nil}}
	known := false
	for _, p := range b.plans {
		switch {
		case p.name != a.Plan:
			continue
		case p.effective <= a.From:
			turns[0].plan = p
		default:
			turns = append(turns, turn{p.effective, p})
		}
		known = true
	}
	if !known {
		return nil, fmt.Errorf("there is no plan %.70q, which is assigned from %s", a.Plan, a.From)
	}
	return turns, nil
}

// DayUsage is what was used on a day.
type DayUsage struct {
	Day  Day
	Used Quantities
}

// Stretches returns the plans of a month with what was used under each. The days may be in
// any order; a day that is not there was one without usage. It is an error if a day is
// there twice, is not in the month, or has usage and no plan.
func (s Schedule) Stretches(m Month, days []DayUsage) ([]Stretch, error) {
	var out []Stretch
	for i, t := range s.turns {
		end := m.end()
		if i+1 < len(s.turns) {
			end = min(end, s.turns[i+1].from)
		}
		if from := max(m.First(), t.from); t.plan != nil && from < end {
			out = append(out, Stretch{Plan: t.plan, From: from, To: end, Used: Quantities{}})
		}
	}
	seen := map[Day]bool{}
	for _, d := range days {
		if seen[d.Day] || d.Day < m.First() || d.Day >= m.end() {
			return nil, fmt.Errorf("%s is there twice, or is not in %s", d.Day, m)
		}
		seen[d.Day] = true
		if err := d.Used.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Day, err)
		}
		if d.Used.none() {
			continue
		}
		i := slices.IndexFunc(out, func(s Stretch) bool { return s.From <= d.Day && d.Day < s.To })
		if i < 0 {
			return nil, fmt.Errorf("something was used on %s, when no plan was in force", d.Day)
		}
		out[i].Used = out[i].Used.plus(d.Used)
	}
	return out, nil
}

// Rate says what a month costs by the plans that were in force in it.
func (s Schedule) Rate(m Month, days []DayUsage) (Rating, error) {
	stretches, err := s.Stretches(m, days)
	if err != nil {
		return Rating{}, err
	}
	return Rate(m, stretches)
}

package plan

import (
	"cmp"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Accrual is what a month has cost at the end of a day.
type Accrual struct {
	Day Day `json:"day"`
	// Total is what is due for the days up to this one, which belongs to them.
	Total money.Amount `json:"total"`
	// Added is how much more that is than the day before. It may be less than 0 with
	// volume prices.
	Added money.Amount `json:"added"`
}

// Accrue returns a preview of a month, day by day from its first one through a day. It
// is no invoice: the usage until then is rated as Rate would, charges that are
// prorated count the days, and no minimum is in it, as that can be told only when the month
// is over. What was used after the last day is left out.
func (s Schedule) Accrue(m Month, days []DayUsage, through Day) ([]Accrual, error) {
	if _, err := s.Stretches(m, days); err != nil {
		return nil, err
	}
	days = slices.Clone(days)
	slices.SortFunc(days, func(a, b DayUsage) int { return cmp.Compare(a.Day, b.Day) })
	var out []Accrual
	var last money.Amount
	for day, n := m.First(), 0; day <= min(through, m.end()-1); day++ {
		for n < len(days) && days[n].Day <= day {
			n++
		}
		stretches, err := s.Stretches(m, days[:n])
		if err != nil {
			return nil, err
		}
		rating, err := rate(m, stretches, day+1, false)
		if err != nil {
			return nil, err
		}
		if len(out) == 0 {
			last = money.Zero(rating.Total.Currency())
		}
		added, err := rating.Total.Sub(last)
		if err != nil {
			return nil, err
		}
		last = rating.Total
		out = append(out, Accrual{day, rating.Total, added})
	}
	return out, nil
}

package plan

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// maxDays is for how long an estimate may be: ten years.
const maxDays = 3660

// Standing is what an owner has before a pin is made.
type Standing struct {
	// Days are those of the month that are over.
	Days []DayUsage
	// Bytes and Pins are what the owner has now, the bytes times their copies. They are
	// taken to stay.
	Bytes *big.Int
	Pins  int64
}

// Pin is what an owner thinks of pinning.
type Pin struct {
	Bytes *big.Int
	// Replicas is how many copies there are to be.
	Replicas int
	// From is the first day, and Days for how many days, from 1 to 3,660.
	From Day
	Days int
}

// Estimate is what a pin costs.
type Estimate struct {
	// Months are those that the pin is in, one after another.
	Months []MonthCost `json:"months"`
	// Cost is the sum over them.
	Cost money.Amount `json:"cost"`
}

// MonthCost is what a month costs without a pin and with it, and the difference.
type MonthCost struct {
	Month   Month        `json:"month"`
	Without money.Amount `json:"without"`
	With    money.Amount `json:"with"`
	Cost    money.Amount `json:"cost"`
}

// Estimate says what a pin costs on top of what the owner has. It rates each month twice,
// without the pin and with it: what the pin finds of a quota, in which tier it is, and
// whether the minimum covers it, is all in the difference. For volume prices that
// may be less than 0.
func (s Schedule) Estimate(now Standing, pin Pin) (Estimate, error) {
	if pin.Bytes == nil || pin.Bytes.Sign() < 0 || pin.Replicas < 1 || pin.Days < 1 || pin.Days > maxDays {
		return Estimate{}, fmt.Errorf("there is no pin of %v bytes and %d copies for %d days", pin.Bytes, pin.Replicas, pin.Days)
	}
	if now.Pins < 0 || now.Bytes != nil && now.Bytes.Sign() < 0 {
		return Estimate{}, errors.New("an owner has less than nothing")
	}
	for _, d := range now.Days {
		if d.Day >= pin.From {
			return Estimate{}, fmt.Errorf("%s is not over when the pin begins, on %s", d.Day, pin.From)
		}
	}
	had := perDay(now.Bytes, 1, now.Pins)
	have := had.plus(perDay(pin.Bytes, pin.Replicas, 1))
	var out Estimate
	end := pin.From + Day(pin.Days)
	for m, before := MonthOf(pin.From), now.Days; m.First() < end; m, before = m.Next(), nil {
		cost, err := s.difference(m, before, had, have, pin.From, end)
		if err != nil {
			return Estimate{}, err
		}
		if len(out.Months) == 0 {
			out.Cost = money.Zero(cost.Cost.Currency())
		}
		if out.Cost, err = out.Cost.Add(cost.Cost); err != nil {
			return Estimate{}, fmt.Errorf("the months of a pin cost different things: %w", err)
		}
		out.Months = append(out.Months, cost)
	}
	return out, nil
}

// difference rates a month in which there is one usage a day until from and after end, and
// another one between.
func (s Schedule) difference(m Month, before []DayUsage, had, have Quantities, from, end Day) (MonthCost, error) {
	without, with := before[:len(before):len(before)], before[:len(before):len(before)]
	for day := max(m.First(), from); day < m.end(); day++ {
		without = append(without, DayUsage{day, had})
		if day < end {
			with = append(with, DayUsage{day, have})
		} else {
			with = append(with, DayUsage{day, had})
		}
	}
	less, err := s.Rate(m, without)
	if err != nil {
		return MonthCost{}, err
	}
	more, err := s.Rate(m, with)
	if err != nil {
		return MonthCost{}, err
	}
	cost, err := more.Total.Sub(less.Total)
	return MonthCost{m, less.Total, more.Total, cost}, err
}

// perDay is what a day adds to the meters.
func perDay(bytes *big.Int, replicas int, pins int64) Quantities {
	n := big.NewInt(int64(replicas) * DayMS)
	if bytes == nil {
		bytes = new(big.Int)
	}
	p := big.NewInt(pins)
	return Quantities{Storage: n.Mul(n, bytes), Pins: p.Mul(p, big.NewInt(DayMS))}
}

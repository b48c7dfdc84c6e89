package plan

import (
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Limit is how much an owner means to spend in a month, and at which parts of that somebody
// is told. NewLimit makes it.
type Limit struct {
	amount   money.Amount
	percents []int
}

// NewLimit returns a limit. The percents ascend, from 1 to 1,000: what is beyond 100 is
// for those who go on.
func NewLimit(amount money.Amount, percents ...int) (Limit, error) {
	if amount.Sign() <= 0 {
		return Limit{}, fmt.Errorf("a limit of %s is none: write one above 0", amount)
	}
	last := 0
	for _, p := range percents {
		if p <= last || p > 1000 {
			return Limit{}, fmt.Errorf("the thresholds %v are not in ascending order between 1 and 1000 percent", percents)
		}
		last = p
	}
	if last == 0 {
		return Limit{}, fmt.Errorf("a limit of %s without thresholds is never told: write percents, as 80 and 100", amount)
	}
	return Limit{amount, append([]int(nil), percents...)}, nil
}

// Amount is the whole of the limit.
func (l Limit) Amount() money.Amount { return l.amount }

// Crossed returns which percents are reached with a total, and were not with an earlier
// one. A total that falls crosses none. It is exact: a threshold is not rounded.
func (l Limit) Crossed(before, after money.Amount) ([]int, error) {
	var out []int
	for _, percent := range l.percents {
		was, err := l.reached(before, percent)
		if err != nil {
			return nil, err
		}
		is, err := l.reached(after, percent)
		if err != nil {
			return nil, err
		}
		if is && !was {
			out = append(out, percent)
		}
	}
	return out, nil
}

// reached tells whether a total is so many percents of the limit, or more.
func (l Limit) reached(total money.Amount, percent int) (bool, error) {
	if total.Currency() != l.amount.Currency() {
		return false, fmt.Errorf("%w: the limit is %s, and the total %s", money.ErrCurrencies, l.amount, total)
	}
	a, b := total.Decimal(), l.amount.Decimal()
	scale := max(a.Scale(), b.Scale())
	is, want := a.Scaled(scale), b.Scaled(scale)
	is.Mul(is, big.NewInt(100))
	return is.Cmp(want.Mul(want, big.NewInt(int64(percent)))) >= 0, nil
}

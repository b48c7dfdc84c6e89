package invoice

import (
	"math/big"
	"slices"
)

// share divides a total among parts by their weights, by the method of the largest remainder:
// each part gets its exact share rounded down, and what is left over goes, one unit each, to
// those that lost most by it, of equals to the first. The shares add up to the total. If the
// total has the sign of the sum of the weights and is not more than it, no share is more than
// its weight, and if it is the sum, each is its weight. The weights must not add up to zero.
func share(total *big.Int, weights []*big.Int) []*big.Int {
	sum := new(big.Int)
	for _, w := range weights {
		sum.Add(sum, w)
	}
	shares, lost := make([]*big.Int, len(weights)), make([]*big.Int, len(weights))
	left := new(big.Int).Set(total)
	order := make([]int, len(weights))
	for i, w := range weights {
		exact := new(big.Int).Mul(total, w)
		divisor := sum
		if sum.Sign() < 0 { // so that what is lost is never negative
			exact, divisor = exact.Neg(exact), new(big.Int).Neg(sum)
		}
		shares[i], lost[i] = new(big.Int).DivMod(exact, divisor, new(big.Int))
		left.Sub(left, shares[i])
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lost[b].Cmp(lost[a]) })
	for _, i := range order[:left.Int64()] { // fewer than there are parts
		shares[i].Add(shares[i], big.NewInt(1))
	}
	return shares
}

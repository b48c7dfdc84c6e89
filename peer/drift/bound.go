package drift

import "math"

// rest is how likely it is that the true share is above the bound: 5 %.
const rest = 0.05

// Upper95 is the upper bound of a share of which bad in n were found in a random sample:
// with 95 % confidence it is no larger. It is one-sided and exact, after Clopper and
// Pearson, for a population that is much larger than the sample; for another one it is too
// large. With no bad one in n it is about 3/n. Without a sample it is 1.
func Upper95(bad, n int) float64 {
	if n <= 0 || bad >= n {
		return 1
	}
	low, high := float64(bad)/float64(n), 1.0
	for range 64 { // halvings; float64 has 53 bits
		middle := (low + high) / 2
		if binomial(bad, n, middle) > rest {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// binomial is the probability of at most bad in n when each is with probability p.
func binomial(bad, n int, p float64) float64 {
	sum := 0.0
	for i := range bad + 1 {
		sum += math.Exp(choose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

// choose is the logarithm of the number of ways to choose k of n.
func choose(n, k int) float64 { return logFactorial(n) - logFactorial(k) - logFactorial(n-k) }

func logFactorial(n int) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

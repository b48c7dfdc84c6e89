package scyllastate

import "time"

// draw gives the chances of one event of a schedule. They follow from what the
// event is, not from what was drawn before: in whichever order the goroutines
// of one instant run, the schedule is the same.
type draw struct{ x uint64 }

// newDraw is the draw of the n-th event that is described by the words.
func newDraw(seed uint64, n int, words ...string) *draw {
	const prime = 1099511628211 // FNV-1a
	h := uint64(14695981039346656037)
	mix := func(v uint64) {
		for range 8 {
			h = (h ^ v&0xff) * prime
			v >>= 8
		}
	}
	mix(seed)
	mix(uint64(n)) //nolint:gosec // a counter
	for _, w := range words {
		for i := range len(w) {
			h = (h ^ uint64(w[i])) * prime
		}
		h = (h ^ 0x1ff) * prime
	}
	return &draw{x: h}
}

// next is splitmix64.
func (d *draw) next() uint64 {
	d.x += 0x9e3779b97f4a7c15
	z := d.x
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance is true so many times in a thousand.
func (d *draw) chance(permille int) bool { return d.below(1000) < permille }

func (d *draw) below(n int) int { return int(d.next() % uint64(n)) } //nolint:gosec // below n

// between is a time of at least lo and below hi, to the nanosecond.
func (d *draw) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.next()%uint64(hi-lo)) //nolint:gosec // below hi-lo
}

// mostly is between, with most results in the lower part.
func (d *draw) mostly(lo, hi time.Duration) time.Duration {
	if d.chance(600) {
		hi = lo + (hi-lo)/10
	}
	return d.between(lo, hi)
}

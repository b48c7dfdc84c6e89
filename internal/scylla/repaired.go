package scylla

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// repairedRange is a piece of the ring, (after, upTo], and when a repair of it began.
type repairedRange struct {
	after, upTo int64
	at          time.Time
}

// parseRange reads a range as Apache Cassandra writes it, "(-12,34]". One that goes
// around the end of the ring becomes two. What is no range of this partitioner is
// left out: what it stands for counts as not repaired.
func parseRange(text string, at time.Time) []repairedRange {
	inner, open := strings.CutPrefix(text, "(")
	inner, closed := strings.CutSuffix(inner, "]")
	left, right, ok := strings.Cut(inner, ",")
	after, err1 := strconv.ParseInt(strings.TrimSpace(left), 10, 64)
	upTo, err2 := strconv.ParseInt(strings.TrimSpace(right), 10, 64)
	switch {
	case !open || !closed || !ok || err1 != nil || err2 != nil:
		return nil
	case after < upTo:
		return []repairedRange{{after, upTo, at}}
	}
	return []repairedRange{{after, math.MaxInt64, at}, {math.MinInt64, upTo, at}}
}

// repairedSince returns the time since when every part of the ring was repaired, and
// the zero time when some part was not.
func repairedSince(all []repairedRange) time.Time {
	all = slices.SortedFunc(slices.Values(all), func(a, b repairedRange) int { return b.at.Compare(a.at) })
	n := sort.Search(len(all), func(i int) bool { return coversRing(all[:i+1]) })
	if n == len(all) {
		return time.Time{}
	}
	return all[n].at
}

// coversRing reports whether ranges leave out no token.
func coversRing(some []repairedRange) bool {
	upTo := int64(math.MinInt64) // no key has this token
	for _, r := range slices.SortedFunc(slices.Values(some), func(a, b repairedRange) int { return cmp.Compare(a.after, b.after) }) {
		if r.after > upTo {
			return false
		}
		upTo = max(upTo, r.upTo)
	}
	return upTo == math.MaxInt64
}

package reconcile

import (
	"context"
	"fmt"
	"math/bits"
	"time"
)

// maxPieceTries is how often one piece is tried before the scrub goes on
// without it, until the next round.
const maxPieceTries = 3

// catchUp is how many times faster than usual a scrub goes that is behind.
const catchUp = 4

// pace calls do for each of n parts of a round, one after another and spread
// evenly over ScrubEvery, round after round until ctx ends. The place in the
// round follows from the time of day: a peer that restarts goes on where it was,
// and all peers are at the same place. When the parts take longer than their
// share of the time, none is left out: the round takes longer. What is behind
// goes no more than catchUp times as fast.
func (r *Reconciler) pace(ctx context.Context, what string, n int, do func(ctx context.Context, part int) error) {
	c := &complaint{what: what}
	at := partAt(time.Now(), n, r.opts.ScrubEvery)
	slot := r.opts.ScrubEvery / time.Duration(n)
	var last time.Time
	for tries := 0; ; {
		now := time.Now()
		current := partAt(now, n, r.opts.ScrubEvery)
		if at > current+1 { // the clock was set back
			at = current
		}
		if behind := current - at; behind > int64(n) {
			at = current - behind%int64(n) // the same part, of this round
		}
		start := partStart(at, n, r.opts.ScrubEvery)
		if earliest := last.Add(slot / catchUp); start.Before(earliest) {
			start = earliest
		}
		if wait(ctx, start.Sub(now)) != nil {
			return
		}
		last = time.Now()
		part := int(at % int64(n))
		err := do(ctx, part)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			at, tries = at+1, 0
			continue
		}
		c.say(fmt.Errorf("part %d of %d: %w", part, n, err))
		if tries++; tries >= maxPieceTries {
			at, tries = at+1, 0
		}
		if wait(ctx, r.opts.RecheckInterval) != nil {
			return
		}
	}
}

// partAt is the number of the part that is due at a time, counted on over all
// rounds since 1970.
func partAt(t time.Time, n int, round time.Duration) int64 {
	since := t.UnixNano()
	rounds, rest := since/int64(round), since%int64(round)
	hi, lo := bits.Mul64(uint64(rest), uint64(n))
	part, _ := bits.Div64(hi, lo, uint64(round))
	return rounds*int64(n) + int64(part)
}

// partStart is the first moment at which partAt gives that part.
func partStart(at int64, n int, round time.Duration) time.Time {
	rounds, part := at/int64(n), at%int64(n)
	hi, lo := bits.Mul64(uint64(part), uint64(round))
	into, rest := bits.Div64(hi, lo, uint64(n))
	if rest > 0 {
		into++
	}
	return time.Unix(0, rounds*int64(round)+int64(into))
}

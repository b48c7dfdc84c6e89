package drift

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// strata are the parts of the buckets from which a sample is drawn in turn.
const strata = 64

// Sample is what came of asking for some pins that are desired. Of what is not desired a
// sample says nothing.
type Sample struct {
	Ended time.Time
	// Size is how many pins IPFS was asked for, Bad how many of those are missing or in
	// the wrong mode.
	Size, Bad int
	// Whole is set if those are all that there are.
	Whole bool
}

// Upper95 is the upper bound of the share of those that are missing or in the wrong mode:
// see the function Upper95. Of all it is the share itself.
func (s Sample) Upper95() float64 {
	if s.Whole {
		return float64(s.Bad) / float64(max(1, s.Size))
	}
	return Upper95(s.Bad, s.Size)
}

// Sample asks IPFS for pins of random buckets, as many as Options.Sample says, or all where
// there are fewer. It takes the buckets from one stratum after another, some pins of each,
// and those that had no pins in the last sweep last, as they may have some since. It pauses
// between them, so that the work is spread over half of SampleEvery. Nothing is known after
// an error.
func (m *Meter) Sample(ctx context.Context) (Sample, error) {
	s := Sample{Whole: true}
	order := m.order()
	each := max(1, (m.opts.Sample+strata-1)/strata)
	for _, bucket := range order {
		if s.Size >= m.opts.Sample {
			s.Whole = false
			break
		}
		left, err := m.sampleBucket(ctx, bucket, min(each, m.opts.Sample-s.Size), &s)
		if err != nil {
			m.failed(ctx)
			return Sample{}, fmt.Errorf("taking a sample of what IPFS has pinned: %w", err)
		}
		s.Whole = s.Whole && !left
		if !m.opts.Hurry && !pause(ctx, m.opts.SampleEvery/2/time.Duration(len(order))) {
			return Sample{}, ctx.Err()
		}
	}
	s.Ended = m.now()
	m.opts.Metrics.sampled(s)
	return s, nil
}

// order are all buckets, those first that had pins in the last sweep.
func (m *Meter) order() []int {
	used := m.used.Load()
	if used == nil {
		return inTurn(func(int) bool { return true })
	}
	return append(
		inTurn(func(bucket int) bool { return used[bucket] > 0 }),
		inTurn(func(bucket int) bool { return used[bucket] == 0 })...)
}

// inTurn are some of the buckets, one of each stratum in turn, at random within a stratum.
func inTurn(some func(bucket int) bool) []int {
	const size = state.Buckets / strata
	var shuffled [strata][]int
	for i := range shuffled {
		for _, n := range rand.Perm(size) {
			if bucket := i*size + n; some(bucket) {
				shuffled[i] = append(shuffled[i], bucket)
			}
		}
	}
	order := make([]int, 0, state.Buckets)
	for turn := range size {
		for _, i := range rand.Perm(strata) {
			if turn < len(shuffled[i]) {
				order = append(order, shuffled[i][turn])
			}
		}
	}
	return order
}

// sampleBucket asks for up to n pins of a bucket, which it chooses at random while it reads
// it. It returns whether it has left any out.
func (m *Meter) sampleBucket(ctx context.Context, bucket, n int, s *Sample) (left bool, err error) {
	var chosen []state.Own
	seen := 0
	err = m.opts.Store.ListBucket(ctx, m.opts.Self, bucket, func(own state.Own) error {
		seen++
		if len(chosen) < n {
			chosen = append(chosen, own)
		} else if i := rand.IntN(seen); i < n {
			chosen[i] = own
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	err = m.versions(ctx, chosen, func(c api.Cid, e expected) error {
		kind, _, e, err := m.judge(ctx, c, e)
		if err != nil || e.stand != desired {
			return err
		}
		s.Size++
		if kind != "" {
			s.Bad++
		}
		return nil
	})
	return seen > n, err
}

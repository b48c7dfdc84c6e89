package drift

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/time/rate"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// batch is how many pins are read together.
const batch = 256

// errEnough ends a listing.
var errEnough = errors.New("enough")

// walk calls f for what this peer may have to do with in the buckets from one on and below
// another, in order, with what is to become of it. It passes over the buckets that in
// leaves out.
func (m *Meter) walk(ctx context.Context, from, below int, in func(bucket int) bool, f func(api.Cid, expected) error) error {
	some := make([]state.Own, 0, batch)
	flush := func() (err error) {
		err = m.versions(ctx, some, f)
		some = some[:0]
		return err
	}
	err := m.opts.Store.ListOwn(ctx, m.opts.Self, state.Place{Bucket: from}, func(own state.Own) error {
		bucket := state.Bucket(own.Cid)
		if bucket >= below {
			return errEnough
		}
		if !in(bucket) {
			return nil
		}
		if some = append(some, own); len(some) < batch {
			return nil
		}
		return flush()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return flush()
}

// versions reads the pins of what a list has, and calls f for each.
func (m *Meter) versions(ctx context.Context, some []state.Own, f func(api.Cid, expected) error) error {
	if len(some) == 0 {
		return nil
	}
	if err := m.wait(ctx, m.reads, len(some)); err != nil {
		return err
	}
	cids := make([]api.Cid, len(some))
	for i, own := range some {
		cids[i] = own.Cid
	}
	all := make([]expected, len(some))
	err := m.opts.Store.GetVersions(ctx, cids, func(i int, pin *api.Pin, rev state.Revision, bad error) {
		all[i] = m.expect(some[i], pin, rev, bad)
	})
	if err != nil {
		return err
	}
	for i, e := range all {
		if err := f(cids[i], e); err != nil {
			return err
		}
	}
	return nil
}

// wait lets n more through at a pace, nil for none.
func (m *Meter) wait(ctx context.Context, pace *rate.Limiter, n int) error {
	if pace == nil {
		return ctx.Err()
	}
	if err := pace.WaitN(ctx, n); err != nil {
		return fmt.Errorf("waiting for its turn: %w", err)
	}
	return nil
}

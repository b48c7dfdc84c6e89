package ingest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// missing returns those facts of days that are over which are not there, and which claims have
// one that must not be written, and why. A day that is over may be closed: what is there already
// must not be taken for late.
func (in *Ingest) missing(ctx context.Context, past []claim.Fact) (missing []claim.Fact, bad map[ledger.Key]error, err error) {
	if len(past) == 0 {
		return nil, nil, nil
	}
	stored, err := in.store.Stored(ctx, past)
	if err != nil {
		return nil, nil, err
	}
	bad = make(map[ledger.Key]error)
	now := in.now()
	for _, f := range past {
		switch {
		case slices.ContainsFunc(stored[f.ID], f.Delta.Equal):
			continue
		case len(stored[f.ID]) > 0:
			bad[keyOf(&f)] = refused(claim.ReasonConflict, fmt.Errorf("another %s of the request %q is stored", f.Kind, f.RequestID))
			continue
		}
		if err := in.policy.Timely(now, f); err != nil {
			bad[keyOf(&f)] = err
			continue
		}
		missing = append(missing, f)
	}
	return missing, bad, nil
}

// put writes facts, and then notes those as late whose day may not be open any more.
func (in *Ingest) put(ctx context.Context, facts []claim.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	if err := in.store.PutFacts(ctx, facts); err != nil {
		return err
	}
	in.metrics.add(written, len(facts))
	// The clock is read after the facts were written: no close of today has begun.
	today := usage.DayOf(in.now().UnixMilli())
	over := make(map[ledger.OwnerDay]bool)
	for _, f := range facts {
		if day := usage.DayOf(f.At); day < today {
			over[ledger.OwnerDay{Owner: f.Owner, Day: day}] = true
		}
	}
	begun, err := in.store.Begun(ctx, slices.Collect(maps.Keys(over)))
	if err != nil {
		return err
	}
	in.metrics.add(late, len(begun))
	return in.store.MarkLate(ctx, today, begun)
}

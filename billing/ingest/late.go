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

// put writes facts, and notes those as late whose day may not be open any more: before, as far as that
// is known, and after, as a close may have begun. If this process dies in between, whoever is given
// the same again finds the facts, and takes them for what was there in time.
func (in *Ingest) put(ctx context.Context, facts []claim.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	noted, err := in.noteLate(ctx, facts, nil)
	if err != nil {
		return err
	}
	if err := in.store.PutFacts(ctx, facts); err != nil {
		return err
	}
	in.metrics.add(written, len(facts))
	_, err = in.noteLate(ctx, facts, noted)
	return err
}

// noteLate notes the days of facts that are late, but for those that were noted, and returns them.
func (in *Ingest) noteLate(ctx context.Context, facts []claim.Fact, noted []ledger.OwnerDay) ([]ledger.OwnerDay, error) {
	// After the facts were written it is read again: of a day that was not over then no close had
	// begun.
	today := usage.DayOf(in.now().UnixMilli())
	over := make(map[ledger.OwnerDay]bool)
	for _, f := range facts {
		if day := usage.DayOf(f.At); day < today {
			over[ledger.OwnerDay{Owner: f.Owner, Day: day}] = true
		}
	}
	for _, d := range noted {
		delete(over, d)
	}
	begun, err := in.store.Begun(ctx, slices.Collect(maps.Keys(over)))
	if err != nil {
		return nil, err
	}
	in.metrics.add(late, len(begun))
	return begun, in.store.MarkLate(ctx, today, begun)
}

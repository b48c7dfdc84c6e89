package ingest

import (
	"context"
	"fmt"
	"slices"
	"sync"

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
	days := make(map[ledger.OwnerDay]struct{})
	for _, f := range facts {
		if day := usage.DayOf(f.At); day < today {
			days[ledger.OwnerDay{Owner: f.Owner, Day: day}] = struct{}{}
		}
	}
	var marks []ledger.OwnerDay
	for d := range days {
		begun, err := in.closing(ctx, shardDay{d.Day, ledger.ShardOf(d.Owner)})
		if err != nil {
			return err
		}
		if begun {
			marks = append(marks, d)
		}
	}
	in.metrics.add(late, len(marks))
	return in.store.MarkLate(ctx, today, marks)
}

// closing reports whether the close of a shard of a day has begun.
func (in *Ingest) closing(ctx context.Context, d shardDay) (bool, error) {
	if in.begun.has(d) {
		return true, nil
	}
	p, err := in.store.Progress(ctx, d.day, d.shard)
	if err == nil && p.Begun {
		in.begun.add(d)
	}
	return p.Begun, err
}

// shardDay is a shard of a day.
type shardDay struct {
	day   int64
	shard int
}

// begun are the shards of days whose close has begun, for good. It is safe for concurrent use.
type begun struct {
	mu   sync.Mutex
	days map[shardDay]struct{}
}

// begunMost is how many are remembered, some 10 MB.
const begunMost = 100_000

func (b *begun) has(d shardDay) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.days[d]
	return ok
}

func (b *begun) add(d shardDay) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.days) >= begunMost {
		clear(b.days)
	}
	b.days[d] = struct{}{}
}

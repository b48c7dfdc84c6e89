package closing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// Source is what a gateway says of claims, from its own tables.
type Source interface {
	// Owners calls f with each owner that there is. An error of f ends it.
	Owners(ctx context.Context, f func(owner string) error) error
	// Claims calls f with each claim that an owner has, and with each that has ended since a time.
	// What fails after some is an error: a part is never the whole. An error of f ends it.
	Claims(ctx context.Context, owner string, endedSince time.Time, f func(events.ClaimData) error) error
}

// Door is where events of claims are counted, an *ingest.Ingest.
type Door interface {
	Claims(ctx context.Context, batch []claims.Delivery) error
}

const (
	// DefaultEnded is the default of Reconciling.Ended: a gateway knows no longer what has ended.
	DefaultEnded = 35 * 24 * time.Hour
	// DefaultSettled is the default of Reconciling.Settled: a gateway tells of a claim two
	// minutes after it was made, or later.
	DefaultSettled = 30 * time.Minute
	// DefaultExamples is the default of Reconciling.Examples.
	DefaultExamples = 20
	// compareAtOnce is how many claims are looked up at a time.
	compareAtOnce = claims.MaxBatch
)

// Reconciling is what billing is compared with, and how. Zero means the default where there is one.
type Reconciling struct {
	Store  *ledger.Store
	Source Source
	// Policy is that of those who count, and First is Options.First of those who close.
	Policy claim.Policy
	First  time.Time
	// Repair is given what billing lacks, as events. Nil repairs nothing.
	Repair Door
	// Ended is how long ago claims may have ended that are compared: 35 days.
	Ended time.Duration
	// Settled is how old something must be to be compared: 30 min.
	Settled time.Duration
	// Examples is how many are kept of each kind: 20.
	Examples int
	// Metrics say what was found. They may be nil.
	Metrics *Metrics
	// Progress is called after each owner, and may be nil.
	Progress func(Report)
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
}

// Report is what a comparison has found.
type Report struct {
	// Owners and Claims is how many were compared.
	Owners, Claims int64
	// Found is how many claims there are of each kind, and Examples some of them.
	Found    map[Kind]int64
	Examples []Example
	// DriftBytes and DriftPins are by how much the levels differ after the last closed day: the
	// sums over the owners, without signs. Drifting are some of those owners.
	DriftBytes, DriftPins *big.Int
	Drifting              []Drift
	// Repaired is how many claims were given to Reconciling.Repair.
	Repaired int64
}

// Example is a claim that is not as it should be.
type Example struct {
	Kind Kind
	ledger.Key
	Detail string
}

// Drift is by how much what billing counts for an owner is more than what the gateway has, at the
// end of the last closed day.
type Drift struct {
	Owner string
	At    time.Time
	usage.Level
}

// Reconcile compares what billing knows of claims, and counts, with what a gateway says. It does so
// owner by owner, also of those who have days here and are not known there, and has 8 bytes in memory
// for each claim of one, and the names of the owners. The report is also returned with
// an error, as far as it went. A claim that the gateway does not have is looked for only where the
// levels differ, as that reads all claims of the owner.
func Reconcile(ctx context.Context, r Reconciling) (Report, error) {
	if r.Store == nil || r.Source == nil || r.First.IsZero() {
		return Report{}, errors.New("a comparison with a gateway needs a store, a source and the first day")
	}
	if err := r.Policy.Check(); err != nil {
		return Report{}, fmt.Errorf("the policy of claims: %w", err)
	}
	if r.Ended == 0 {
		r.Ended = DefaultEnded
	}
	if r.Settled == 0 {
		r.Settled = DefaultSettled
	}
	if r.Examples == 0 {
		r.Examples = DefaultExamples
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	run := &reconciling{
		Reconciling: r, closed: newClosedDays(r.Store, r.First, r.Now),
		report: Report{Found: make(map[Kind]int64), DriftBytes: new(big.Int), DriftPins: new(big.Int)},
	}
	seen := make(map[string]struct{})
	err := r.Source.Owners(ctx, func(owner string) error {
		seen[owner] = struct{}{}
		return run.one(ctx, owner, r.Source.Claims)
	})
	if err == nil {
		err = r.Store.EachOwner(ctx, func(owner string) error {
			if _, there := seen[owner]; there || owner == claim.Suspense {
				return nil
			}
			return run.one(ctx, owner, nothing)
		})
	}
	if err == nil {
		r.Metrics.reconciled(run.report, r.Now())
	}
	return run.report, err
}

// reconciling is a comparison that goes on. One goroutine has it.
type reconciling struct {
	Reconciling
	closed *closedDays
	report Report
}

// owned is what is compared of one owner.
type owned struct {
	owner   string
	settled time.Time // what is later is not compared
	since   time.Time // claims that have ended before are not compared
	at      int64     // the end of the last closed day
	level   *leveling // what the gateway has then
	ids     []uint64  // of the requests that the gateway has
	// ended are claims that have ended since about the export began: they may be among those that have
	// not, too.
	ended []events.ClaimData
}

// nothing are the claims of an owner of whom the gateway does not know.
func nothing(context.Context, string, time.Time, func(events.ClaimData) error) error { return nil }

// one compares the claims of an owner, as something tells them.
func (r *reconciling) one(ctx context.Context, owner string, tell func(context.Context, string, time.Time, func(events.ClaimData) error) error) error {
	if err := r.owner(ctx, owner, tell); err != nil {
		return fmt.Errorf("comparing the claims of %q: %w", owner, err)
	}
	r.report.Owners++
	if r.Progress != nil {
		r.Progress(r.report)
	}
	return nil
}

func (r *reconciling) owner(ctx context.Context, owner string, tell func(context.Context, string, time.Time, func(events.ClaimData) error) error) error {
	now := r.Now()
	closed, err := r.closed.last(ctx, ledger.ShardOf(owner))
	if err != nil {
		return err
	}
	o := &owned{owner: owner, settled: now.Add(-r.Settled), since: now.Add(-r.Ended), at: endOf(closed).UnixMilli(), level: newLeveling()}
	var batch []events.ClaimData
	flush := func() error {
		defer func() { batch = batch[:0] }()
		return r.compare(ctx, o, batch)
	}
	err = tell(ctx, owner, o.since, func(d events.ClaimData) error {
		if d.Owner != owner {
			return fmt.Errorf("the gateway says that %q is of %q", d.RequestID, d.Owner)
		}
		if d.Removed.After(o.settled) {
			o.ended = append(o.ended, d)
			return nil
		}
		if batch = append(batch, d); len(batch) < compareAtOnce {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	slices.Sort(o.ids)
	batch = slices.DeleteFunc(o.ended, func(d events.ClaimData) bool {
		_, there := slices.BinarySearch(o.ids, idOf(d.RequestID))
		return there
	})
	for some := range slices.Chunk(batch, compareAtOnce) {
		if err := r.compare(ctx, o, some); err != nil {
			return err
		}
	}
	slices.Sort(o.ids)
	row, _, err := r.Store.LastDay(ctx, owner, closed+1)
	if err != nil {
		return err
	}
	drift := o.level.less(row.Usage.Closing)
	if drift.Bytes.Sign() == 0 && drift.Pins == 0 {
		return nil
	}
	r.report.DriftBytes.Add(r.report.DriftBytes, new(big.Int).Abs(drift.Bytes))
	r.report.DriftPins.Add(r.report.DriftPins, new(big.Int).Abs(big.NewInt(drift.Pins)))
	if len(r.report.Drifting) < r.Examples {
		r.report.Drifting = append(r.report.Drifting, Drift{owner, endOf(closed), drift})
	}
	return r.extra(ctx, o)
}

// found counts a claim that is not as it should be.
func (r *reconciling) found(kind Kind, key ledger.Key, detail string) {
	if r.report.Found[kind] < int64(r.Examples) {
		r.report.Examples = append(r.report.Examples, Example{kind, key, detail})
	}
	r.report.Found[kind]++
}

// mend gives claims to the door, as a gateway tells them.
func (r *reconciling) mend(ctx context.Context, lacking []events.ClaimData) error {
	if r.Repair == nil || len(lacking) == 0 {
		return nil
	}
	var batch []claims.Delivery
	for _, d := range lacking {
		e := events.ClaimEvent("reconcile", d.Latest(), d)
		data, err := e.Encode()
		if err != nil {
			return fmt.Errorf("telling of the claim %q: %w", d.RequestID, err)
		}
		batch = append(batch, claims.Delivery{Event: e, Data: data, Delivered: 1, Stored: r.Now()})
	}
	if err := r.Repair.Claims(ctx, batch); err != nil {
		return fmt.Errorf("counting what is lacking: %w", err)
	}
	r.report.Repaired += int64(len(batch))
	r.Metrics.mended(len(batch))
	return nil
}

package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// Options are what an Ingest works with.
type Options struct {
	// Store has the tables.
	Store *ledger.Store
	// Policy says what is counted of a claim, and how old a fact may be that is new: less than
	// facts are kept. All processes have the same.
	Policy claim.Policy
	// Metrics count what is done, together with others. They may be nil.
	Metrics *Metrics
}

// Ingest counts what events tell. It is safe for concurrent use, and any number of processes may
// work on one keyspace.
type Ingest struct {
	store   *ledger.Store
	policy  claim.Policy
	metrics *Metrics
	now     func() time.Time
}

// New returns an Ingest.
func New(opts Options) (*Ingest, error) {
	if opts.Store == nil {
		return nil, errors.New("what is counted needs a store")
	}
	if err := opts.Policy.Check(); err != nil {
		return nil, fmt.Errorf("the policy of claims: %w", err)
	}
	return &Ingest{store: opts.Store, policy: opts.Policy, metrics: opts.Metrics, now: time.Now}, nil
}

// Claims handles a batch of events of claims, see claims.Options.Handler: when it returns nil, all
// of them are counted or in the quarantine. After an error some are, and all are to be
// delivered again.
func (in *Ingest) Claims(ctx context.Context, batch []claims.Delivery) error {
	var entries []entry
	var aside []item
	for i := range batch {
		d := &batch[i]
		e, err := in.entryOf(d)
		if err != nil {
			aside = append(aside, item{err, e.told.Owner, d.Data, d.Stored})
			continue
		}
		entries = append(entries, e)
	}
	if err := in.putAside(ctx, aside); err != nil {
		return err
	}
	in.metrics.add(received, len(batch))
	return in.take(ctx, entries)
}

// entry is what one event tells.
type entry struct {
	told ledger.Told
	// data is the claim as the event tells it alone.
	data events.ClaimData
	// payload is the event as it came, stored when the stream got it.
	payload []byte
	stored  time.Time
}

// entryOf reads an event, or says why it cannot be counted.
func (in *Ingest) entryOf(d *claims.Delivery) (entry, error) {
	e := entry{payload: d.Data, stored: d.Stored}
	switch {
	case errors.Is(d.Err, events.ErrUnknown):
		return e, refused(ReasonUnknown, d.Err)
	case d.Err != nil:
		return e, refused(ReasonMalformed, d.Err)
	case d.Event.Claim == nil:
		return e, refused(ReasonUnknown, fmt.Errorf("%s is no type of events of claims", d.Event.Type))
	}
	source, ok := ledger.SourceOf(d.Event.Type)
	if !ok {
		return e, refused(ReasonUnknown, fmt.Errorf("%s is no type of events of claims", d.Event.Type))
	}
	e.data = *d.Event.Claim
	e.told = ledger.ToldBy(source, &e.data)
	facts, err := claim.Facts(e.data, in.policy)
	if err != nil {
		return e, err
	}
	anyAge := in.policy
	anyAge.Window = 0
	if err := anyAge.Timely(in.now(), facts...); err != nil {
		return e, err
	}
	if e.data.Owner == "" {
		e.told.Owner = claim.Suspense
		in.metrics.add(suspense, 1)
	}
	e.told.Unsized = source >= ledger.Pinned && claim.Unsized(e.data, in.policy)
	return e, nil
}

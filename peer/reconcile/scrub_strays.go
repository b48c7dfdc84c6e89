package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// strayBatch is how many placements a scrub compares with their pins at once.
const strayBatch = 256

// straysShare looks through a bucket of the placements if that is this peer's work.
func (r *Reconciler) straysShare(ctx context.Context, bucket int) error {
	if !r.opts.View().Mine(share("strays", bucket)) {
		return nil
	}
	report, err := r.scrubStrays(ctx, bucket)
	report.log(fmt.Sprintf("bucket %d of what the peers hold", bucket))
	return err
}

// scrubStrays looks for placements of pins that their peer should not hold. It
// lists every bucket, also those that are not noted to be in use: a note that got
// lost would hide what it stands for.
func (r *Reconciler) scrubStrays(ctx context.Context, bucket int) (report Report, err error) {
	defer func() { r.opts.Counts.scrubbedPart(report) }()
	s := &strays{store: r.opts.Store, tell: newTeller(r.opts.Store)}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Rates.Checks)
	for _, p := range r.opts.View().Peers {
		if !p.Live || p.Removed {
			continue
		}
		g.Go(func() error {
			used := false
			err := r.opts.Store.ListPlacements(inner, p.ID, bucket, func(row state.Placement) error {
				used = true
				return s.look(inner, p.ID, row)
			})
			if err == nil && used {
				err = r.opts.Store.NoteBucket(inner, p.ID, bucket)
			}
			if err != nil {
				return fmt.Errorf("comparing what %s holds with the pinset: %w", p.ID, err)
			}
			return nil
		})
	}
	err = g.Wait()
	if err == nil {
		err = s.rest(ctx)
	}
	if flushErr := s.tell.flush(ctx); err == nil {
		err = flushErr
	}
	report.Told = s.tell.told
	if err != nil {
		return report, err
	}
	if report.Strays, err = r.opts.Store.DropStrays(ctx, bucket); err != nil {
		return report, fmt.Errorf("removing strays from the pins that every peer holds: %w", err)
	}
	return report, nil
}

// strays compares placements with the pinset, those of all peers together: a pin that
// some of them hold is read with many others. It is safe for concurrent use.
type strays struct {
	store Store
	tell  *teller

	mu    sync.Mutex
	batch []heldRow
}

// heldRow is a placement and whose it is.
type heldRow struct {
	state.Placement
	by peer.ID
}

// look takes a placement, unless it is one that is being worked on.
func (s *strays) look(ctx context.Context, p peer.ID, row state.Placement) error {
	if time.Since(row.Updated) < scrubAge {
		return nil
	}
	s.mu.Lock()
	s.batch = append(s.batch, heldRow{row, p})
	if len(s.batch) < strayBatch {
		s.mu.Unlock()
		return nil
	}
	batch := s.take()
	s.mu.Unlock()
	return s.compare(ctx, batch)
}

// rest compares what is left.
func (s *strays) rest(ctx context.Context) error {
	s.mu.Lock()
	batch := s.take()
	s.mu.Unlock()
	return s.compare(ctx, batch)
}

// take empties the batch. The caller has the lock.
func (s *strays) take() []heldRow {
	batch := s.batch
	s.batch = nil
	return batch
}

// compare tells the peers of what they should not hold. A pin that cannot be decoded is
// reported by the scrub of the pinset.
func (s *strays) compare(ctx context.Context, batch []heldRow) error {
	if len(batch) == 0 {
		return nil
	}
	cids := make([]api.Cid, len(batch))
	for i, row := range batch {
		cids[i] = row.Cid
	}
	var found []heldRow
	err := s.store.GetVersions(ctx, cids, func(i int, pin *api.Pin, _ state.Revision, err error) {
		row := batch[i]
		// What others are to hold stays until they have it, and its peer looks by itself.
		waits := pin != nil && row.Status.Leaving() && time.Since(row.Updated) < leavingAge
		if err == nil && !waits && !mayHold(pin, row.by) {
			found = append(found, row)
		}
	})
	if err != nil {
		return fmt.Errorf("reading the pins of %d placements: %w", len(cids), err)
	}
	for _, row := range found {
		if err := s.tell.add(ctx, row.by, row.Cid); err != nil {
			return err
		}
	}
	return nil
}

package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// everywherePage is the number of rows that one request returns.
const everywherePage = 500

// indexEverywhere lists c among the pins that every peer holds. It is called
// before the pin is written, under revision rev.
func (s *Store) indexEverywhere(ctx context.Context, c api.Cid, rev gocql.UUID) error {
	bucket := state.Bucket(c)
	if err := s.noteBucket(ctx, everyPeer, bucket); err != nil {
		return fmt.Errorf("listing %s among the pins of every peer: %w", c, err)
	}
	if err := s.tables.listEverywhere(ctx, bucket, c, rev, s.stamp()); err != nil {
		return fmt.Errorf("listing %s among the pins of every peer: %w", c, err)
	}
	return nil
}

// everywhereRow is one row of everywhere.
type everywhereRow struct {
	key []byte
	rev gocql.UUID
	// written is the timestamp of the row in microseconds, 0 when there is no
	// revision.
	written int64
}

// age is the time since the row was written, or since the revision in it,
// whichever is shorter: a scrub writes old revisions again.
func (r everywhereRow) age(now time.Time) time.Duration {
	return min(now.Sub(r.rev.Time()), now.Sub(time.UnixMicro(r.written)))
}

// DropStrays implements state.Scrubber. A writer gives up when it has not
// finished within half of unpin_grace; what is four times as old is left of
// nobody.
func (s *Store) DropStrays(ctx context.Context, bucket int) (dropped int, err error) {
	return s.dropStrays(ctx, bucket, 2*s.conf.UnpinGrace)
}

// dropStrays is DropStrays for rows of the given age.
func (s *Store) dropStrays(ctx context.Context, bucket int, age time.Duration) (dropped int, err error) {
	if err := checkBucket(bucket); err != nil {
		return 0, err
	}
	if err := s.clock.check(); err != nil {
		return 0, err // this clock must not decide how old a row is
	}
	kept := false
	rows := s.db.Rows(ctx, gocql.Quorum, everywherePage, scylla.Bind(selectEverywhere, bucket))
	for {
		var r everywhereRow
		if !rows.Next(&r.key, &r.rev, &r.written) {
			break
		}
		stray := false
		if r.written > 0 && r.age(s.now()) >= age {
			stray, err = s.stray(ctx, r.key)
		}
		if err == nil && stray {
			err = s.dropEverywhere(ctx, bucket, r)
		}
		if err != nil {
			_ = rows.Close() // err is the reason
			return dropped, err
		}
		if stray {
			dropped++
		} else {
			kept = true
		}
	}
	if err := rows.Close(); err != nil {
		return dropped, fmt.Errorf("reading bucket %d of the pins of every peer: %w", bucket, err)
	}
	if kept {
		err = s.insertBucket(ctx, everyPeer, bucket)
	}
	return dropped, err
}

// stray reports whether key is not that of a pin that every peer holds. A pin
// that cannot be decoded may be one.
func (s *Store) stray(ctx context.Context, key []byte) (bool, error) {
	c, err := api.CastCid(key)
	if err != nil {
		return true, nil // nothing can be pinned under it
	}
	// Most rows are none. A write with a lost answer shows at SERIAL only, or
	// is then ruled out.
	for _, cons := range []gocql.Consistency{gocql.Quorum, gocql.Serial} {
		r, err := s.readRow(ctx, c, cons)
		if err != nil {
			return false, err
		}
		pin, err := r.decode(c)
		if err != nil || pin != nil && pin.IsPinEverywhere() {
			return false, nil
		}
	}
	return true, nil
}

// dropEverywhere removes the row as it was read. One that was written since then
// has a later timestamp and stays.
func (s *Store) dropEverywhere(ctx context.Context, bucket int, r everywhereRow) error {
	err := s.db.Write(ctx, scylla.Bind(deleteEverywhere, r.written, bucket, r.key))
	if err != nil {
		return fmt.Errorf("removing 0x%x from the pins of every peer: %w", r.key, err)
	}
	return nil
}

package scyllastate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// expiryKept is how long a row of expiries stays after its slot.
	expiryKept = 30 * 24 * time.Hour
	// lastTTLEnd is the latest moment, in Unix seconds, at which a row may run
	// out: Cassandra, unless it is told to give up on older versions, refuses
	// those after January 2038.
	lastTTLEnd = 1<<31 - 1 - 24*60*60
	// expiriesPage is the number of rows that one request returns.
	expiriesPage = 1000
	// expiryConsumer names who reads the expiries in the table cursors.
	expiryConsumer = "expiry"
)

var _ state.Expiries = (*Store)(nil)

// indexExpiry notes when the pin of c runs out. It is called before the pin is
// written. A row lies in a slot that nobody has passed yet; one that was written
// too late for its slot is written again, as the rows of feeds are.
func (s *Store) indexExpiry(ctx context.Context, c api.Cid, due time.Time) error {
	var err error
	for try := range maxAppends {
		if err = s.clock.check(); err != nil {
			break
		}
		at := s.now()
		err = s.insertExpiry(ctx, c, due, at)
		if err == nil {
			if elapsed(at, s.now()) <= s.lim.writeDeadline {
				return nil
			}
			err = fmt.Errorf("it took longer than the write deadline (%s)", s.lim.writeDeadline)
		}
		if scylla.Permanent(err) || pause(ctx, s.random, try) != nil {
			break
		}
	}
	return fmt.Errorf("noting when the pin of %s runs out: %w", c, err)
}

func (s *Store) insertExpiry(ctx context.Context, c api.Cid, due, at time.Time) error {
	slot, ttl := expirySlot(due, at)
	return s.db.Write(ctx, scylla.Bind(insertExpiry, slot, shardOf(c), c.Bytes(), due, ttl, s.stamp()))
}

// expirySlot is the slot of a row that is written now and its time to live in
// seconds. That is 0, for ever, where the engines could not keep the row until
// the pin has run out: one row too much is better than a pin that stays.
func expirySlot(due, now time.Time) (slot int64, ttl int) {
	if due.Before(now) {
		due = now
	}
	if due.Sub(now) > maxTTL-expiryKept || due.Add(expiryKept).Unix() > lastTTLEnd {
		return slotOf(due), 0
	}
	return slotOf(due), int((due.Sub(now) + expiryKept) / time.Second)
}

// Due implements state.Expiries. It goes from slot to slot, with one request for
// each minute, and begins 30 days ago at the earliest: older rows do not exist
// any more.
func (s *Store) Due(ctx context.Context, shard int, after, upTo time.Time, f func(c api.Cid, due time.Time) error) error {
	if err := checkShard(shard); err != nil {
		return err
	}
	if oldest := s.now().Add(-expiryKept - time.Hour); after.Before(oldest) {
		after = oldest
	}
	for slot := slotOf(after); slot <= slotOf(upTo); slot++ {
		if err := s.dueIn(ctx, slot, shard, f); err != nil {
			return err
		}
	}
	return nil
}

// dueIn calls f for the rows of one partition.
func (s *Store) dueIn(ctx context.Context, slot int64, shard int, f func(c api.Cid, due time.Time) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, expiriesPage, scylla.Bind(selectExpiries, slot, shard))
	var key []byte
	var due time.Time
	for rows.Next(&key, &due) {
		c, err := api.CastCid(key)
		if err != nil {
			logger.Errorf("passing over an expiry whose key 0x%x is not a CID: %s", key, err)
		} else if err := f(c, due); err != nil {
			_ = rows.Close() // err is the reason
			return err
		}
		key = nil
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("reading slot %d of the expiries, shard %d: %w", slot, shard, err)
	}
	return nil
}

// DuePosition implements state.Expiries.
func (s *Store) DuePosition(ctx context.Context, shard int) (time.Time, error) {
	if err := checkShard(shard); err != nil {
		return time.Time{}, err
	}
	var position time.Time
	var holder *gocql.UUID
	_, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectCursor, expiryFeed(shard), expiryConsumer), &position, &holder)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the position of the expiries, shard %d: %w", shard, err)
	}
	return position, nil
}

// SetDuePosition implements state.Expiries. It needs no condition: whoever sets
// the position has itself seen all before it done, so that of two that work on
// one shard both are right, and the lower value only repeats work.
func (s *Store) SetDuePosition(ctx context.Context, shard int, upTo time.Time) error {
	if err := checkShard(shard); err != nil {
		return err
	}
	err := s.db.Write(ctx, scylla.Bind(setPosition, s.stamp(), upTo, expiryFeed(shard), expiryConsumer))
	if err != nil {
		return fmt.Errorf("storing the position of the expiries, shard %d: %w", shard, err)
	}
	return nil
}

// DueWindow implements state.Expiries: a row appears at most one window after
// the end of its slot.
func (s *Store) DueWindow() time.Duration { return s.lim.window() + slotLength }

// expiryFeed names a shard in the table cursors.
func expiryFeed(shard int) string { return "expiries/" + strconv.Itoa(shard) }

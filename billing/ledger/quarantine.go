package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Item is what cannot be counted before somebody has looked at it.
type Item struct {
	// Day is that on which the stream got it, in days since 1970.
	Day int64
	// ID follows from Why and Payload.
	ID [32]byte
	// Why says what is wrong.
	Why string
	// Owner is empty if it is not known.
	Owner string
	// Payload is what came.
	Payload []byte
	// First and Last are when it was put here, and again. Times is how often, about.
	First, Last time.Time
	Times       int
	// Resolved is what somebody has done about it, empty before.
	Resolved   string
	ResolvedAt time.Time
}

// Quarantine puts aside what came, with what is wrong. The same on the same day is one item.
// stored is when the stream got it.
func (s *Store) Quarantine(ctx context.Context, why, owner string, payload []byte, stored time.Time) error {
	id := sha256.Sum256(append([]byte(why+"\x00"), payload...))
	day, shard := usage.DayOf(stored.UnixMilli()), int(id[0])%quarantineShards
	times := 0
	if _, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectTimes, day, shard, id[:]), &times); err != nil {
		return fmt.Errorf("looking for an item of the quarantine: %w", err)
	}
	now := s.now()
	err := s.db.WriteAll(ctx, []scylla.Statement{
		scylla.Bind(insertItem, day, shard, id[:], why, owner, payload, now, firstOnly-now.UnixMilli()),
		scylla.Bind(updateTimes, now.UnixMicro(), now, times+1, day, shard, id[:]),
	})
	return wrap(err, "putting something into quarantine")
}

// EachQuarantined calls f for the items of a day, in days since 1970. An error of f ends it.
func (s *Store) EachQuarantined(ctx context.Context, day int64, f func(Item) error) error {
	for shard := range quarantineShards {
		if err := s.eachQuarantined(ctx, day, shard, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachQuarantined(ctx context.Context, day int64, shard int, f func(Item) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, maxIn, scylla.Bind(selectItems, day, shard))
	defer rows.Close()
	for {
		item := Item{Day: day}
		var id []byte
		if !rows.Next(&id, &item.Why, &item.Owner, &item.Payload, &item.First, &item.Last, &item.Times, &item.Resolved, &item.ResolvedAt) {
			return wrap(rows.Close(), "reading the quarantine of the day %d", day)
		}
		item.ID = [32]byte(id)
		if err := f(item); err != nil {
			return err
		}
	}
}

// Resolve notes what was done about an item. The last note counts.
func (s *Store) Resolve(ctx context.Context, day int64, id [32]byte, note string) error {
	now := s.now()
	err := s.db.WriteAll(ctx, []scylla.Statement{
		scylla.Bind(updateResolved, now.UnixMicro(), note, now, day, int(id[0])%quarantineShards, id[:]),
	})
	return wrap(err, "resolving an item of the quarantine")
}

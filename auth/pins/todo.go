package pins

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// todoShards spreads what there is to do over nodes and instances. It is a constant of
	// the schema.
	todoShards = 16
	// todoAfter is when a request is looked at after something began to be done with it, at
	// the earliest: a minute later at the latest.
	todoAfter = 2 * time.Minute
	// todoMost is the longest pause between two looks.
	todoMost = 64 * time.Minute
	slotTime = time.Minute
)

// todoItem is a CID to look at, with the request that something is done with.
type todoItem struct {
	cid, tenant string // tenant is empty when there is no request to look at
	key         key
	made        bool // the request is being made, not removed
	tries       int
	removed     int64 // when the request is being removed, if somebody is to be told
	told        Fact  // the last one that earlier looks have told
}

func shardOf(cid string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cid)) // it never fails
	return int(h.Sum32() % todoShards)
}

// slotAfter is the slot whose end is d from now, or up to a minute later.
func slotAfter(now time.Time, d time.Duration) int64 {
	return now.Add(d).UnixMilli() / slotTime.Milliseconds()
}

// announce has an item looked at when d has passed. It fails if that took so long that the
// look may have gone before what is announced: d is at least todoAfter.
func (s *Service) announce(ctx context.Context, item todoItem, d time.Duration) error {
	begun := time.Now()
	var made any = gocql.UnsetValue // another row of the same minute may say so
	if item.made {
		made = true
	}
	err := s.db.Write(ctx, scylla.Bind(insertTodo, shardOf(item.cid), slotAfter(s.now(), d), item.cid, item.tenant,
		item.key.created, item.key.rnd, item.key.slice, made, item.tries, numberOrUnset(item.removed), numberOrUnset(int64(item.told))))
	if err != nil {
		return fmt.Errorf("noting what is to be looked at: %w", err)
	}
	if time.Since(begun) > actMost {
		return errLate
	}
	return nil
}

// putOff has an item looked at again, later each time.
func (s *Service) putOff(ctx context.Context, item todoItem) error {
	d := min(todoAfter<<min(item.tries, 10), todoMost)
	item.tries++
	return s.announce(ctx, item, d)
}

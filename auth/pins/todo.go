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
	tell        bool  // there is something to tell of the request
	removed     int64 // the same, and when it is being removed
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

// trueOrUnset leaves what is not so to another item of the same minute, which may say that it is.
func trueOrUnset(b bool) any {
	if !b {
		return gocql.UnsetValue
	}
	return true
}

// announce has an item looked at when d has passed. It fails if that took so long that the
// look may have gone before what is announced: d is at least todoAfter.
func (s *Service) announce(ctx context.Context, item todoItem, d time.Duration) error {
	begun := time.Now()
	err := s.db.Write(ctx, scylla.Bind(insertTodo, shardOf(item.cid), slotAfter(s.now(), d), item.cid, item.tenant,
		item.key.created, item.key.rnd, item.key.slice, trueOrUnset(item.made), item.tries, trueOrUnset(item.tell), numberOrUnset(item.removed)))
	if err != nil {
		return fmt.Errorf("noting what is to be looked at: %w", err)
	}
	if time.Since(begun) > actMost {
		return errLate
	}
	return nil
}

// putOff has an item looked at again, later each time. What it has to tell is told already, or
// will be: that does not go by looks.
func (s *Service) putOff(ctx context.Context, item todoItem) error {
	d := min(todoAfter<<min(item.tries, 10), todoMost)
	item.tries++
	item.tell = false
	if item.tries >= lateLooks {
		item.removed = 0
	}
	return s.announce(ctx, item, d)
}

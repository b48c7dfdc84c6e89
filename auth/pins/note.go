package pins

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// firstEpoch is above all moments, in milliseconds, and below all timestamps of deletions, in
	// microseconds.
	firstEpoch = int64(1e15)
	// settledAfter is how old what was noted must be to be told: what was observed before, and
	// is noted late, is there then. It is noted actMost after it was observed at the latest.
	settledAfter = todoAfter / 2
)

// firstStamp is the timestamp of a write of what is to be kept of the first moment. A deletion
// removes it all the same.
func firstStamp(ms int64) int64 { return firstEpoch - ms }

// news are what an observation has that nobody has noted of a request. Zero is nothing.
type news struct{ at, pinned, sized int64 }

// newsOf compares an observation with a request. A size is of what was seen pinned.
func (s *Service) newsOf(r *row, o *observation) news {
	n := news{at: max(o.begun.UnixMilli(), r.created)}
	if s.told == nil {
		return news{}
	}
	if o.status == Pinned && r.pinned == 0 {
		n.pinned = n.at
	}
	if r.sized == 0 && cmp.Or(r.pinned, n.pinned) != 0 {
		n.sized = cmp.Or(o.size, r.Size)
	}
	if n.pinned == 0 && n.sized == 0 {
		return news{}
	}
	return n
}

// noting has a request told of later, and returns the statement that notes the news, for the caller
// to make. It returns false if they are too old to be noted, and nothing if there are none.
//
// What is noted soon after the request was made is found by what its creation has announced.
func (s *Service) noting(ctx context.Context, r *row, o *observation) ([]scylla.Statement, bool, error) {
	n := s.newsOf(r, o)
	if n == (news{}) {
		return nil, true, nil
	}
	now := s.now()
	if now.Sub(o.begun) > actMost {
		return nil, false, nil
	}
	if now.UnixMilli() > r.created+settledAfter.Milliseconds() {
		if err := s.announce(ctx, todoItem{cid: r.CID, tenant: r.Tenant, key: r.key, tell: true}, todoAfter); err != nil {
			return nil, false, err
		}
		if err := s.at("tell: announced"); err != nil {
			return nil, false, err
		}
	}
	return []scylla.Statement{scylla.Bind(updateNoted, firstStamp(n.at), numberOrUnset(n.pinned), numberOrUnset(n.sized),
		r.Tenant, r.slice, r.created, r.rnd)}, true, nil
}

// noteAlone notes what an observation has beside the status that the request says. It returns
// false if that is too old.
func (s *Service) noteAlone(ctx context.Context, r *row, o *observation) (told bool, err error) {
	note, soon, err := s.noting(ctx, r, o)
	if err != nil || !soon || len(note) == 0 {
		return soon, err
	}
	if err := s.db.Write(ctx, note[0]); err != nil {
		return false, fmt.Errorf("noting what has become of a request: %w", err)
	}
	return true, nil
}

// settled is what is known of a request and was noted long enough ago to be told.
func (r *row) settled(now time.Time) Claim {
	c := r.known()
	before := now.Add(-settledAfter).UnixMilli()
	if r.sizedStamp != 0 && firstEpoch-r.sizedStamp > before {
		c.Size = 0
	}
	if r.pinned > before {
		c.Pinned, c.Size = time.Time{}, 0
	}
	return c
}

// facts are what is to be told of the request of an item. It is at least todoAfter since
// something began to be done with it: who made it and got no answer has not made it, or it
// is there.
func (s *Service) facts(ctx context.Context, item *todoItem) ([]Claim, error) {
	r, found, err := s.read(ctx, item.tenant, item.key)
	if err != nil {
		return nil, err
	}
	if found {
		return r.settled(s.now()).facts(), nil
	}
	if item.removed == 0 {
		return nil, nil // it never was, or whoever has removed it tells
	}
	c, found, err := s.endedOf(ctx, item.tenant, item.key, item.removed)
	if err != nil || !found {
		return nil, err
	}
	return c.facts(), nil
}

// endedOf returns what is known of a request that was removed about then, and whether it was.
// Of two removals at once the earlier one counts, also if midnight is between them.
func (s *Service) endedOf(ctx context.Context, tenant string, k key, removed int64) (Claim, bool, error) {
	day := dayOf(removed)
	rows := s.db.Rows(ctx, gocql.Quorum, countPage, scylla.Bind(selectEndedOne, tenant, []int{day - 1, day, day + 1}, bucketOf(k.rnd), k.created, k.rnd))
	var first endedRow
	for {
		var e endedRow
		if !rows.Next(e.scan()...) {
			break
		}
		if first.removed == 0 || e.removed < first.removed {
			first = e
		}
	}
	if err := rows.Close(); err != nil {
		return Claim{}, false, fmt.Errorf("reading a request that was removed: %w", err)
	}
	return first.known(tenant), first.removed != 0, nil
}

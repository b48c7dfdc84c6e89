package ledger

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// activeRow is a row of active.
type activeRow struct {
	day    int64
	owner  string
	bucket int
}

// activePartition is where it is.
type activePartition struct {
	day   int64
	shard int
}

// PutFacts writes facts, and before them that their owners are active on their days. It may be
// done any number of times. A fact is never changed: another one with its ID is another row.
func (s *Store) PutFacts(ctx context.Context, facts []claim.Fact) error {
	active, rows, b := make(map[activeRow]bool), make(batches), make(batches)
	now := s.now().UnixMilli()
	for i := range facts {
		f := &facts[i]
		p := partitionOf(f)
		a := activeRow{p.day, p.owner, p.bucket}
		if !active[a] && !s.active.has(a) {
			active[a] = true
			shard := ShardOf(p.owner)
			rows.add(activePartition{p.day, shard}, scylla.Bind(insertActive, p.day, shard, p.owner, p.bucket))
		}
		b.add(p, scylla.Bind(insertFact, p.owner, p.day, p.bucket, f.ID[:], f.At, whole(f.Bytes), f.Pins,
			string(f.Kind), f.RequestID, f.Cid, timeOf(now), firstOnly-now))
	}
	if err := s.write(ctx, rows); err != nil {
		return fmt.Errorf("noting who is active: %w", err)
	}
	s.active.add(slices.Collect(maps.Keys(active))...)
	return wrap(s.write(ctx, b), "writing facts")
}

func whole(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n
}

// Facts returns the facts of an owner on a day, in days since 1970, sorted by ID. It holds all of
// them in memory, some 300 bytes each.
func (s *Store) Facts(ctx context.Context, owner string, day int64) ([]claim.Fact, error) {
	var out []claim.Fact
	err := s.eachBucket(ctx, owner, day, selectFacts, func(rows *scylla.Rows, mu *sync.Mutex) {
		f := claim.Fact{Owner: owner}
		var id []byte
		for rows.Next(&id, &f.At, &f.Bytes, &f.Pins, &f.Kind, &f.RequestID, &f.Cid) {
			f.ID = [32]byte(id)
			mu.Lock()
			out = append(out, f)
			mu.Unlock()
			f.Bytes = nil
		}
	})
	slices.SortFunc(out, func(a, b claim.Fact) int { return compareDeltas(a.Delta, b.Delta) })
	return out, wrap(err, "reading the facts of %q on the day %d", owner, day)
}

// Deltas returns of the facts of an owner on a day what usage.Fold needs, sorted by ID.
func (s *Store) Deltas(ctx context.Context, owner string, day int64) ([]usage.Delta, error) {
	var out []usage.Delta
	err := s.eachBucket(ctx, owner, day, selectDeltas, func(rows *scylla.Rows, mu *sync.Mutex) {
		var d usage.Delta
		var id []byte
		for rows.Next(&id, &d.At, &d.Bytes, &d.Pins) {
			d.ID = [32]byte(id)
			mu.Lock()
			out = append(out, d)
			mu.Unlock()
			d.Bytes = nil
		}
	})
	slices.SortFunc(out, compareDeltas)
	return out, wrap(err, "reading the facts of %q on the day %d", owner, day)
}

// compareDeltas orders by ID, and those of one ID somehow.
func compareDeltas(a, b usage.Delta) int {
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.At, b.At), whole(a.Bytes).Cmp(whole(b.Bytes)), cmp.Compare(a.Pins, b.Pins))
}

// eachBucket calls read with the rows of each bucket of an owner and a day, for several at a
// time.
func (s *Store) eachBucket(ctx context.Context, owner string, day int64, text string, read func(*scylla.Rows, *sync.Mutex)) error {
	var buckets []int
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectBuckets, day, ShardOf(owner), owner))
	for bucket := 0; rows.Next(&bucket); {
		buckets = append(buckets, bucket)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	var mu sync.Mutex
	return each(ctx, buckets, func(ctx context.Context, bucket int) error {
		rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(text, owner, day, bucket))
		read(rows, &mu)
		return rows.Close()
	})
}

// Stored returns what there is with the IDs of facts where these would be: nothing, the fact
// itself, or others.
func (s *Store) Stored(ctx context.Context, facts []claim.Fact) (map[[32]byte][]usage.Delta, error) {
	byPartition := make(map[factPartition][][]byte)
	for i := range facts {
		p := partitionOf(&facts[i])
		byPartition[p] = append(byPartition[p], facts[i].ID[:])
	}
	type question struct {
		factPartition
		ids [][]byte
	}
	var questions []question
	for p, ids := range byPartition {
		for _, some := range chunks(ids, maxIn) {
			questions = append(questions, question{p, some})
		}
	}
	var mu sync.Mutex
	out := make(map[[32]byte][]usage.Delta)
	err := each(ctx, questions, func(ctx context.Context, q question) error {
		rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectStored, q.owner, q.day, q.bucket, q.ids))
		var d usage.Delta
		var id []byte
		for rows.Next(&id, &d.At, &d.Bytes, &d.Pins) {
			d.ID = [32]byte(id)
			mu.Lock()
			out[d.ID] = append(out[d.ID], d)
			mu.Unlock()
			d.Bytes = nil
		}
		return rows.Close()
	})
	return out, wrap(err, "looking for facts")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// raw sends what the store sends, by nothing but the driver: prepared values
// in, no decoding of what comes out, no rules, no second tries.
type raw struct {
	db    *scylla.DB
	grace int // seconds that the marker of a removed pin stays
	feeds map[string]chan feedRow
}

// feedRow is a row of changes and the one that waits for it.
type feedRow struct {
	cid  []byte
	rev  gocql.UUID
	prev *gocql.UUID
	kind int8
	done chan<- error
}

// writeDeadline bounds the append of feed rows, as in scyllastate.
const writeDeadline = 10 * time.Second

var errNotApplied = errors.New("a condition failed although nobody else writes")

// newRaw starts a writer for each feed. They end with ctx.
func newRaw(ctx context.Context, db *scylla.DB, grace time.Duration, waiting int, feeds []string) *raw {
	r := &raw{db: db, grace: int(grace / time.Second), feeds: make(map[string]chan feedRow)}
	for _, feed := range feeds {
		rows := make(chan feedRow, waiting)
		r.feeds[feed] = rows
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case row := <-rows:
					r.writeRows(feed, row, rows)
				}
			}
		}()
	}
	return r
}

// writeRows writes a row together with those that wait, as the store does.
func (r *raw) writeRows(feed string, first feedRow, more <-chan feedRow) {
	batch := []feedRow{first}
	for len(more) > 0 {
		batch = append(batch, <-more)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
	defer cancel()
	at := time.Now()
	values := func(row feedRow) []any {
		var prev any = gocql.UnsetValue
		if row.prev != nil {
			prev = *row.prev
		}
		return []any{feed, at.Unix() / slotSeconds, gocql.UUIDFromTime(at), row.cid, row.rev, prev, row.kind, gocql.UnsetValue}
	}
	var err error
	if len(batch) == 1 {
		err = r.db.Session.Query(insertChange, values(first)...).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Exec()
	} else {
		b := r.db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
		b.SetConsistency(gocql.Quorum)
		for _, row := range batch {
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: insertChange, Args: values(row), Idempotent: true})
		}
		err = b.Exec()
	}
	for _, row := range batch {
		row.done <- err
	}
}

// announce writes the feed rows of one pin and waits for them.
func (r *raw) announce(s *sample, rev gocql.UUID, prev *gocql.UUID, kind int8) error {
	done := make(chan error, len(s.peers))
	for _, feed := range s.peers {
		r.feeds[feed] <- feedRow{s.cid, rev, prev, kind, done}
	}
	for range s.peers {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

func (r *raw) get(ctx context.Context, s *sample) (rev gocql.UUID, err error) {
	var prev gocql.UUID
	var value []byte
	err = r.db.Session.Query(selectPin, s.cid).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Scan(&rev, &prev, &value)
	return rev, err
}

func (r *raw) has(ctx context.Context, s *sample) error {
	var rev gocql.UUID
	var rfMin *int
	return r.db.Session.Query(selectExists, s.cid).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Scan(&rev, &rfMin)
}

// put writes the pin over the revision prev, nil for none.
func (r *raw) put(ctx context.Context, s *sample, prev *gocql.UUID) error {
	rev := gocql.TimeUUID()
	if err := r.announce(s, rev, prev, kindPin); err != nil {
		return err
	}
	var set, assert any = gocql.UnsetValue, nil
	if prev != nil {
		set, assert = *prev, *prev
	}
	return r.cas(ctx, casPut, rev, set, s.value, s.pin.ReplicationFactorMin, s.pin.ReplicationFactorMax,
		s.pin.Timestamp, s.peers, s.cid, assert, []byte{0xff})
}

func (r *raw) add(ctx context.Context, s *sample) error { return r.put(ctx, s, nil) }

func (r *raw) addOver(ctx context.Context, s *sample) error {
	prev, err := r.get(ctx, s)
	if err != nil {
		return err
	}
	return r.put(ctx, s, &prev)
}

func (r *raw) rm(ctx context.Context, s *sample) error {
	prev, err := r.get(ctx, s)
	if err != nil {
		return err
	}
	rev := gocql.TimeUUID()
	if err := r.announce(s, rev, &prev, kindUnpin); err != nil {
		return err
	}
	return r.cas(ctx, casRemove, r.grace, rev, prev, s.cid, prev, []byte{0xff})
}

func (r *raw) cas(ctx context.Context, statement string, values ...any) error {
	applied, err := r.db.Session.Query(statement, values...).WithContext(ctx).MapScanCAS(make(map[string]any, 3))
	if err == nil && !applied {
		err = errNotApplied
	}
	return err
}

// list reads all pins by the ranges, the page and the number of readers that
// Store.List has, and returns how many there are.
func (r *raw) list(ctx context.Context) (int, error) {
	const page = 1000
	readers := max(4, 2*r.db.Shards())
	ranges := uint64(8 * readers)
	var total atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	width := math.MaxUint64/ranges + 1
	for i := range ranges {
		after := int64(uint64(1<<63) + i*width)
		upTo := int64(uint64(after) + width)
		if i == ranges-1 {
			upTo = math.MaxInt64
		}
		g.Go(func() error {
			iter := r.db.Session.Query(selectRange+r.db.Dialect.Scan(30*time.Second), after, upTo).WithContext(ctx).
				Consistency(gocql.Quorum).Idempotent(true).PageSize(page).Iter()
			var token int64
			var key, value []byte
			var rev gocql.UUID
			for iter.Scan(&token, &key, &rev, &value) {
				if len(value) > 0 {
					total.Add(1)
				}
				key, value = nil, nil
			}
			return iter.Close()
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("listing: %w", err)
	}
	return int(total.Load()), nil
}

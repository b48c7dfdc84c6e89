package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// tables are the requests that the write path and the feed are made of, each
// one statement. They stand apart so that the simulation runs that very code
// over tables in memory. Errors carry what scylla.NotSent and its like look for.
type tables interface {
	// readPin returns the row of c, the zero row when there is none.
	readPin(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error)
	// swap writes w if the row has the revision of w.old. When it is not
	// applied it returns the row as it is.
	swap(ctx context.Context, w *write) (applied bool, now row, err error)
	// fence is swap with the content left alone. There must be a pin.
	fence(ctx context.Context, w *write) (applied bool, now row, err error)

	// appendChanges writes rows of one feed under the time of the append.
	appendChanges(ctx context.Context, rows []intent, at time.Time) error
	// readChanges calls f for the rows of one slot with a time in
	// (after, upTo], in that order, and ends with the first error of f.
	readChanges(ctx context.Context, feed string, slot int64, after, upTo time.Time, f func(changeRow) error) error

	// readCursor returns the zero time and a nil holder when there is no row.
	readCursor(ctx context.Context, feed, consumer string) (cursor, error)
	// openCursor sets the position of a cursor that is not there.
	openCursor(ctx context.Context, feed, consumer string, position time.Time) error
	// claimCursor sets both columns if the holder is still the given one.
	claimCursor(ctx context.Context, feed, consumer string, to cursor, holder *gocql.UUID) (bool, error)
	// moveCursor sets the position if to.holder holds the cursor.
	moveCursor(ctx context.Context, feed, consumer string, to cursor) (bool, error)
}

// changeRow is one row of changes as a reader needs it.
type changeRow struct {
	at          gocql.UUID
	cid         []byte
	prev        gocql.UUID
	traceparent string
}

// cursor is one row of cursors.
type cursor struct {
	position time.Time
	holder   *gocql.UUID
}

// cqlTables are the tables in the database.
type cqlTables struct {
	db         *scylla.DB
	unpinGrace time.Duration
	insert     string
}

func newCQLTables(db *scylla.DB, unpinGrace time.Duration) *cqlTables {
	insert, _ := changesTable.Insert()
	return &cqlTables{db: db, unpinGrace: unpinGrace, insert: insert}
}

func (t *cqlTables) readPin(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error) {
	ctx = scylla.WithTrail(ctx)
	var r row
	err := t.db.Query(selectPin, c.Bytes()).WithContext(ctx).Consistency(cons).Idempotent(true).Scan(&r.rev, &r.prev, &r.pin)
	if errors.Is(err, gocql.ErrNotFound) {
		return row{}, nil
	}
	if err != nil {
		return row{}, fmt.Errorf("reading the pin of %s: %w", c, scylla.Describe(ctx, err))
	}
	if len(r.pin) == 0 {
		r.pin = nil
	}
	return r, nil
}

func (t *cqlTables) swap(ctx context.Context, w *write) (bool, row, error) {
	var assert any // null: the row must be absent
	var prev any = gocql.UnsetValue
	if !w.old.absent() {
		assert, prev = w.old.rev, w.old.rev
	}
	var q *gocql.Query
	if w.next == nil {
		q = t.db.Query(casRemove, int(t.unpinGrace/time.Second), w.rev, prev, w.cid.Bytes(), assert, sentinel)
	} else {
		n := w.next
		q = t.db.Query(casPut, w.rev, prev, n.value, n.pin.ReplicationFactorMin, n.pin.ReplicationFactorMax,
			createdOf(&n.pin), n.peers(), w.cid.Bytes(), assert, sentinel)
	}
	return condition(q.WithContext(ctx))
}

func (t *cqlTables) fence(ctx context.Context, w *write) (bool, row, error) {
	return condition(t.db.Query(casFence, w.rev, w.old.rev, w.cid.Bytes(), w.old.rev, sentinel).WithContext(ctx))
}

// condition runs a conditional update of pins once. It returns the row as it is
// when the update was not applied.
func condition(q *gocql.Query) (applied bool, now row, err error) {
	got := make(map[string]any, 3)
	applied, err = q.RetryPolicy(scylla.NoRetry()).MapScanCAS(got)
	if err != nil || applied {
		return applied, row{}, err
	}
	if rev, ok := got["rev"].(gocql.UUID); ok {
		now.rev = rev
	}
	if pin, ok := got["pin"].([]byte); ok && len(pin) > 0 {
		now.pin = pin
	}
	return false, now, nil
}

func (t *cqlTables) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	slot := slotOf(at)
	if len(rows) == 1 {
		return scylla.Describe(ctx, t.db.Query(t.insert, values(rows[0], slot, at)...).WithContext(ctx).
			Consistency(gocql.Quorum).Idempotent(true).Exec())
	}
	b := t.db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
	b.SetConsistency(gocql.Quorum)
	for _, r := range rows {
		b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: t.insert, Args: values(r, slot, at), Idempotent: true})
	}
	return scylla.Describe(ctx, b.Exec())
}

// values are the columns of changesTable, in its order.
func values(i intent, slot int64, at time.Time) []any {
	var prev, trace any = gocql.UnsetValue, gocql.UnsetValue // a null would be a tombstone
	if i.Prev != nil {
		prev = *i.Prev
	}
	if i.Traceparent != "" {
		trace = i.Traceparent
	}
	return []any{i.Feed, slot, newUUID(at), i.Cid, i.Rev, prev, i.Kind, trace}
}

func (t *cqlTables) readChanges(ctx context.Context, feed string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	ctx = scylla.WithTrail(ctx)
	iter := t.db.Query(selectChanges, feed, slot, gocql.MaxTimeUUID(after), gocql.MaxTimeUUID(upTo)).
		WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).PageSize(changesPage).Iter()
	var r changeRow
	for iter.Scan(&r.at, &r.cid, &r.prev, &r.traceparent) {
		if err := f(r); err != nil {
			_ = iter.Close() // err is the reason
			return err
		}
		r = changeRow{}
	}
	if err := iter.Close(); err != nil {
		return fmt.Errorf("slot %d of %s: %w", slot, feed, scylla.Describe(ctx, err))
	}
	return nil
}

func (t *cqlTables) readCursor(ctx context.Context, feed, consumer string) (cursor, error) {
	ctx = scylla.WithTrail(ctx)
	var c cursor
	err := t.db.Query(selectCursor, feed, consumer).WithContext(ctx).Consistency(gocql.Serial).Idempotent(true).
		Scan(&c.position, &c.holder)
	if errors.Is(err, gocql.ErrNotFound) {
		err = nil
	}
	return c, scylla.Describe(ctx, err)
}

func (t *cqlTables) openCursor(ctx context.Context, feed, consumer string, position time.Time) error {
	ctx = scylla.WithTrail(ctx)
	_, err := t.db.Query(openCursor, position, feed, consumer).
		WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(map[string]any{})
	return scylla.Describe(ctx, err)
}

func (t *cqlTables) claimCursor(ctx context.Context, feed, consumer string, to cursor, holder *gocql.UUID) (bool, error) {
	ctx = scylla.WithTrail(ctx)
	done, err := t.db.Query(claimCursor, to.position, to.holder, feed, consumer, holder).
		WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(map[string]any{})
	return done, scylla.Describe(ctx, err)
}

func (t *cqlTables) moveCursor(ctx context.Context, feed, consumer string, to cursor) (bool, error) {
	ctx = scylla.WithTrail(ctx)
	applied, err := t.db.Query(moveCursor, to.position, feed, consumer, to.holder).
		WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(map[string]any{})
	return applied, scylla.Describe(ctx, err)
}

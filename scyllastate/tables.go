package scyllastate

import (
	"context"
	"fmt"
	"strings"
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
	// readPins is readPin at QUORUM for many CIDs. It returns the rows that are
	// there, by key.
	readPins(ctx context.Context, cids []api.Cid) (map[string]row, error)
	// swap writes w if the row has the revision of w.old. When it is not
	// applied it returns the row as it is.
	swap(ctx context.Context, w *write) (applied bool, now row, err error)
	// fence is swap with the content left alone. There must be a pin.
	fence(ctx context.Context, w *write) (applied bool, now row, err error)

	// listEverywhere writes a row of everywhere with the given timestamp, and
	// noteBucket a row of buckets.
	listEverywhere(ctx context.Context, bucket int, c api.Cid, rev gocql.UUID, stamp int64) error
	noteBucket(ctx context.Context, holder string, bucket int) error

	// appendChanges writes rows of one feed under the time of the append.
	appendChanges(ctx context.Context, rows []intent, at time.Time) error
	// readChanges calls f for the rows of one slot with a time in (after, upTo],
	// of each feed in that order, and ends with the first error of f.
	readChanges(ctx context.Context, feeds []string, slot int64, after, upTo time.Time, f func(changeRow) error) error

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
	rev, prev   gocql.UUID
	kind        int8
	traceparent string
	// Of events only.
	peer, text string
	size       int64
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
	var r row
	if _, err := t.db.Read(ctx, cons, scylla.Bind(selectPin, c.Bytes()), &r.rev, &r.prev, &r.pin); err != nil {
		return row{}, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	if len(r.pin) == 0 {
		r.pin = nil
	}
	return r, nil
}

// swap replaces or removes a pin. The row that is left of one that is removed runs out.
// Actions Apply and RunOut of spec/WritePath.tla.
func (t *cqlTables) swap(ctx context.Context, w *write) (bool, row, error) {
	var assert any // null: the row must be absent
	var prev any = gocql.UnsetValue
	if !w.old.absent() {
		assert, prev = w.old.rev, w.old.rev
	}
	if w.next == nil {
		return t.condition(ctx, scylla.Bind(casRemove, int(t.unpinGrace/time.Second), w.rev, prev, w.cid.Bytes(), assert, sentinel))
	}
	n := w.next
	return t.condition(ctx, scylla.Bind(casPut, w.rev, prev, n.value, n.pin.ReplicationFactorMin, n.pin.ReplicationFactorMax,
		createdOf(&n.pin), n.peers(), w.cid.Bytes(), assert, sentinel))
}

// fence changes the revision and nothing else.
// Action Apply of spec/WritePath.tla.
func (t *cqlTables) fence(ctx context.Context, w *write) (bool, row, error) {
	return t.condition(ctx, scylla.Bind(casFence, w.rev, w.old.rev, w.cid.Bytes(), w.old.rev, sentinel))
}

// condition runs a conditional update of pins once. It returns the row as it is
// when the update was not applied.
// Action NotApplied of spec/WritePath.tla.
func (t *cqlTables) condition(ctx context.Context, s scylla.Statement) (applied bool, now row, err error) {
	applied, got, err := t.db.CAS(ctx, s)
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

func (t *cqlTables) readPins(ctx context.Context, cids []api.Cid) (map[string]row, error) {
	keys := make([][]byte, len(cids))
	for i, c := range cids {
		keys[i] = c.Bytes()
	}
	rows := t.db.Rows(ctx, gocql.Quorum, len(keys), scylla.Bind(selectPins, keys))
	found := make(map[string]row, len(keys))
	var key []byte
	var r row
	for rows.Next(&key, &r.rev, &r.prev, &r.pin) {
		if len(r.pin) == 0 {
			r.pin = nil
		}
		found[string(key)] = r
		key, r = nil, row{}
	}
	return found, rows.Close()
}

func (t *cqlTables) listEverywhere(ctx context.Context, bucket int, c api.Cid, rev gocql.UUID, stamp int64) error {
	return t.db.Write(ctx, scylla.Bind(insertEverywhere, bucket, c.Bytes(), rev, stamp))
}

func (t *cqlTables) noteBucket(ctx context.Context, holder string, bucket int) error {
	return t.db.Write(ctx, scylla.Bind(insertBucket, holder, bucket))
}

func (t *cqlTables) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	slot := slotOf(at)
	all := make([]scylla.Statement, len(rows))
	for i, r := range rows {
		all[i] = scylla.Bind(t.insert, values(r, slot, at)...)
		if r.Peer != "" {
			all[i] = scylla.Bind(insertEvent, eventValues(r, slot, at)...)
		}
	}
	return t.db.WriteAll(ctx, all)
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

func (t *cqlTables) readChanges(ctx context.Context, feeds []string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	from, to := gocql.MaxTimeUUID(after), gocql.MaxTimeUUID(upTo)
	var r changeRow
	columns := []any{&r.at, &r.cid, &r.rev, &r.prev, &r.kind, &r.traceparent}
	s := scylla.Bind(selectShared, feeds, slot, from, to)
	switch {
	case isEventFeed(feeds[0]): // they are read one by one
		s = scylla.Bind(selectEvents, feeds[0], slot, from, to)
		columns = append(columns, &r.peer, &r.size, &r.text)
	case len(feeds) == 1:
		s = scylla.Bind(selectChanges, feeds[0], slot, from, to) // a replica of it is asked
	}
	rows := t.db.Rows(ctx, gocql.Quorum, changesPage, s)
	for rows.Next(columns...) {
		if err := f(r); err != nil {
			_ = rows.Close() // err is the reason
			return err
		}
		r = changeRow{}
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("slot %d of %s: %w", slot, strings.Join(feeds, ", "), err)
	}
	return nil
}

func (t *cqlTables) readCursor(ctx context.Context, feed, consumer string) (cursor, error) {
	var c cursor
	_, err := t.db.Read(ctx, gocql.Serial, scylla.Bind(selectCursor, feed, consumer), &c.position, &c.holder)
	return c, err
}

func (t *cqlTables) openCursor(ctx context.Context, feed, consumer string, position time.Time) error {
	_, _, err := t.db.CAS(ctx, scylla.Bind(openCursor, position, feed, consumer))
	return err
}

func (t *cqlTables) claimCursor(ctx context.Context, feed, consumer string, to cursor, holder *gocql.UUID) (bool, error) {
	applied, _, err := t.db.CAS(ctx, scylla.Bind(claimCursor, to.position, to.holder, feed, consumer, holder))
	return applied, err
}

func (t *cqlTables) moveCursor(ctx context.Context, feed, consumer string, to cursor) (bool, error) {
	applied, _, err := t.db.CAS(ctx, scylla.Bind(moveCursor, to.position, feed, consumer, to.holder))
	return applied, err
}

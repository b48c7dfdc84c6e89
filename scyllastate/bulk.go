package scyllastate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// importer implements state.Importer.
type importer struct {
	store  *Store
	id     string
	run    int64
	bulk   bool
	holder holder
	live   *time.Time // since when the pinset is in use, nil while it is not
	mark   bulkMark
	queued time.Time // of the side rows: in bulk the same whenever a pin is written
	pace   *pace
	atOnce int                // side rows
	names  map[peer.ID]string // the text of a peer ID takes long to make
}

// The timestamp of a bulk write, in microseconds since 1970, is the number of the
// run and, in the lowest bits, that of the record. The bounds of both keep it
// before 1998, so that every conditional write is later. Of two bulk writes of one
// pin that of the later run is later, or of the later record.
const recordBits = 40

func stampOf(run, record int64) int64 { return run<<recordBits | record }

// bulkMark is in the revisions of all that one migration writes in bulk: what of
// a timeuuid is not the time, from a hash.
type bulkMark [8]byte

func markOf(id string) bulkMark {
	sum := sha256.Sum256([]byte(id))
	u := gocql.TimeUUIDWith(0, uint32(sum[0])<<8|uint32(sum[1]), sum[2:8])
	return bulkMark(u[8:])
}

// revision is that of a pin written under the timestamp.
func (m bulkMark) revision(stamp int64) gocql.UUID {
	rev := newUUID(time.UnixMicro(stamp))
	copy(rev[8:], m[:])
	return rev
}

// run returns the run that has written the revision, and false when that was
// no bulk write of this migration.
func (m bulkMark) run(rev gocql.UUID) (int64, bool) {
	if bulkMark(rev[8:]) != m {
		return 0, false
	}
	run := rev.Time().UnixMicro() >> recordBits
	return run, run >= 1 && run <= state.MaxMigrationRuns
}

// Write implements state.Importer.
func (i *importer) Write(ctx context.Context, pins []state.BulkPin) error {
	for n := range pins {
		p := &pins[n]
		if p.Number < 1 || p.Number >= state.MaxMigrationRecords {
			return fmt.Errorf("writing the pin of %s: there is no record %d", p.Pin.Cid, p.Number)
		}
		for _, id := range p.Pin.Allocations {
			i.name(id) // the writers only read
		}
	}
	err := i.pace.each(ctx, len(pins), func(ctx context.Context, n int) error { return i.writePin(ctx, &pins[n]) })
	if err != nil {
		return fmt.Errorf("writing %d pins: %w", len(pins), err)
	}
	return i.Index(ctx, pins)
}

// Index implements state.Importer.
func (i *importer) Index(ctx context.Context, pins []state.BulkPin) error {
	rows := newSideRows()
	for n := range pins {
		i.addSideRows(rows, &pins[n])
		if rows.n < i.atOnce && n < len(pins)-1 {
			continue
		}
		if err := i.writeSideRows(ctx, rows); err != nil {
			return fmt.Errorf("writing by what %d pins are found: %w", len(pins), err)
		}
		rows = newSideRows()
	}
	return nil
}

// name is the text of a peer ID.
func (i *importer) name(id peer.ID) string {
	name, known := i.names[id]
	if !known {
		name = id.String()
		i.names[id] = name
	}
	return name
}

func (i *importer) writePin(ctx context.Context, p *state.BulkPin) error {
	at := stampOf(i.run, p.Number)
	peers := make([]string, len(p.Pin.Allocations))
	for n, id := range p.Pin.Allocations {
		peers[n] = i.names[id]
	}
	err := i.exec(ctx, bulkPut, at, i.mark.revision(at), p.Value, p.Pin.ReplicationFactorMin, p.Pin.ReplicationFactorMax,
		createdOf(&p.Pin), peers, p.Pin.Cid.Bytes())
	if err != nil {
		return fmt.Errorf("the pin of %s: %w", p.Pin.Cid, err)
	}
	return nil
}

func (i *importer) exec(ctx context.Context, statement string, args ...any) error {
	return i.store.db.Write(ctx, scylla.Bind(statement, args...))
}

// addSideRows adds all by which a pin is found without a walk over the pinset.
// There are no changes: they do not last until a peer comes that would read them.
// A peer that starts takes up what is queued for it.
func (i *importer) addSideRows(rows *sideRows, p *state.BulkPin) {
	c := p.Pin.Cid
	bucket, key := state.Bucket(c), c.Bytes()
	at := stampOf(i.run, p.Number)
	rev := i.mark.revision(at)
	if p.Pin.IsPinEverywhere() {
		i.noteBucket(rows, everyPeer, bucket)
		rows.add(partition{"everywhere", "", int64(bucket)}, insertEverywhere, bucket, key, rev, at)
	} else {
		for _, id := range p.Pin.Allocations {
			name := i.name(id)
			i.noteBucket(rows, name, bucket)
			rows.add(partition{"placements", name, int64(bucket)}, putPlacement,
				at, rev, int8(state.PlacementQueued), i.queued, 0, gocql.UnsetValue, "", int(p.Pin.MaxDepth), name, bucket, key)
		}
	}
	if due := p.Pin.ExpireAt; !due.IsZero() {
		slot, ttl := expirySlot(due, i.queued)
		shard := shardOf(c)
		rows.add(partition{"expiries", "", slot*state.ExpiryShards + int64(shard)}, insertExpiry, slot, shard, key, due, ttl, at)
	}
}

// noteBucket adds the row of a bucket that this process does not know to be
// there.
func (i *importer) noteBucket(rows *sideRows, holder string, bucket int) {
	if i.store.noted.has(holder, bucket) {
		return
	}
	key := bucketKey{holder, bucket}
	if _, twice := rows.noted[key]; twice {
		return
	}
	rows.noted[key] = struct{}{}
	rows.add(partition{"buckets", holder, 0}, insertBucket, holder, bucket)
}

// sideRows are the rows that belong to many pins, by partition: those of one
// travel in one batch.
type sideRows struct {
	batches map[partition][]scylla.Statement
	noted   map[bucketKey]struct{}
	n       int
}

func newSideRows() *sideRows {
	return &sideRows{batches: make(map[partition][]scylla.Statement), noted: make(map[bucketKey]struct{})}
}

// bucketKey is the key of the table buckets.
type bucketKey struct {
	holder string
	bucket int
}

// partition names one of a table.
type partition struct {
	table, name string
	number      int64
}

func (r *sideRows) add(p partition, statement string, args ...any) {
	r.n++
	r.batches[p] = append(r.batches[p], scylla.Bind(statement, args...))
}

// maxSideRows are kept at once, whatever the number of peers a pin is on: some
// 20 MB. The more there are the more of them share a batch.
const maxSideRows = 40_000

// maxBatchRows keeps a batch of side rows, which have less than 300 bytes each,
// below maxBatchBytes.
const maxBatchRows = 200

func (i *importer) writeSideRows(ctx context.Context, rows *sideRows) error {
	batches := make([][]scylla.Statement, 0, len(rows.batches))
	for _, batch := range rows.batches {
		for len(batch) > maxBatchRows {
			batches = append(batches, batch[:maxBatchRows])
			batch = batch[maxBatchRows:]
		}
		batches = append(batches, batch)
	}
	err := i.pace.each(ctx, len(batches), func(ctx context.Context, n int) error { return i.store.db.WriteAll(ctx, batches[n]) })
	if err != nil {
		return err
	}
	for b := range rows.noted {
		i.store.noted.add(b.holder, b.bucket)
	}
	return nil
}

// swept is a pin that an earlier run has written and the source does not have
// any more.
type swept struct {
	cid api.Cid
	pin api.Pin
}

// sweepWindow is how many pins a sweep removes at once.
const sweepWindow = 4096

// Sweep implements state.Importer. What is left of the removed pins beside the
// pinset and the placements a scrub removes, or it runs out.
func (i *importer) Sweep(ctx context.Context, progress func(n int64)) (removed int64, err error) {
	var mu, flushing sync.Mutex
	var seen int64
	var found []swept
	flush := func(pins []swept) error {
		flushing.Lock() // one at a time: the pace is for all
		defer flushing.Unlock()
		err := i.pace.each(ctx, len(pins), func(ctx context.Context, n int) error { return i.remove(ctx, pins[n]) })
		if err == nil {
			removed += int64(len(pins))
		}
		return err
	}
	err = i.store.scanAll(ctx, gocql.Quorum, func(_ context.Context, row scanned) error {
		run, ours := i.mark.run(row.rev)
		mu.Lock()
		if seen++; seen%scanPage == 0 {
			progress(seen)
		}
		if !ours || run >= i.run {
			mu.Unlock()
			return nil
		}
		mu.Unlock()
		c, err := castKey(row.key)
		if err != nil {
			return err
		}
		pin, err := decodePin(c, row.value)
		if err != nil {
			return err
		}
		mu.Lock()
		found = append(found, swept{c, pin})
		var full []swept
		if len(found) >= sweepWindow {
			full, found = found, nil
		}
		mu.Unlock()
		return flush(full)
	})
	if err == nil {
		err = flush(found)
	}
	if err != nil {
		return removed, fmt.Errorf("removing what earlier runs have written: %w", err)
	}
	return removed, nil
}

// remove removes a pin as it was written in bulk, and what is queued for its
// peers. Whatever was written by others has a later timestamp and stays.
func (i *importer) remove(ctx context.Context, s swept) error {
	at := stampOf(i.run, 0) // after every earlier run, before all of this one
	for _, id := range s.pin.Allocations {
		if err := i.exec(ctx, dropPlacement, at, id.String(), state.Bucket(s.cid), s.cid.Bytes()); err != nil {
			return err
		}
	}
	return i.exec(ctx, bulkRemove, at, s.cid.Bytes())
}

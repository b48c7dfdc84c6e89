package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
)

const (
	// bulkWindow is how many pins the migration writes together.
	bulkWindow = 16384
	// bulkWriters is how many requests the bare loop has under way.
	bulkWriters = 128
	// bulkBatch is how many rows of one partition travel together.
	bulkBatch = 200
	// queued is the status of a placement.
	queued int8 = 1
)

// bulkRows are what a migration writes for some pins, ready to be sent.
type bulkRows struct {
	pins    [][]any // arguments of bulkPut
	batches [][]gocql.BatchEntry
}

// rows reads the pins of a part and makes their rows, as scyllastate does.
func (p *partOf) rows(ctx context.Context) (*bulkRows, error) {
	out := &bulkRows{}
	window := make(map[string][]gocql.BatchEntry)
	noted := make(map[string]bool)
	flush := func() {
		for _, batch := range window {
			for ; len(batch) > bulkBatch; batch = batch[bulkBatch:] {
				out.batches = append(out.batches, batch[:bulkBatch])
			}
			out.batches = append(out.batches, batch)
		}
		clear(window)
	}
	at := int64(1) << 40
	now := time.Now()
	err := p.Read(ctx, source.Position{}, func(r source.Record) error {
		var pin api.Pin
		if err := pin.ProtoUnmarshal(r.Value); err != nil {
			return err
		}
		at++
		rev := gocql.UUIDFromTime(time.UnixMicro(at))
		key := r.Cid.Bytes()
		sum := sha256.Sum256(key)
		bucket := int(binary.BigEndian.Uint16(sum[:]) >> 4)
		peers := make([]string, len(pin.Allocations))
		for i, id := range pin.Allocations {
			name := id.String()
			peers[i] = name
			if k := fmt.Sprint(name, " ", bucket); !noted[k] {
				noted[k] = true
				window[name] = append(window[name], entry(insertBucket, name, bucket))
			}
			k := fmt.Sprint("placements ", name, bucket)
			window[k] = append(window[k], entry(putPlacement, at, rev, queued, now, 0, gocql.UnsetValue, "", int(pin.MaxDepth), name, bucket, key))
		}
		out.pins = append(out.pins, []any{at, rev, r.Value, pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Timestamp, peers, key})
		if len(out.pins)%bulkWindow == 0 {
			flush()
		}
		return nil
	}, func(b source.Bad) error { return b.Err })
	flush()
	return out, err
}

func entry(statement string, args ...any) gocql.BatchEntry {
	return gocql.BatchEntry{Stmt: statement, Args: args, Idempotent: true}
}

// write sends all rows, in no order.
func (r *bulkRows) write(ctx context.Context, db *scylla.DB) error {
	send := func(i int) error {
		if i < len(r.pins) {
			return db.Session.Query(bulkPut, r.pins[i]...).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Exec()
		}
		batch := r.batches[i-len(r.pins)]
		if len(batch) == 1 {
			return db.Session.Query(batch[0].Stmt, batch[0].Args...).WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Exec()
		}
		b := db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
		b.SetConsistency(gocql.Quorum)
		b.Entries = batch
		return b.Exec()
	}
	var next atomic.Int64
	var g errgroup.Group
	for range bulkWriters {
		g.Go(func() error {
			for i := int(next.Add(1) - 1); i < len(r.pins)+len(r.batches); i = int(next.Add(1) - 1) {
				if err := send(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

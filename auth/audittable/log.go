package audittable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// blockRecords is how many records begin in one partition: some megabytes. It is more than
	// a row can have, so that no block is left out, and never changes.
	blockRecords = 4096
	// writeTime is how long one write is tried: as long as a Recorder waits for it.
	writeTime = 5 * time.Second
	// retryPause is the longest pause before a write is sent again.
	retryPause = 100 * time.Millisecond
)

// blockOf returns the block of the row that begins with a record.
func blockOf(seq int64) int64 { return (seq - 1) / blockRecords }

// tableLog is an audit.Log in rows.
type tableLog struct {
	db      *scylla.DB
	writer  string
	process gocql.UUID
	ttl     int
	limit   time.Duration // of a write
	isLost  func() bool   // the lease
	// cas is that of db; tests lose its answers.
	cas func(context.Context, scylla.Statement) (bool, map[string]any, error)

	newest int64 // the block that audit_writers has, -1 if that is not known
	taken  bool  // another process writes
}

var _ audit.Log = (*tableLog)(nil)

func newLog(db *scylla.DB, process gocql.UUID, o Options, isLost func() bool) *tableLog {
	return &tableLog{
		db: db, writer: o.Chain.Writer, process: process, ttl: int(o.Retention / time.Second), limit: o.writeTime,
		isLost: isLost, cas: db.CAS, newest: -1,
	}
}

// Full implements audit.Log: a table has no pieces that are moved away.
func (l *tableLog) Full() bool { return false }

// Close implements audit.Log.
func (l *tableLog) Close() error { return nil }

// Write implements audit.Log.
func (l *tableLog) Write(text []byte, first int64) error {
	if l.taken || l.isLost() {
		return ErrTaken
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.limit)
	defer cancel()
	block := blockOf(first)
	if block != l.newest {
		// Before its first row, so that it is found. The last block counts whatever comes late.
		if err := l.db.Write(ctx, scylla.Bind(updateNewest, block+1, block, l.writer)); err != nil {
			return err
		}
		l.newest = block
	}
	return l.insert(scylla.WithTrail(ctx), block, first, string(text))
}

// insert makes a row, and sends it again until its outcome is known or the time is over.
func (l *tableLog) insert(ctx context.Context, block, first int64, lines string) error {
	statement := scylla.Bind(insertLines, l.writer, block, first, lines, l.process, l.ttl)
	open := false
	for {
		applied, now, err := l.cas(ctx, statement)
		if err == nil && !applied {
			if process, _ := now["process"].(gocql.UUID); process != l.process || now["lines"] != lines {
				l.taken = true
				return fmt.Errorf("record %d: %w", first, ErrTaken)
			}
		}
		if err == nil {
			return nil
		}
		refused := scylla.NotSent(err) || scylla.Rejected(err)
		open = open || !refused
		if !refused && !scylla.Permanent(err) && ctx.Err() == nil {
			select {
			case <-time.After(rand.N(retryPause)):
				continue
			case <-ctx.Done():
			}
		}
		if open {
			l.db.NotServed(err)
			return fmt.Errorf("%w: %w", audit.ErrOpen, err)
		}
		return err
	}
}

// end finds where the chain goes on. It reads at SERIAL: what a process that died had under
// way is there then, or never will be, unless it was still on the way to the database.
func (l *tableLog) end(ctx context.Context) (audit.End, error) {
	var newest int64
	known, err := l.db.Read(ctx, gocql.Quorum, scylla.Bind(selectNewest, l.writer), &newest)
	if err != nil {
		return audit.End{}, fmt.Errorf("reading where the chain ends: %w", err)
	}
	if !known {
		newest = 0
	}
	var at audit.End
	found := false
	// The newest may be a block whose first row was never written. That later ones have rows
	// happens only if audit_writers was changed, or comes from a backup.
	for block := max(0, newest-1); ; block++ {
		var seq int64
		var lines string
		there, err := l.db.Read(ctx, gocql.Serial, scylla.Bind(selectLast, l.writer, block), &seq, &lines)
		if err != nil {
			return audit.End{}, fmt.Errorf("reading the end of the chain: %w", err)
		}
		if !there && block > newest {
			break
		}
		if !there {
			continue
		}
		if at, err = audit.EndOf(l.writer, seq, []byte(lines)); err != nil {
			return audit.End{}, fmt.Errorf("the last records of block %d, at %d, are not as they were written, so that the chain cannot go on: %w", block, seq, err)
		}
		found = true
	}
	if found {
		return at, nil
	}
	if newest == 0 {
		return audit.End{}, nil
	}
	// All have expired, or were removed, which copies of checkpoints tell.
	return audit.EndBefore((newest+1)*blockRecords + 1), nil
}

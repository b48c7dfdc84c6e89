package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Database is what a Store asks, a *scylla.DB.
type Database interface {
	Read(ctx context.Context, cons gocql.Consistency, s scylla.Statement, dest ...any) (bool, error)
	Rows(ctx context.Context, cons gocql.Consistency, size int, s scylla.Statement) *scylla.Rows
	Scan(ctx context.Context, cons gocql.Consistency, size int, s scylla.Statement) *scylla.Rows
	WriteAll(ctx context.Context, all []scylla.Statement) error
	CAS(ctx context.Context, s scylla.Statement) (applied bool, now map[string]any, err error)
	Prepare(ctx context.Context, texts []string)
	NotServed(err error)
}

// Store has the tables of usage. It is safe for concurrent use, and any number of processes
// may work on one keyspace. An error that is none of this package's is a failure of the
// database, or of what is stored in it.
type Store struct {
	db     Database
	active noted[activeRow]
	// begun are the shards of days whose close has begun.
	begun noted[shardDay]
	now   func() time.Time
}

const (
	// width is how many requests an operation has under way at a time at most.
	width = 64
	// maxBatch is how many rows are written by one request, some 20 KB.
	maxBatch = 64
	// maxIn is how many rows of a partition are asked for by their keys at a time.
	maxIn = 100
	// page is how many rows of a partition are read at a time.
	page = 1000
	// notedMost is how many rows of a table a Store remembers, some 10 MB.
	notedMost = 100_000
	// firstOnly is what is subtracted from for the timestamp of a write of which the first
	// one is to stay, in microseconds: all of them are long past.
	firstOnly = 1_000_000_000_000_000
)

// New returns a store in the keyspace that package keyspace has opened.
func New(ctx context.Context, db Database) *Store {
	db.Prepare(ctx, hotStatements())
	return &Store{
		db: db, active: noted[activeRow]{keys: make(map[activeRow]struct{})}, begun: noted[shardDay]{keys: make(map[shardDay]struct{})}, now: time.Now,
	}
}

// batches are statements by their partitions.
type batches map[any][]scylla.Statement

func (b batches) add(partition any, s scylla.Statement) { b[partition] = append(b[partition], s) }

// write makes all of them, those of a partition together, width requests at a time. After an
// error some are made.
func (s *Store) write(ctx context.Context, b batches) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(width)
	for _, all := range b {
		for len(all) > 0 {
			n := min(len(all), maxBatch)
			some := all[:n]
			all = all[n:]
			g.Go(func() error { return s.db.WriteAll(ctx, some) })
		}
	}
	return g.Wait()
}

// each calls f for all of a list, width at a time.
func each[T any](ctx context.Context, list []T, f func(ctx context.Context, item T) error) error {
	if len(list) == 1 {
		return f(ctx, list[0])
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(width)
	for _, item := range list {
		g.Go(func() error { return f(ctx, item) })
	}
	return g.Wait()
}

// decide makes a conditional update that may be made any number of times, see scylla.Decide.
func (s *Store) decide(ctx context.Context, statement scylla.Statement) error {
	return scylla.Decide(ctx, s.db, statement)
}

// noted are rows of which it is known that they are there, and which stay. It is safe for
// concurrent use.
type noted[K comparable] struct {
	mu   sync.Mutex
	keys map[K]struct{}
}

func (n *noted[K]) has(row K) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.keys[row]
	return ok
}

func (n *noted[K]) add(rows ...K) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.keys)+len(rows) > notedMost {
		clear(n.keys)
	}
	for _, row := range rows {
		n.keys[row] = struct{}{}
	}
}

// wrap says what failed, if something did.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// timeOf is a time in milliseconds since 1970.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// chunks divides a list into parts of at most n.
func chunks[T any](list []T, n int) [][]T {
	var out [][]T
	for len(list) > n {
		out, list = append(out, list[:n:n]), list[n:]
	}
	if len(list) > 0 {
		out = append(out, list)
	}
	return out
}

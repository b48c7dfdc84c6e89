package audittable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Options are the options of a Table.
type Options struct {
	// Chain has the writer, the key and the copies. MaxBytes is set here.
	Chain audit.ChainOptions
	// Retention is how long records are kept. Zero keeps them for ever.
	Retention time.Duration
	// LeaseFailed is told when the lease on the writer could not be prolonged, or was lost, in
	// which case nothing is recorded any more. It may be nil.
	LeaseFailed func(error)

	leaseTime, leaseWait, writeTime time.Duration // zero means those below
}

// ErrTaken is that another process writes records under the same name. A Table that has
// returned it records nothing any more.
var ErrTaken = errors.New("another process writes audit records under this name")

const (
	// leaseTime is how long a writer that died is waited for.
	leaseTime = 15 * time.Second
	// maxRowBytes is after how many bytes no more records are added to a row: replicas keep it
	// several times while they agree on it.
	maxRowBytes = 128 << 10
	// maxRetention is the longest time to live that both engines take: 20 years of 365 days.
	maxRetention = 20 * 365 * 24 * time.Hour
	// settleTries is how often the end of a chain is looked for while another process that died
	// has something under way.
	settleTries = 3
)

// Table is a Chain in a table.
type Table struct {
	*audit.Chain
	lease *lease
}

var _ audit.Sink = (*Table)(nil)

// Open goes on with the chain of a writer, or begins it, and records that it started. If
// another process has the writer, or has just died, it waits until that has not been heard of
// for the time of a lease, or at most for a while longer: then the error wraps ErrTaken.
func Open(ctx context.Context, db *scylla.DB, o Options) (*Table, error) {
	if err := o.Chain.Check(); err != nil {
		return nil, err
	}
	if err := checkRetention(o.Retention); err != nil {
		return nil, err
	}
	setDefaults(&o)
	o.Chain.MaxBytes = maxRowBytes
	process, err := gocql.RandomUUID()
	if err != nil {
		return nil, fmt.Errorf("drawing the mark of the process: %w", err)
	}
	writer := o.Chain.Writer
	db.Prepare(ctx, []string{insertLines, selectLast, updateNewest})
	l, err := takeLease(ctx, db, writer, process, o)
	if err != nil {
		return nil, fmt.Errorf("the audit table, as %s: %w", writer, err)
	}
	log := newLog(db, process, o, l.isLost)
	chain, err := start(ctx, log, o.Chain)
	if err != nil {
		return nil, fmt.Errorf("the audit table, as %s: %w", writer, errors.Join(err, l.release()))
	}
	return &Table{Chain: chain, lease: l}, nil
}

func setDefaults(o *Options) {
	if o.leaseTime == 0 {
		o.leaseTime = leaseTime
	}
	if o.leaseWait == 0 {
		o.leaseWait = o.leaseTime + o.leaseTime/2
	}
	if o.writeTime == 0 {
		o.writeTime = writeTime
	}
	if o.LeaseFailed == nil {
		o.LeaseFailed = func(error) {}
	}
}

func checkRetention(r time.Duration) error {
	if r < 0 || r > maxRetention || r%time.Second != 0 {
		return fmt.Errorf("audit records cannot be kept for %s: use whole seconds up to 20 years", r)
	}
	return nil
}

// start begins at the end of the chain. A process that died may have had a row under way that
// comes to be there after the end was read: then it is read again.
func start(ctx context.Context, log *tableLog, o audit.ChainOptions) (*audit.Chain, error) {
	for tries := 1; ; tries++ {
		at, err := log.end(ctx)
		if err != nil {
			return nil, err
		}
		chain, err := audit.StartChain(o, log, at, nil)
		if err == nil || tries == settleTries || !errors.Is(err, ErrTaken) || log.isLost() {
			return chain, err
		}
		log.taken = false
	}
}

// Close writes a last checkpoint and gives the name of the writer back. If the database does
// not answer it returns after some seconds; the name is free when the lease runs out.
func (t *Table) Close() error {
	err := t.Chain.Close()
	return errors.Join(err, t.lease.release())
}

package invoicing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Database is what an Office asks, a *scylla.DB.
type Database interface {
	Read(ctx context.Context, cons gocql.Consistency, s scylla.Statement, dest ...any) (bool, error)
	Rows(ctx context.Context, cons gocql.Consistency, size int, s scylla.Statement) *scylla.Rows
	Scan(ctx context.Context, cons gocql.Consistency, size int, s scylla.Statement) *scylla.Rows
	WriteAll(ctx context.Context, all []scylla.Statement) error
	CAS(ctx context.Context, s scylla.Statement) (applied bool, now map[string]any, err error)
	NotServed(err error)
	TryLease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error)
	FreeLease(ctx context.Context, name, holder string, epoch int64) error
}

// Options say what an Office works with.
type Options struct {
	Database Database
	Usage    Usage
	// Buyer tells who an owner is on paper. The error is ErrHeld if nobody knows.
	Buyer   func(ctx context.Context, owner string) (Buyer, error)
	Seller  invoice.Party
	Regions invoice.Regions
	// Series and CreditSeries begin the numbers of invoices and of credit notes. They may be
	// others each year. A document that was begun keeps its own.
	Series, CreditSeries string
	// Terms is how many days there are from the date of an invoice until it is due.
	Terms int
	// MostUnsized is of how many pins the size may be unknown in a month that is invoiced:
	// they cost less than they will. Negative is any number.
	MostUnsized int64
	// Source names who tells notices, a URI reference.
	Source string
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
}

// Buyer is who pays for an owner.
type Buyer struct {
	Party invoice.Party
	// Region is the name of the tax region.
	Region string
	Notes  []string
}

// Office makes invoices, and keeps what was paid. It is safe for concurrent use, and any number of
// processes may work on one keyspace.
type Office struct {
	db   Database
	opts Options
	now  func() time.Time
	// taking has a value while a number is taken: those of one process do not contend for it.
	taking chan struct{}
}

const (
	maxTerms = 180
	// page is how many rows of a partition are read at a time.
	page = 500
)

// New returns an Office in the keyspace that package keyspace has opened. The error is about the
// options.
func New(opts Options) (*Office, error) {
	o := &Office{db: opts.Database, opts: opts, now: opts.Now, taking: make(chan struct{}, 1)}
	if o.now == nil {
		o.now = time.Now
	}
	var problems []error
	for what, missing := range map[string]bool{
		"a database": opts.Database == nil, "the usage": opts.Usage == nil, "buyers": opts.Buyer == nil, "a source of notices": opts.Source == "",
		"two different series": opts.Series == "" || opts.CreditSeries == "" || opts.Series == opts.CreditSeries,
	} {
		if missing {
			problems = append(problems, fmt.Errorf("invoices need %s", what))
		}
	}
	if opts.Terms < 0 || opts.Terms > maxTerms {
		problems = append(problems, fmt.Errorf("an invoice is due after 0 to %d days, not %d", maxTerms, opts.Terms))
	}
	if err := errors.Join(append(problems, opts.Regions.Check())...); err != nil {
		return nil, err
	}
	return o, nil
}

// decide makes a conditional update that may be made any number of times, see scylla.Decide.
func (o *Office) decide(ctx context.Context, statement scylla.Statement) error {
	return scylla.Decide(ctx, o.db, statement)
}

func (o *Office) write(ctx context.Context, s scylla.Statement) error {
	return o.db.WriteAll(ctx, []scylla.Statement{s})
}

// wrap says what failed, if something did.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// shards are the parts into which owners are divided. Rows that are stored depend on it.
const shards = 16

// shardOf returns the shard of an owner.
func shardOf(owner string) int {
	sum := sha256.Sum256([]byte(owner))
	return int(sum[0] % shards)
}

// newMark returns a mark that no other write has.
func newMark() (gocql.UUID, error) {
	mark, err := gocql.RandomUUID()
	return mark, wrap(err, "drawing a mark")
}

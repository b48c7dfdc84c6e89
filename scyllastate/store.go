package scyllastate

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("scyllastate")

// maxHints bounds the memory of which CIDs a Get found absent.
const maxHints = 16 << 10

// Store is the pinset in a CQL cluster. It is safe for concurrent use.
type Store struct {
	db     *scylla.DB
	tables tables
	// conf is what Open was given, with the unpin_grace of the keyspace.
	conf  Config
	lim   limits
	clock *clock
	// now is the clock that is checked, and that everything written carries.
	now func() time.Time
	// random returns a time below the given one, by which tries are spread.
	random func(time.Duration) time.Duration
	// read is the consistency of Get, Has and List.
	read gocql.Consistency
	// absent remembers CIDs that a Get has just not found, and when. It only
	// chooses the first try of a write.
	absent  *lru.Cache[string, time.Time]
	intents *appender
	nudges  nudges
	// deadlines are those of the writers whose changes the feeds have.
	deadlines *deadlines
	stamps    stamps
	noted     notedBuckets
	// roster is what the last listing of the peers has found.
	roster atomic.Pointer[roster]
	// goLive says that the pinset is in use, before the first conditional write.
	goLive func(context.Context) error
	// eventsSince is from when on the keyspace has events, zero if it has none.
	eventsSince time.Time
	// metrics are those of conf.
	metrics *Metrics
	pins    pinsCount
	// at is called at the named points of a write; tests stop it there.
	at func(point, *write)

	stop context.CancelFunc
	done sync.WaitGroup
}

var (
	_ state.Store   = (*Store)(nil)
	_ state.Updater = (*Store)(nil)
)

// Open connects to the database, waiting for it as conf.ConnectTimeout says,
// creates or checks the schema, and checks that the keyspace belongs to the
// cluster of conf; one without an owner does from then on. The Store goes by the
// unpin_grace of the keyspace, and says so if that of conf is another one. The
// caller closes the Store.
func Open(ctx context.Context, conf *Config) (*Store, error) {
	return open(ctx, conf, options{limits: production(), schema: schema.Files})
}

// OpenExisting is Open for tools that look into a pinset: it creates nothing,
// and a keyspace without an owner stays without. One without an unpin_grace gets it,
// as the tool may remove pins.
func OpenExisting(ctx context.Context, conf *Config) (*Store, error) {
	return open(ctx, conf, options{limits: production(), schema: schema.Files, existing: true})
}

// OpenReadOnly is for tools that copy the pins of any cluster: it also opens the
// keyspace of another cluster, and of another version as long as its pins can be
// read. The caller must not write.
func OpenReadOnly(ctx context.Context, conf *Config) (*Store, error) {
	return open(ctx, conf, options{limits: production(), existing: true, readOnly: true})
}

// options are what differs between the ways to open a Store.
type options struct {
	limits
	schema   fs.FS
	existing bool // creates and claims nothing
	readOnly bool // and whose it is, and what other tables it has, does not matter
}

// limits bound how late a row of the feed can become visible. All peers must
// have the same: they are constants, and variable only in tests.
type limits struct{ writeDeadline, clockSkew time.Duration }

func production() limits { return limits{writeDeadline: writeDeadline, clockSkew: maxClockSkew} }

// skew is the largest difference of two clocks that both may write.
func (l limits) skew() time.Duration { return 2 * (l.clockSkew + scylla.SkewError) }

// window is how late a row can appear after the time it carries.
func (l limits) window() time.Duration { return l.writeDeadline + l.skew() }

func open(ctx context.Context, conf *Config, opts options) (*Store, error) {
	if err := conf.validateComplete(); err != nil {
		return nil, err
	}
	absent, err := lru.New[string, time.Time](maxHints)
	if err != nil {
		return nil, fmt.Errorf("making the hint cache: %w", err)
	}
	deadlines, err := newDeadlines(opts.limits)
	if err != nil {
		return nil, err
	}
	s := &Store{
		conf:      *conf,
		lim:       opts.limits,
		now:       time.Now,
		random:    rand.N[time.Duration],
		read:      gocql.Quorum,
		absent:    absent,
		deadlines: deadlines,
		at:        func(point, *write) {},
		metrics:   conf.Metrics,
	}
	if conf.Consistency == ConsistencyLocalReads {
		s.read = gocql.LocalQuorum
	}
	s.db, err = scylla.Open(ctx, conf.session(!opts.existing), func(ctx context.Context, db *scylla.DB) error {
		s.clock = newClock(db, opts.clockSkew)
		if err := s.clock.measure(ctx); err != nil {
			return err
		}
		if err := prepare(ctx, db, conf, opts); err != nil {
			return err
		}
		if !opts.readOnly {
			migrations, err := scylla.ReadMigrations(opts.schema)
			if err != nil {
				return err
			}
			s.metrics.hasSchema(len(migrations)) // or more, if a newer version is at work
			grace, err := settleGrace(ctx, db, conf.UnpinGrace)
			if err != nil {
				return err
			}
			s.conf.UnpinGrace = grace
			if s.eventsSince, err = readEventsSince(ctx, db); err != nil {
				return err
			}
		}
		db.Prepare(ctx, hotStatements())
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.tables = newCQLTables(s.db, s.conf.UnpinGrace)
	s.goLive = (&liveMark{db: s.db}).mark
	s.intents = newAppender(s)
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.clock.watch(background) })
	if !opts.existing { // a peer: a tool looks, and is gone
		s.done.Go(func() { s.watchRepairs(background) })
		s.done.Go(func() { s.tellDurability(background) })
		if s.metrics != nil {
			s.done.Go(func() { s.watchPins(background) })
		}
	}
	return s, nil
}

// prepare makes the keyspace ready. Whose it is comes first: a peer that is
// refused must not have changed the tables.
func prepare(ctx context.Context, db *scylla.DB, conf *Config, opts options) error {
	if opts.readOnly {
		there, err := db.HasTable(ctx, "pins")
		if err == nil && !there {
			err = &scylla.PermanentError{Text: fmt.Sprintf("the keyspace %s holds no pinset: it has no table pins", db.Keyspace)}
		}
		return err
	}
	claimed, err := checkOwner(ctx, db, conf.owner())
	if err != nil {
		return err
	}
	if opts.existing {
		return prepareSchema(ctx, db, SchemaVerify, opts.schema)
	}
	if err := prepareSchema(ctx, db, conf.Schema, opts.schema); err != nil || claimed {
		return err
	}
	return claimKeyspace(ctx, db, conf.owner())
}

// prepareSchema creates what is missing, or checks that nothing is.
func prepareSchema(ctx context.Context, db *scylla.DB, mode string, files fs.FS) error {
	migrations, err := scylla.ReadMigrations(files)
	if err != nil {
		return err
	}
	if mode == SchemaApply {
		return db.ApplySchema(ctx, migrations, firstUpdates()...)
	}
	missing, err := db.CheckSchema(ctx, migrations)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &scylla.PermanentError{Text: fmt.Sprintf(
			"the keyspace %s lacks schema file %s, which may not be applied here: start one peer of this version with schema: apply",
			db.Keyspace, missing[0].Name)}
	}
	return nil
}

// SamePinset reports whether both stores are one keyspace of one database. It goes by
// the nodes: the ids of tables follow from their names on some engines.
func (s *Store) SamePinset(other *Store) bool {
	return s.db.Keyspace == other.db.Keyspace && s.db.SameCluster(other.db)
}

// Close ends the background work and closes the session. Calls that are under
// way fail. It must be called once.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	s.db.Close()
	return nil
}

// resolveTime is how long a write with a lost answer tries to learn its outcome,
// also when the context of its caller has ended.
func (s *Store) resolveTime() time.Duration { return 2 * s.conf.RequestTimeout }

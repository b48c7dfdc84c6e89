package state

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Migration is what the pinset remembers of pins that are brought into it from
// another place. It is stored with each checkpoint.
type Migration struct {
	// ID names the place.
	ID string
	// Run counts how often the place was read from its beginning, from 1 to
	// MaxMigrationRuns.
	Run int64
	// Phase is how far the run has come.
	Phase MigrationPhase
	// Bulk says that the run writes plain rows, without conditions.
	Bulk bool
	// Fingerprint changes with the content of the place, and with what is
	// changed in the pins on the way. A run goes on only if it is the same.
	Fingerprint string
	// Options is what is changed in the pins on the way, for who asks.
	Options string
	// Position is where in the place to go on.
	Position []byte
	// Read is how many records lie before it. Of these Copied were written,
	// Kept were left as the pinset had them, and Bad cannot be read.
	Read, Copied, Kept, Bad int64
	// Removed counts pins of earlier runs that the place does not have any
	// more.
	Removed int64
	// Started is when the run began, Updated when this was stored.
	Started, Updated time.Time
	// Report is what was found, as JSON.
	Report string
}

// MigrationPhase is how far a migration has come.
type MigrationPhase string

// The values of MigrationPhase. They are stored.
const (
	MigrationCopying  MigrationPhase = "copying"
	MigrationSweeping MigrationPhase = "sweeping"
	MigrationDone     MigrationPhase = "done"
)

// Bounds of a migration: both are in the timestamps of the rows, which must stay
// before those of any peer.
const (
	// MaxMigrationRuns is how often one place can be read from its beginning.
	MaxMigrationRuns = 800
	// MaxMigrationRecords is more than the records that one place can have.
	MaxMigrationRecords = 1 << 40
)

// Live says since when a pinset is in use, and by whom. The zero Live is that of
// a pinset that no peer has used or written to.
type Live struct {
	Since time.Time
	By    string
}

// Yes reports whether the pinset is in use.
func (l Live) Yes() bool { return l.By != "" }

// Migrations is what a pinset tells of its use and of what was brought into it.
type Migrations struct {
	// Live says whether the pinset is in use.
	Live Live
	// All are the migrations that were ever begun.
	All []Migration
	// Holder names the one who migrates, or was the last to. It is another one
	// after each beginning, and empty before the first.
	Holder string
}

// BulkPin is a pin on its way into the pinset.
type BulkPin struct {
	// Number is that of its record in the place that it comes from, from 1.
	// Of two pins of one CID the one with the higher number stays.
	Number int64
	// Value is stored as it is, also in an older encoding, and Pin is what it
	// decodes to. It must not be larger than MaxPinBytes.
	Value []byte
	Pin   api.Pin
}

// Migrator lets pins be brought into a pinset.
type Migrator interface {
	// Migrations returns whether the pinset is in use, and all migrations into
	// it.
	Migrations(ctx context.Context) (Migrations, error)
	// CountMigrated reads the whole pinset and counts the pins that were
	// written in bulk by the migration of that ID, and the others. It calls
	// progress now and then with the sum so far, one call at a time.
	CountMigrated(ctx context.Context, id string, progress func(n int64)) (own, others int64, err error)
	// BeginMigration stores m. From then on the caller is the one who migrates:
	// every Importer that was begun before, by whatever process, fails with
	// ErrMigrationTaken at its next Checkpoint. Holder is that of the Migrations
	// by which the caller decided: it fails with ErrMigrationTaken when somebody
	// has begun since. It fails with ErrLive when m.Bulk is set and the pinset
	// is in use.
	BeginMigration(ctx context.Context, m Migration, holder string) (Importer, error)
}

// Importer is a migration under way. Its methods must be called one after
// another.
type Importer interface {
	// Write writes pins in bulk, and then does what Index does: a peer that
	// starts meanwhile must not find what it holds without the pin, and take
	// that for a removal. All is durable when it returns nil. Whatever the
	// pinset holds by a conditional write stays as it is. Written again, a pin
	// ends as the same rows. It goes slower while the database is overloaded,
	// and waits for it while it is down, up to some minutes. It fails as
	// Checkpoint does.
	Write(ctx context.Context, pins []BulkPin) error
	// Index writes all by which pins are found without a walk over the pinset,
	// under the timestamps of bulk writes, so that what a peer has written
	// stays. It is for pins that a bulk run that was stopped may have written
	// without it.
	Index(ctx context.Context, pins []BulkPin) error
	// Checkpoint stores m, whose ID and Bulk are those it was begun with. It
	// fails with ErrLive when m.Bulk is set and the pinset is in use by now,
	// and with ErrMigrationTaken when somebody else migrates.
	Checkpoint(ctx context.Context, m Migration) error
	// Sweep removes, in a bulk run, the pins that earlier runs of this migration have written
	// in bulk and that were neither written by this run nor by anybody else. It
	// returns how many. It calls progress now and then with the number of pins
	// that it has looked at, one call at a time.
	Sweep(ctx context.Context, progress func(n int64)) (removed int64, err error)
}

// ErrLive says that the pinset is in use, so that only conditional writes may
// change it.
var ErrLive = errors.New("the pinset is in use")

// ErrMigrationTaken says that another process migrates into the pinset now.
var ErrMigrationTaken = errors.New("another process has taken over the migration")

// Values reads pins as they are stored.
type Values interface {
	// ScanValues calls f for each pin of one of so many equal pieces of the
	// pinset, from one goroutine, and ends with the first error of f. Key is
	// the whole CID, which may be none, and value may not be a pin. Both belong
	// to f. It sees every acknowledged write.
	ScanValues(ctx context.Context, piece, pieces int, f func(key, value []byte) error) error
	// PieceOf returns in which of so many pieces a key lies.
	PieceOf(key []byte, pieces int) int
}

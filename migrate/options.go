package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Target is the pinset that pins are brought into.
type Target interface {
	// Get is that of state.Store.
	Get(ctx context.Context, c api.Cid) (api.Pin, error)
	state.Updater
	state.Migrator
	state.Values
}

// Existing says what becomes of a pin that is in the pinset already and differs
// from that of the source. It plays no part in a bulk run.
type Existing string

// The values of Existing. The empty one is ExistingFail.
const (
	// ExistingFail ends the run at the first such pin, and before the first
	// record if the pinset holds pins that the migration has not written in
	// bulk. Nothing is replaced.
	ExistingFail Existing = "fail"
	// ExistingNewer keeps the pin with the later timestamp, and the one that is
	// there if they are equal. Timestamps are in seconds.
	ExistingNewer Existing = "newer"
	// ExistingKeep keeps the pin that is there.
	ExistingKeep Existing = "keep"
)

// ParseExisting returns the Existing of that name. An empty text is
// ExistingFail.
func ParseExisting(text string) (Existing, error) {
	switch e := Existing(text); e {
	case "":
		return ExistingFail, nil
	case ExistingFail, ExistingNewer, ExistingKeep:
		return e, nil
	default:
		return "", fmt.Errorf("what to do with existing pins: %q is unknown: use %q, %q or %q", text, ExistingFail, ExistingNewer, ExistingKeep)
	}
}

// Options say how pins are brought in. The zero Options are usable.
type Options struct {
	// Change is made in each pin on the way.
	Change Change
	// Existing is for pins that are there already.
	Existing Existing
	// RemoveMissing removes in the end what an earlier bulk run of the same source
	// has brought and the source does not have any more.
	RemoveMissing bool
	// SkipTooLarge leaves out pins that are larger than state.MaxPinBytes and
	// lists them in the report. Without it a run that would meet one is refused;
	// that of a source that can be read only once ends there.
	SkipTooLarge bool
	// DryRun reads and changes everything and writes nothing.
	DryRun bool
	// Progress is called now and then, from one goroutine at a time, and when a
	// phase ends. It must return soon: the work waits for it. Nil is allowed.
	Progress func(Progress)
	// CheckpointEvery is the least time between two stored positions. Zero
	// means 3 seconds.
	CheckpointEvery time.Duration
	// Window is how many records are read ahead and written together: what is
	// repeated after a stop, at most. Zero means 16384. Conditional writes use
	// at most 2048.
	Window int
}

// Phase names what is being done.
type Phase string

// The values of Phase.
const (
	PhaseCounting       Phase = "counting"
	PhaseCheckingTarget Phase = "checking target"
	PhaseReading        Phase = "reading"
	PhaseCopying        Phase = "copying"
	PhaseSweeping       Phase = "sweeping"
	// PhaseComparing counts the records of the source and the pins of the
	// target together.
	PhaseComparing Phase = "comparing"
	// PhaseComparingContents counts as PhaseComparing does, where many pins are
	// encoded differently.
	PhaseComparingContents Phase = "comparing contents"
	// PhaseDetails counts as PhaseComparing does, over all passes.
	PhaseDetails Phase = "looking at differences"
)

// Progress is how far a phase has come.
type Progress struct {
	Phase Phase `json:"phase"`
	// Done and Total count records or pins. Total is negative when nobody
	// knows it.
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	// Bad is how many records cannot be read.
	Bad int64 `json:"bad"`
	// Elapsed is the time since this process began the phase, and Rate what it
	// has done of it in a second.
	Elapsed time.Duration `json:"elapsed"`
	Rate    float64       `json:"rate"`
}

const (
	defaultCheckpointEvery = 3 * time.Second
	defaultWindow          = 16384
	// conditionalWindow is a second or two of conditional writes.
	conditionalWindow = 2048
	// windowBytes ends a window of large pins early, so that a few windows in
	// memory stay small and the writing of one stays short.
	windowBytes = 16 << 20
)

// checked returns the options with defaults in place of zeros.
func (o Options) checked() (Options, error) {
	var err error
	if o.Existing, err = ParseExisting(string(o.Existing)); err != nil {
		return o, err
	}
	if err := o.Change.check(); err != nil {
		return o, err
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = defaultCheckpointEvery
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	return o, nil
}

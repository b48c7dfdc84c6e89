package drift

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("drift")

// The defaults of Options.
const (
	DefaultEvery       = 24 * time.Hour
	DefaultSample      = 1000
	DefaultSampleEvery = time.Hour
	DefaultGrace       = time.Minute
)

const (
	// readsPerSecond and questionsPerSecond are the pace of a Meter: pins that are read,
	// and pins that IPFS is asked for.
	readsPerSecond     = 5000
	questionsPerSecond = 500
	// settling is how long after the start the first sweep comes: a peer that starts has
	// other work.
	settling = 10 * time.Minute
	// firstSample is how long after the start the first sample comes, if samples are not more
	// often: as a rule after the first sweep, which tells where there are pins to choose from.
	firstSample = 2 * settling
	// sweepAgain is when a sweep that failed is made again, at the latest.
	sweepAgain = time.Hour
	// apart is by which part of the time between two sweeps, a twenty-fourth, the peers spread
	// theirs: those that were started together would all read the database at once.
	apart = 24
)

// Store is what a Meter reads of the pinset. Nothing is written.
type Store interface {
	state.OwnPins
	// GetPlacement is that of state.Placements.
	GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error)
}

// Options are what a Meter works with. Self, Store and Kubo are needed.
type Options struct {
	Self  peer.ID
	Store Store
	Kubo  Kubo
	// AtWork reports whether a CID is worked on. It may be nil: then the rows alone say so.
	AtWork func(api.Cid) bool
	// KeepContent says that IPFS is never asked to unpin, by configuration.
	KeepContent bool
	// Grace is how long after a change a CID does not count: DefaultGrace, unless nothing
	// changes.
	Grace time.Duration
	// Every is how often Run makes a sweep, 0 never. SampleEvery is how often it takes a
	// sample, of how many pins Sample: 0 is the default, and below 0 none is taken.
	Every       time.Duration
	Sample      int
	SampleEvery time.Duration
	// Hurry says that there is nobody to be considerate of: Sweep makes no pauses.
	Hurry bool
	// Found is told of each pin that a sweep finds to drift. Its error ends the sweep. It
	// may be nil.
	Found func(Finding) error
	// Progress is told how far a sweep has come, often. It may be nil.
	Progress func(Progress)
	// Metrics may be nil.
	Metrics *Metrics
}

// Meter measures the drift of one peer. Of Sweep and Sample one may run at a time each.
type Meter struct {
	opts             Options
	reads, questions *rate.Limiter // nil: no pauses
	now              func() time.Time
	// random returns a time below the given one, which is above 0.
	random func(time.Duration) time.Duration
	// used has how many pins are desired in each bucket, as the last sweep found: nil before.
	used atomic.Pointer[[state.Buckets]uint64]
}

// New makes a Meter.
func New(opts Options) *Meter {
	if opts.Sample == 0 {
		opts.Sample = DefaultSample
	}
	if opts.SampleEvery == 0 {
		opts.SampleEvery = DefaultSampleEvery
	}
	m := &Meter{opts: opts, now: time.Now, random: rand.N[time.Duration]}
	if !opts.Hurry {
		m.reads, m.questions = rate.NewLimiter(readsPerSecond, batch), rate.NewLimiter(questionsPerSecond, 1)
	}
	return m
}

// Run makes sweeps and takes samples until ctx ends. Those of peers that were started together
// are at different times.
func (m *Meter) Run(ctx context.Context) {
	later := time.Duration(0)
	if part := m.opts.Every / apart; part > 0 {
		later = m.random(part)
	}
	samples := make(chan struct{})
	go func() {
		defer close(samples)
		m.sampleOften(ctx, later)
	}()
	m.sweepOften(ctx, later)
	<-samples
}

// sweepOften makes the first sweep so much later than settling.
func (m *Meter) sweepOften(ctx context.Context, later time.Duration) {
	if m.opts.Every <= 0 {
		logger.Infof("the pinset is not compared with all that IPFS has pinned: drift_every is 0s")
		return
	}
	for wait := min(settling, m.opts.Every) + later; pause(ctx, wait); {
		began := time.Now()
		report, err := m.Sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			wait = min(sweepAgain, m.opts.Every)
			state.Failure(err, logger.Warnf, logger.Debugf)("drift was not measured, next try in %s: %s", wait, err)
			continue
		}
		wait = max(0, m.opts.Every-time.Since(began))
		log := logger.Infof
		if report.Drift() > 0 {
			log = logger.Warnf
		}
		log("of %d pins that this peer is to hold %d are missing in IPFS and %d have the wrong mode; %d more are pinned that it is not to hold (drift %.4f%%)",
			report.Desired, report.Missing, report.WrongMode, report.Extra, 100*report.Ratio())
	}
}

// sampleOften takes the first sample so much later than firstSample.
func (m *Meter) sampleOften(ctx context.Context, later time.Duration) {
	if m.opts.SampleEvery < 0 || m.opts.Sample < 0 {
		return
	}
	for next := time.Now().Add(min(firstSample, m.opts.SampleEvery) + later); pause(ctx, time.Until(next)); {
		next = time.Now().Add(m.opts.SampleEvery)
		if _, err := m.Sample(ctx); err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("no sample was taken for drift, next one in %s: %s", m.opts.SampleEvery, err)
		}
	}
}

// pause waits, and returns false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// tell tells how far a sweep has come.
func (m *Meter) tell(p Progress) {
	m.opts.Metrics.came(p)
	if m.opts.Progress != nil {
		m.opts.Progress(p)
	}
}

// failed counts what came to nothing, unless it was ended.
func (m *Meter) failed(ctx context.Context) {
	if ctx.Err() == nil {
		m.opts.Metrics.failed()
	}
}

// remember keeps what a sweep says of where pins are, for samples.
func (m *Meter) remember(wanted *digests) {
	used := new([state.Buckets]uint64)
	for bucket := range wanted {
		used[bucket] = wanted[bucket].count
	}
	m.used.Store(used)
}

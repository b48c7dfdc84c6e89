package tracker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("tracker")

// Config are the settings of upstream's stateless tracker, under their names.
type Config struct {
	// MaxPinQueueSize bounds each queue: of new pins, of others, of unpins.
	MaxPinQueueSize int
	// ConcurrentPins is how many pins IPFS makes at the same time. Unpins are
	// made one by one.
	ConcurrentPins int
	// PriorityPinMaxAge and PriorityPinMaxRetries say which pins go before
	// others: those that are as young, and were tried as seldom.
	PriorityPinMaxAge     time.Duration
	PriorityPinMaxRetries int
}

// Store is what a Tracker needs of the pinset.
type Store interface {
	state.OwnPins
	// GetVersion is that of state.Conditional.
	GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error)
	// ScanPiece is that of state.Scrubber.
	ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error
	// The others are those of state.Placements.
	GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error)
	PutPlacement(ctx context.Context, p peer.ID, row state.Placement) error
	SetSize(ctx context.Context, p peer.ID, c api.Cid, size int64) error
	DropPlacement(ctx context.Context, p peer.ID, c api.Cid) error
}

// Options are what a Tracker works with.
type Options struct {
	// Self and Name are those of the peer, whose rows nobody else writes.
	Self   peer.ID
	Name   string
	Config Config
	Store  Store
	Daemon Daemon
	// Size measures what was pinned, in bytes. It may be nil.
	Size func(ctx context.Context, c api.Cid) (int64, error)
	// Missed says that changes may have been lost: Run begins with a comparison of
	// all rows with the pinset. Else the feed tells of what changed meanwhile, and Run
	// takes up only what is at no end.
	Missed bool
	// Compared is called when what that comparison has found is done, or noted in rows
	// that every start takes up. After an error it is called again. It may be nil.
	Compared func(context.Context) error
	// Every is how often what has failed is tried again.
	Every time.Duration
	// CheckEvery is how long it takes to compare all pins with IPFS, one after
	// another; 0 turns that off.
	CheckEvery time.Duration
	// Live says who of the other peers is alive, and in the cluster: those alone are
	// counted before content goes that this peer is not to hold any more while others
	// are. It may be nil: then nobody is, and that stays.
	Live func(peer.ID) bool
	// Confirmed is called when it is noted that IPFS has pinned a revision of a pin. It
	// must not block. It may be nil.
	Confirmed func(context.Context, api.Pin, state.Revision)
	// Log is that of state.EventLog, nil if there are no events: it is told what came of a
	// pin before the row that says so is written.
	Log func(ctx context.Context, events ...state.StatusEvent) error
	// SLI is told what becomes of pins. It may be nil.
	SLI *sli.Holder
	// Metrics count what the Tracker does. They may be nil.
	Metrics *Metrics
	// KeepContent says that IPFS refuses to unpin, by configuration: then it is
	// asked once only.
	KeepContent bool
}

// Tracker is upstream's PinTracker for a pinset in a database. It is safe for
// concurrent use. There must be one for each peer.
type Tracker struct {
	opts Options
	// began is when the process did: what it may find of one before is older.
	began   time.Time
	buckets [state.Buckets]bucket
	queue   *queue
	// counts and queued are how many ops are in each phase, and tickets in each
	// lane.
	counts  [phases]atomic.Int64
	queued  [lanes]atomic.Int64
	held    heldPins
	noters  chan struct{}
	noting  atomic.Int64 // ops that have one, or wait for it
	retries retries
	// looks are when IPFS is asked again for what it has pinned.
	looks retries
	// asked has when IPFS was last asked for what it does after all that came before:
	// see settled. Who has taken it asks.
	asked   chan time.Time
	waiters waiters
	measure chan sizeless
	// recent are pins that were noted lately, with their revisions.
	recent *lru.Cache[api.Cid, state.Revision]
	// scanned is set when all that a process before has left was taken up. left is
	// how much was left to the next scan, leftKept how much of that is kept for others.
	scanned        atomic.Bool
	left, leftKept atomic.Int64
	// owed is how many ops are.
	owed atomic.Int64

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // of what follows
	client  *rpc.Client
	started bool
	closed  bool
}

// maxRecent bounds the pins of which is known that they were just noted: a position
// that lags behind them by seconds must not make each listing ask for them.
const maxRecent = 1 << 16

// New makes the Tracker of a peer. It works from SetClient on.
func New(opts Options) *Tracker {
	recent, err := lru.New[api.Cid, state.Revision](maxRecent)
	if err != nil {
		panic(err) // only a size below 1 is refused
	}
	if opts.Live == nil {
		opts.Live = func(peer.ID) bool { return false }
	}
	opts.Daemon, opts.Size = opts.Metrics.measure(opts.Daemon, opts.Size)
	ctx, stop := context.WithCancel(context.Background())
	t := &Tracker{
		opts: opts, ctx: ctx, stop: stop,
		began:   time.Now(),
		queue:   newQueue(),
		noters:  make(chan struct{}, noters),
		retries: retries{sooner: make(chan struct{}, 1)},
		looks:   retries{sooner: make(chan struct{}, 1)},
		waiters: waiters{more: make(chan struct{}, 1)},
		measure: make(chan sizeless, maxMeasured),
		recent:  recent,
		asked:   make(chan time.Time, 1),
	}
	t.asked <- time.Time{}
	opts.Metrics.watch(t)
	return t
}

// SetClient gives the Tracker the peer's RPC client, and starts its work.
func (t *Tracker) SetClient(c *rpc.Client) {
	t.mu.Lock()
	started := t.started
	t.client, t.started = c, true
	t.mu.Unlock()
	if started {
		return
	}
	for range t.opts.Config.ConcurrentPins {
		t.spawn(t.pinWorker)
	}
	t.spawn(t.unpinWorker)
	t.spawn(t.retryAll)
	t.spawn(t.lookAll)
	t.spawn(t.endWaiting)
	t.spawn(t.measureAll)
	t.spawn(t.gauges)
}

// spawn runs f until it ends, of which Shutdown waits. After Shutdown nothing is
// run.
func (t *Tracker) spawn(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.running.Go(f)
	}
}

// Shutdown ends the work and waits for its end. What was not noted is done again by
// the next process.
func (t *Tracker) Shutdown(context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.queue.close()
	t.running.Wait()
	return nil
}

// Track looks at the pin of the CID in the pinset and does what that asks for.
// What it is given is a hint: it may be out of date. What is worked on already the
// feed tells of.
func (t *Tracker) Track(_ context.Context, pin api.Pin) error { return t.lookAt(pin.Cid, &pin) }

// Untrack is Track for a pin that has gone.
func (t *Tracker) Untrack(_ context.Context, c api.Cid) error { return t.lookAt(c, nil) }

func (t *Tracker) lookAt(c api.Cid, hint *api.Pin) error {
	if t.full(hint) {
		return ErrFullQueue
	}
	t.takeUp(state.Own{Cid: c})
	return nil
}

// PinQueueSize is how many pins wait for a worker.
func (t *Tracker) PinQueueSize(context.Context) (int64, error) {
	return t.counts[pinQueued].Load(), nil
}

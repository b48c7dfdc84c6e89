package placement

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("placement")

// Tracker is what a Ledger needs of the pin tracker of its peer.
type Tracker interface {
	Track(ctx context.Context, pin api.Pin) error
	Untrack(ctx context.Context, c api.Cid) error
	// Operation is what the tracker is at, from memory.
	Operation(ctx context.Context, c api.Cid) api.TrackerStatus
}

// Store is what a Ledger needs of the pinset.
type Store interface {
	state.Conditional
	state.Placements
}

// Options are what a Ledger works with.
type Options struct {
	// Self is the peer whose rows the Ledger writes.
	Self  peer.ID
	Store Store
	// Tracker is told to pin and unpin. It must be ready before Act or Run is
	// called.
	Tracker Tracker
	// Size measures what was pinned, in bytes. It may be nil.
	Size func(ctx context.Context, c api.Cid) (int64, error)
	// Every is how often Run looks for work that was left undone.
	Every time.Duration
	// KeepContent says that IPFS refuses to unpin, by configuration: then it is
	// asked once only.
	KeepContent bool
}

// Ledger knows what its peer does with each CID. It is safe for concurrent use.
// There must be one for each peer.
type Ledger struct {
	opts Options

	mu sync.Mutex
	// work has the CIDs that are worked on: from when the tracker is told
	// until IPFS has confirmed.
	work map[api.Cid]*work
	// again has the CIDs to look at again, with the time.
	again map[api.Cid]time.Time

	measure chan api.Cid
}

// work is what the peer does with one CID. The lock is held from the decision
// to the end of the write that makes it durable: the rows of a CID are written
// in the order of the decisions.
type work struct {
	mu    sync.Mutex
	users int // goroutines that hold or wait for the lock; guarded by Ledger.mu

	// intent is what is to become of the CID, 0 when nothing is under way.
	intent intent
	// told is what the tracker was last told to do, or was found at.
	told     intent
	rev      state.Revision
	depth    api.PinDepth // to pin
	attempts int
	trace    string
}

type intent int8

const (
	toPin   intent = 1
	toUnpin intent = 2
)

// maxMeasured bounds the CIDs that wait to be measured. What finds no room is
// measured when the rows are looked through the next time.
const maxMeasured = 1 << 14

// New makes the Ledger of a peer.
func New(opts Options) *Ledger {
	return &Ledger{
		opts:    opts,
		work:    make(map[api.Cid]*work),
		again:   make(map[api.Cid]time.Time),
		measure: make(chan api.Cid, maxMeasured),
	}
}

// lock gives the caller the CID for itself. It must be unlocked.
func (l *Ledger) lock(c api.Cid) *work {
	l.mu.Lock()
	w := l.work[c]
	if w == nil {
		w = &work{}
		l.work[c] = w
	}
	w.users++
	l.mu.Unlock()
	w.mu.Lock()
	return w
}

func (l *Ledger) unlock(c api.Cid, w *work) {
	idle := w.intent == 0
	w.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	w.users--
	if idle && w.users == 0 {
		delete(l.work, c)
	}
}

// Act is the state.Handler of the peer's feed. It returns nil when the row is
// durable and the tracker has accepted the work; whether IPFS does it is
// followed from there. A tracker that is full returns an error, so that the
// change comes again.
func (l *Ledger) Act(ctx context.Context, ch state.Change) error {
	ctx, span := startSpan(ctx, "placement/Act", ch.Traceparent)
	defer span.End()

	w := l.lock(ch.Cid)
	defer l.unlock(ch.Cid, w)
	if gone := ch.Rev == (state.Revision{}); w.intent != 0 && !gone && older(ch.Rev, w.rev) {
		return nil // a newer version is worked on already
	}
	return l.follow(ctx, ch, w)
}

// look is Act with the pin as it is now. The caller holds the lock, so that
// nothing newer is acted on meanwhile.
func (l *Ledger) look(ctx context.Context, c api.Cid, w *work) error {
	pin, rev, err := l.opts.Store.GetVersion(ctx, c)
	if err != nil {
		return err
	}
	return l.follow(ctx, state.Change{Cid: c, Pin: pin, Rev: rev, Traceparent: w.trace}, w)
}

func (l *Ledger) follow(ctx context.Context, ch state.Change, w *work) error {
	if l.holds(ch.Pin) {
		return l.pin(ctx, ch, w)
	}
	if ch.Pin != nil && ch.Pin.Type == api.MetaType && w.intent == 0 {
		// It stands for other pins: nothing of it is in IPFS, unless there was
		// a pin of another type before.
		_, held, err := l.opts.Store.GetPlacement(ctx, l.opts.Self, ch.Cid)
		if err != nil || !held {
			return err
		}
	}
	return l.unpin(ctx, ch, w)
}

// holds reports whether the peer is to hold the pin.
func (l *Ledger) holds(pin *api.Pin) bool {
	return pin != nil && pin.Type != api.MetaType && !pin.IsRemotePin(l.opts.Self)
}

func (l *Ledger) pin(ctx context.Context, ch state.Change, w *work) error {
	w.begin(toPin, ch)
	w.depth = ch.Pin.MaxDepth
	if err := l.put(ctx, ch.Cid, w, state.PlacementQueued, nil); err != nil || l.running(ctx, ch.Cid, w, toPin) {
		return err
	}
	if err := l.opts.Tracker.Track(ctx, *ch.Pin); err != nil {
		return fmt.Errorf("telling the tracker to pin %s: %w", ch.Cid, err)
	}
	w.told = toPin
	return nil
}

// unpin is used for a pin that others hold, too: only so the tracker repeats
// what fails.
func (l *Ledger) unpin(ctx context.Context, ch state.Change, w *work) error {
	w.begin(toUnpin, ch)
	if err := l.put(ctx, ch.Cid, w, state.PlacementUnpinning, nil); err != nil || l.running(ctx, ch.Cid, w, toUnpin) {
		return err
	}
	if err := l.opts.Tracker.Untrack(ctx, ch.Cid); err != nil {
		return fmt.Errorf("telling the tracker to unpin %s: %w", ch.Cid, err)
	}
	w.told = toUnpin
	return nil
}

// running tells whether the tracker is at that already. It is not told again
// then: upstream's would give the operation the newer pin without a lock, while
// its worker reads it, and do no more. An operation with another depth than what
// is wanted is found when it ends. One of which the Ledger does not know is that of
// a recovery, or its end was noted and the tracker has not forgotten it yet: that
// is seen by looking again.
func (l *Ledger) running(ctx context.Context, c api.Cid, w *work, to intent) bool {
	at := pinning
	if to == toUnpin {
		at = unpinning
	}
	if !l.busy(ctx, c, at) {
		return false
	}
	if w.told != to {
		w.told = to
		l.later(c, firstRetry)
	}
	return true
}

// begin sets what is to become of the CID.
func (w *work) begin(to intent, ch state.Change) {
	if w.intent != to || w.rev != ch.Rev {
		w.attempts = 0
	}
	w.intent, w.rev, w.trace = to, ch.Rev, ch.Traceparent
}

// put makes the row durable.
func (l *Ledger) put(ctx context.Context, c api.Cid, w *work, status state.PlacementStatus, cause error) error {
	row := state.Placement{Cid: c, Status: status, Rev: w.rev, Attempts: w.attempts}
	if cause != nil {
		row.Error = cut(cause.Error())
	}
	if err := l.opts.Store.PutPlacement(ctx, l.opts.Self, row); err != nil {
		return fmt.Errorf("noting the placement of %s: %w", c, err)
	}
	return nil
}

// maxError bounds the text of an error in a row.
const maxError = 512

func cut(text string) string {
	if len(text) <= maxError {
		return text
	}
	return text[:maxError] + "…"
}

// older reports whether revision a was written before b. Both are timeuuids
// (RFC 9562, 5.1), whose time is spread over three fields.
func older(a, b state.Revision) bool { return ticks(a) < ticks(b) }

func ticks(r state.Revision) uint64 {
	low := uint64(r[0])<<24 | uint64(r[1])<<16 | uint64(r[2])<<8 | uint64(r[3])
	mid := uint64(r[4])<<8 | uint64(r[5])
	high := uint64(r[6]&0x0f)<<8 | uint64(r[7])
	return high<<48 | mid<<32 | low
}

// startSpan starts a span that belongs to the write that caused the work.
func startSpan(ctx context.Context, name, traceparent string) (context.Context, *trace.Span) {
	if parent, ok := parseTraceparent(traceparent); ok {
		return trace.StartSpanWithRemoteParent(ctx, name, parent)
	}
	return trace.StartSpan(ctx, name)
}

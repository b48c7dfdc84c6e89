package evm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// segmentBlocks is how many blocks are noted as read at once. It is in the keys of the
// Journal: to change it is to read all chains again.
const segmentBlocks = 1000

var (
	// ErrForked says that blocks which were final are others now: the chain was replaced
	// deeper than its finality allows, or the node is wrong. Nothing is told until
	// somebody has looked.
	ErrForked = errors.New("the chain has other blocks than those that were final")
	// ErrWrongChain says that a node is of another chain.
	ErrWrongChain = errors.New("the node is of another chain")
	// ErrNodes says that a node contradicts itself or another one. It may pass.
	ErrNodes = errors.New("the nodes contradict each other")
)

// Event is a log, with what is known of its block.
type Event struct {
	Log
	// Time is when its block was made.
	Time time.Time
	// Final means that the block cannot be replaced any more.
	Final bool
	// Head is the height of the chain when it was seen. Who knows of a later one knows better.
	Head uint64
}

// Version orders what is told of one log: what is final is true.
func (e Event) Version() uint64 {
	if e.Final {
		return 1 << 62
	}
	return e.Head
}

// Handler is told of logs. Its methods return when what they were told is durable. They
// are told again after an error or a stop, and by each process that watches.
type Handler interface {
	// Wants tells whether a log is one to be told of. It never changes its answer.
	Wants(ctx context.Context, log Log) (bool, error)
	// Seen tells of a log that is in a block, final or not.
	Seen(ctx context.Context, event Event) error
	// Dropped tells that what was seen is in the chain no more, or in another place, which
	// is another event.
	Dropped(ctx context.Context, event Event) error
}

// Status is how far a Watcher has read.
type Status struct {
	// Head, Final and Done are heights: of the chain, of what is final, and up to which
	// all was told and need not be read again.
	Head, Final, Done uint64
	// At is when it was read to the head.
	At time.Time
}

// Watcher reads the logs of a chain. NewWatcher makes one. Poll must not be called twice
// at once; other processes may watch the same.
type Watcher struct {
	config  Config
	nodes   []*Client
	journal rails.Journal
	rail    string
	query   Query
	handler Handler

	checked bool               // the nodes are of the chain
	next    uint64             // the first segment that is not done
	finals  map[uint64]finals  // by segment
	seen    map[uint64]*listed // by segment

	mu     sync.Mutex
	status Status
}

// finals are the logs that were told as final, by ID.
type finals map[string]Hash

// NewWatcher returns a Watcher for a rail, which keeps in the journal how far it has read.
// The first node is read, and all of them must agree on what is final.
func NewWatcher(config Config, nodes []*Client, journal rails.Journal, rail string, query Query, handler Handler) *Watcher {
	return &Watcher{
		config: config, nodes: nodes, journal: journal, rail: rail, query: query, handler: handler,
		finals: make(map[uint64]finals), seen: make(map[uint64]*listed),
	}
}

// Status returns how far it has read.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Poll reads to the head of the chain, once.
func (w *Watcher) Poll(ctx context.Context) error {
	if err := w.checkNodes(ctx); err != nil {
		return err
	}
	head, final, err := Heights(ctx, w.config, w.nodes)
	if err != nil {
		return err
	}
	start, err := w.start(ctx, final)
	if err != nil {
		return err
	}
	if err := w.resume(ctx, start/segmentBlocks); err != nil {
		return err
	}
	// The segment before is read again, for what a lagging node did not show.
	for segment := max(w.next, start/segmentBlocks+1) - 1; segment*segmentBlocks <= head; segment++ {
		from, to := max(segment*segmentBlocks, start), min((segment+1)*segmentBlocks-1, head)
		if from > to {
			break // it begins later
		}
		if err := w.readSegment(ctx, segment, from, to, final, head); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = Status{Head: head, Final: final, Done: max(w.next*segmentBlocks, start+1) - 1, At: time.Now()}
	return nil
}

// Repeat calls poll at once and then after each pause, until the context ends. It reports
// each error, and goes on.
func Repeat(ctx context.Context, pause time.Duration, poll func(context.Context) error, report func(error)) {
	for ctx.Err() == nil {
		if err := poll(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// checkNodes looks once whether all nodes are of the chain.
func (w *Watcher) checkNodes(ctx context.Context) error {
	if w.checked {
		return nil
	}
	if err := CheckChain(ctx, w.config, w.nodes); err != nil {
		return err
	}
	w.checked = true
	return nil
}

// CheckChain returns ErrWrongChain if a node is of another chain than the configuration says.
func CheckChain(ctx context.Context, config Config, nodes []*Client) error {
	for _, node := range nodes {
		id, err := node.ChainID(ctx)
		if err != nil {
			return err
		}
		if id != config.ChainID {
			return fmt.Errorf("%s: %w: it says %d, and the configuration %d", config.Name, ErrWrongChain, id, config.ChainID)
		}
	}
	return nil
}

// Heights returns how high the chain is, and up to where it is final, for the node that
// knows least of it.
func Heights(ctx context.Context, config Config, nodes []*Client) (head, final uint64, err error) {
	for i, node := range nodes {
		latest, err := node.Tagged(ctx, Latest)
		if err != nil {
			return 0, 0, err
		}
		own := uint64(latest.Number) - min(uint64(latest.Number), config.Confirmations)
		if config.Confirmations == 0 {
			finalized, err := node.Tagged(ctx, Finalized)
			if err != nil {
				return 0, 0, err
			}
			own = min(uint64(finalized.Number), uint64(latest.Number))
		}
		if i == 0 {
			head, final = uint64(latest.Number), own
		}
		head, final = min(head, uint64(latest.Number)), min(final, own)
	}
	return head, final, nil
}

// start returns the first block that is read: always the same one.
func (w *Watcher) start(ctx context.Context, final uint64) (uint64, error) {
	if w.config.StartBlock > 0 {
		return w.config.StartBlock, nil
	}
	return w.keptNumber(ctx, "start", max(final, 1))
}

// Package wake carries wake-ups between the processes of a cluster: who writes to a feed
// tells its readers, which then need not look as often by themselves.
//
// A wake-up is a hint. It may get lost, come twice or too early, and nothing is wrong
// then: feeds are read by time as well. While there is no connection to NATS they are
// looked at as often as they are without.
package wake

import (
	"context"
	"fmt"
	"sync"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("events")

// gather is how long writes are gathered after a wake-up was sent: a feed that is
// written to all the time is told of once in that time.
const gather = 10 * time.Millisecond

// Waker carries the wake-ups of one process.
type Waker struct {
	bus  *bus.Bus
	feed state.Waker
	more chan struct{}

	mu      sync.Mutex
	written map[string]bool
}

// New makes a Waker between a bus and the feeds of a store. It does nothing until Run.
func New(b *bus.Bus, feeds state.Waker) *Waker {
	return &Waker{bus: b, feed: feeds, more: make(chan struct{}, 1), written: make(map[string]bool)}
}

// Listen wakes the readers of feeds in this process for what other processes write to
// them, until stop is called.
func (w *Waker) Listen(feeds ...string) (stop func(), err error) {
	end, err := w.bus.OnWake(feeds, func(feed string) { w.feed.Wake(feed) })
	if err != nil {
		return nil, fmt.Errorf("listening for wake-ups: %w", err)
	}
	return func() {
		if err := end(); err != nil {
			logger.Debugf("listening for wake-ups: %s", err)
		}
	}, nil
}

// Run tells others of what this process writes, until ctx ends. The feeds of this process,
// which are given, it has looked at less often while that can be done.
func (w *Waker) Run(ctx context.Context, feeds ...string) error {
	stop, err := w.Listen(feeds...)
	if err != nil {
		return err
	}
	defer stop()
	w.feed.OnWrite(w.wrote)
	defer w.feed.OnWrite(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		w.bus.WatchWakes(ctx, w.feed.SetWoken)
		w.feed.SetWoken(false)
	}()
	defer func() { <-watched }()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.more:
		}
		w.tell()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(gather):
		}
	}
}

// wrote notes feeds that were written to. It is called in the middle of writes, and does
// not wait.
func (w *Waker) wrote(feeds []string) {
	w.mu.Lock()
	for _, f := range feeds {
		w.written[f] = true
	}
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// tell sends the wake-ups for what was noted. Those that cannot be sent are forgotten.
func (w *Waker) tell() {
	w.mu.Lock()
	written := w.written
	w.written = make(map[string]bool)
	w.mu.Unlock()
	var failed error
	for f := range written {
		if err := w.bus.Wake(f); err != nil {
			failed = err
		}
	}
	if failed != nil {
		logger.Debugf("wake-ups were not sent, and feeds are read later: %s", failed)
	}
}

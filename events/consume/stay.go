package consume

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// calls counts those of the handler: how many run, and how many have returned.
type calls struct {
	running  atomic.Int64
	returned atomic.Uint64
}

// call calls the handler.
func (c *Consumer) call(ctx context.Context, e events.Event) error {
	c.calls.running.Add(1)
	defer func() {
		c.calls.running.Add(-1)
		c.calls.returned.Add(1)
	}()
	return c.opts.Handler(ctx, e)
}

// stay has this process stay the one that gets the messages until stop is called, however
// long a handler takes. Messages that it has for longer than Takeover would come again to it
// alone, and are acknowledged before. While no handler runs, as between two attempts or
// while the state cannot be saved, another process may take the place: it may be better off.
func (r *run) stay() (stop func()) {
	ended := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(r.opts.Takeover / 4)
		defer ticker.Stop()
		returned, since, said := r.calls.returned.Load(), time.Now(), false
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			if r.calls.running.Load() == 0 {
				since = time.Now()
				continue
			}
			if err := r.reader.keep(); err != nil {
				logger.Debug(err)
			}
			switch n := r.calls.returned.Load(); {
			case n != returned:
				returned, since = n, time.Now()
			case !said && time.Since(since) > r.opts.Takeover:
				said = true
				logger.Warnf("consumer %s waits for its handler, which has not returned for %s: no other process takes over while it runs", r.opts.Name, time.Since(since).Round(time.Second))
			}
		}
	})
	return func() { close(ended); group.Wait() }
}

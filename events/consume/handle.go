package consume

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

const (
	// firstPause is that between the first two attempts to handle an event, maxPause the
	// longest.
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
)

// handle hands the event in a message to the handler, if it is newer than what was
// handled, or puts it aside. What is told again on purpose need not be newer. An error
// means that ctx has ended.
func (c *Consumer) handle(ctx context.Context, msg jetstream.Msg, again bool) error {
	e, err := events.Parse(msg.Data())
	if err != nil {
		return c.bury(ctx, msg, err)
	}
	key, version := e.Key(), e.Version()
	if handled, ok := c.told.Get(key); ok && !events.Newer(version, handled) && (!again || version != handled) {
		c.stats.dropped.Add(1)
		return nil
	}
	if err := c.attempt(ctx, e); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return c.bury(ctx, msg, err)
	}
	c.told.Add(key, version)
	c.stats.handled.Add(1)
	return nil
}

// attempt calls the handler until it has handled the event or is not to be called again.
func (c *Consumer) attempt(ctx context.Context, e events.Event) error {
	wait := firstPause
	for n := 1; ; n++ {
		err := c.call(ctx, e)
		unavailable := errors.Is(err, ErrUnavailable)
		if err == nil || errors.Is(err, ErrRefused) || n >= c.opts.Attempts && !unavailable {
			return err
		}
		if ctx.Err() != nil || !pause(ctx, wait) {
			return context.Cause(ctx)
		}
		wait = min(2*wait, maxPause)
		c.stats.retries.Add(1)
		if n == 1 || unavailable && n%10 == 0 {
			logger.Warnf("consumer %s tries %s of %s again: %s", c.opts.Name, e.Type.Kind(), e.Subject(), err)
		}
	}
}

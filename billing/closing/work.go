package closing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leaseTime is how long a process has a shard.
	leaseTime = time.Minute
	// freeMost is how long it may take to give it back.
	freeMost = 5 * time.Second
)

// errLost says that somebody else has taken the lease, or may have.
var errLost = errors.New("the lease of the shard is lost")

func leaseOf(shard int) string { return fmt.Sprint("billing/close/", shard) }

// work is what is done in a shard by whoever has its lease.
type work struct {
	*Closer
	shard int
	epoch int64
	lasts atomic.Int64 // how long the lease does, in nanoseconds since 1970
}

// until makes adjustments of what came late, and closes the days that end until a time.
func (w *work) until(ctx context.Context, until time.Time) error {
	for {
		last, err := w.closed.last(ctx, w.shard)
		if err != nil {
			return err
		}
		if err := w.late(ctx, last); err != nil {
			return err
		}
		if endOf(last + 1).After(until) {
			return nil
		}
		if err := w.closeDay(ctx, last+1); err != nil {
			return err
		}
	}
}

// hold calls f with the lease of a shard, unless somebody else has it. The context of f ends when
// the lease is lost.
func (c *Closer) hold(ctx context.Context, shard int, f func(context.Context, *work) error) error {
	begun := time.Now()
	epoch, held, err := c.opts.Leases.TryLease(ctx, leaseOf(shard), c.holder, leaseTime)
	if err != nil || !held {
		return err
	}
	w := &work{Closer: c, shard: shard, epoch: epoch}
	w.lasts.Store(begun.Add(leaseTime).UnixNano())
	within, lose := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { lose(w.renew(within)) })
	err = f(within, w)
	if cause := context.Cause(within); err != nil && cause != nil {
		err = errors.Join(err, cause)
	}
	lose(nil)
	renewing.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeMost)
	defer cancel()
	if err := c.opts.Leases.FreeLease(ctx, leaseOf(shard), c.holder, epoch); err != nil {
		logger.Debugf("shard %d is free in %s: %s", shard, leaseTime, err)
	}
	return err
}

// held returns errLost if the lease may have run out, as after a pause of the process.
func (w *work) held() error {
	if time.Now().UnixNano() >= w.lasts.Load() {
		return errLost
	}
	return nil
}

// renew prolongs the lease until ctx ends. It returns errLost when it is lost.
func (w *work) renew(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(leaseTime / 4):
		}
		begun := time.Now()
		epoch, held, err := w.opts.Leases.TryLease(ctx, leaseOf(w.shard), w.holder, leaseTime)
		switch {
		case err == nil && held && epoch == w.epoch:
			w.lasts.Store(begun.Add(leaseTime).UnixNano())
		case err == nil:
			return errLost
		case w.held() != nil:
			return errors.Join(errLost, err)
		}
	}
}

package audittable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// lease is the right to a writer's name, kept until it is released.
type lease struct {
	db           *scylla.DB
	name, holder string
	lasts        time.Duration
	failed       func(error)
	epoch        int64

	lost     atomic.Bool
	stop     context.CancelFunc
	stopOnce sync.Once
	stopped  chan struct{}
	err      error // of release
}

// takeLease waits until a holder that died has not been heard of for long enough.
func takeLease(ctx context.Context, db *scylla.DB, writer string, process gocql.UUID, o Options) (*lease, error) {
	l := &lease{
		db: db, name: "audit/" + writer, holder: fmt.Sprintf("%s %s", scylla.Process(), process),
		lasts: o.leaseTime, failed: o.LeaseFailed, stopped: make(chan struct{}),
	}
	// One that is alive prolongs its lease while this waits.
	limited, cancel := context.WithTimeoutCause(ctx, o.leaseWait, ErrTaken)
	defer cancel()
	for {
		epoch, held, err := db.TryLease(limited, l.name, l.holder, l.lasts)
		if err != nil {
			return nil, err
		}
		if held {
			l.epoch = epoch
			kept, stop := context.WithCancel(context.WithoutCancel(ctx))
			l.stop = stop
			go l.keep(kept)
			return l, nil
		}
		select {
		case <-limited.Done():
			return nil, context.Cause(limited)
		case <-time.After(l.lasts/20 + rand.N(l.lasts/20)):
		}
	}
}

// keep prolongs the lease until ctx ends, or it is lost. That it runs out alone is no harm as
// long as nobody takes it, and what is written by both is refused to one.
func (l *lease) keep(ctx context.Context) {
	defer close(l.stopped)
	ticker := time.NewTicker(l.lasts / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limited, cancel := context.WithTimeout(ctx, l.lasts)
		epoch, held, err := l.db.TryLease(limited, l.name, l.holder, l.lasts)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.failed(fmt.Errorf("prolonging the lease on %s: %w", l.name, err))
		case !held || epoch != l.epoch: // it was another's meanwhile
			l.lost.Store(true)
			l.failed(fmt.Errorf("prolonging the lease on %s: %w", l.name, ErrTaken))
			return
		}
	}
}

func (l *lease) isLost() bool { return l.lost.Load() }

// release gives the lease back, once.
func (l *lease) release() error {
	l.stopOnce.Do(func() {
		l.stop()
		<-l.stopped
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		defer cancel()
		l.err = l.db.FreeLease(ctx, l.name, l.holder, l.epoch)
	})
	return l.err
}

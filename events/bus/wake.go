package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Wake tells whoever waits for a feed that there is something new in it. Nobody keeps
// that: who does not hear it reads the feed in time by itself. It does not wait for
// anybody, and fails while there is no connection.
func (b *Bus) Wake(feed string) error {
	err := b.conn.Publish(b.wakeSubject(feed), []byte(b.id))
	b.cfg.Metrics.woke(err)
	if err != nil {
		return fmt.Errorf("waking the readers of feed %s: %w", feed, err)
	}
	return nil
}

// OnWake calls wake when somebody else has told that there is something new in a feed, until
// stop is called. It is called by one goroutine per feed, and must not wait.
func (b *Bus) OnWake(feeds []string, wake func(feed string)) (stop func() error, err error) {
	var subs []*nats.Subscription
	stop = func() error {
		var errs []error
		for _, sub := range subs {
			errs = append(errs, sub.Unsubscribe())
		}
		return errors.Join(errs...)
	}
	for _, feed := range feeds {
		sub, err := b.conn.Subscribe(b.wakeSubject(feed), func(m *nats.Msg) {
			if string(m.Data) != b.id {
				b.cfg.Metrics.woken()
				wake(feed)
			}
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for what is new in feed %s: %w", feed, err), stop())
		}
		subs = append(subs, sub)
	}
	return stop, nil
}

// WatchWakes calls f with whether wake-ups can be carried, as there is a connection and the
// right: at once, and when that changes, until ctx ends.
func (b *Bus) WatchWakes(ctx context.Context, f func(carried bool)) {
	changed := b.conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer b.conn.RemoveStatusListener(changed)
	for {
		f(b.conn.IsConnected() && !b.sleeps.Load())
		select {
		case <-ctx.Done():
			return
		case <-b.slept:
		case _, open := <-changed:
			if !open { // the Bus was closed
				f(false)
				return
			}
		}
	}
}

// wakeSubject is the subject of a feed, whose name may have characters that a subject
// has not.
func (b *Bus) wakeSubject(feed string) string {
	token := strings.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune("/.*>", r) {
			return '_'
		}
		return r
	}, feed)
	return b.cfg.Prefix + ".wake." + token
}

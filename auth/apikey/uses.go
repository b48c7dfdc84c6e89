package apikey

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// useEvery is how exactly the last use is known: a key is written once in that time,
	// by each instance.
	useEvery = 5 * time.Minute
	// usesKnown is of how many keys an instance remembers that it has written.
	usesKnown = 10_000
	// usesWaiting is how many uses may wait to be written. More are left out: the key's
	// next use is noted.
	usesWaiting = 1000
	useTimeout  = 5 * time.Second
)

// uses note when keys were last used, behind the requests.
type uses struct {
	store   Store
	failed  func(string, error)
	written *lru.Cache[string, time.Time]
	waiting chan use
}

type use struct {
	id string
	at time.Time
}

func newUses(store Store, failed func(string, error)) (*uses, error) {
	written, err := lru.New[string, time.Time](usesKnown)
	if err != nil {
		return nil, err
	}
	if failed == nil {
		failed = func(string, error) {}
	}
	return &uses{store: store, failed: failed, written: written, waiting: make(chan use, usesWaiting)}, nil
}

// note never waits.
func (u *uses) note(id string, at time.Time) {
	if last, ok := u.written.Get(id); ok && at.Sub(last) < useEvery {
		return
	}
	select {
	case u.waiting <- use{id: id, at: at}:
		u.written.Add(id, at)
	default:
	}
}

func (u *uses) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-u.waiting:
			u.write(ctx, next)
		}
	}
}

// write forgets what it could not write, so that the next use is tried.
func (u *uses) write(ctx context.Context, next use) {
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	if err := u.store.Used(ctx, next.id, next.at); err != nil {
		u.written.Remove(next.id)
		u.failed(next.id, err)
	}
}

// Package recent remembers for seconds what a store answered, so that a request does not
// cost a read of the database, and a change is seen by all instances within seconds.
//
// Promised: an answer that there is something was true at some moment of the last
// Positive, an answer that there is nothing at some moment of the last Negative, or since
// the question began that one waited for with others. Time counts from when the store was
// asked, not from when it answered. When the store does not answer, what is remembered is
// told until it is too old, and then an error is: never "nothing".
//
// An attacker who asks for ever new keys cannot make it remember more than Size answers,
// nor push out what is remembered of keys that exist: what does not exist is remembered
// apart. Any number of questions for one key at a time are one question to the store.
package recent

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// Config are times and sizes. Zero means the default.
type Config struct {
	// Positive is the greatest age of an answer that there is something: 5 seconds.
	Positive time.Duration
	// Negative is that of an answer that there is nothing: 1 second.
	Negative time.Duration
	// Timeout bounds a question to the store: 2 seconds. At most Positive.
	Timeout time.Duration
	// Size is how many answers of each kind are remembered: 10,000.
	Size int
}

// Load asks a store. It returns false if there is nothing for the key.
type Load[V any] func(ctx context.Context, key string) (V, bool, error)

// Answers are what a store said recently. Safe for concurrent use.
type Answers[V any] struct {
	config  Config
	load    Load[V]
	found   *lru.Cache[string, answer[V]]
	missing *lru.Cache[string, answer[V]]
	flights singleflight.Group
}

type answer[V any] struct {
	value V
	ok    bool
	asked time.Time
}

// New returns answers that ask load.
func New[V any](load Load[V], config Config) (*Answers[V], error) {
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{{&config.Positive, 5 * time.Second}, {&config.Negative, time.Second}, {&config.Timeout, 2 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if config.Size == 0 {
		config.Size = 10_000
	}
	if config.Timeout < 0 || config.Negative < 0 || config.Timeout > config.Positive {
		return nil, fmt.Errorf("times are negative, or the timeout %v is more than the greatest age %v", config.Timeout, config.Positive)
	}
	found, err := lru.New[string, answer[V]](config.Size)
	if err != nil {
		return nil, err
	}
	missing, err := lru.New[string, answer[V]](config.Size)
	if err != nil {
		return nil, err
	}
	return &Answers[V]{config: config, load: load, found: found, missing: missing}, nil
}

// Get returns what there is for the key, and whether there is anything. An error means
// that nobody knows: that of the store, or of ctx. It waits no longer than ctx and Timeout.
func (a *Answers[V]) Get(ctx context.Context, key string) (V, bool, error) {
	var zero V
	if known, ok := a.found.Get(key); ok && time.Since(known.asked) < a.config.Positive {
		return known.value, true, nil
	}
	if known, ok := a.missing.Get(key); ok && time.Since(known.asked) < a.config.Negative {
		return zero, false, nil
	}
	// The question outlives who asked first: others wait for it too.
	flight := a.flights.DoChan(key, func() (any, error) { return a.ask(context.WithoutCancel(ctx), key) })
	select {
	case result := <-flight:
		if result.Err != nil {
			return zero, false, result.Err
		}
		got, _ := result.Val.(answer[V])
		return got.value, got.ok, nil
	case <-ctx.Done():
		return zero, false, ctx.Err()
	}
}

// ask asks the store and remembers what it says. An error is not remembered.
func (a *Answers[V]) ask(ctx context.Context, key string) (answer[V], error) {
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	got := answer[V]{asked: time.Now()}
	var err error
	if got.value, got.ok, err = a.load(ctx, key); err != nil {
		return answer[V]{}, err
	}
	if got.ok {
		a.found.Add(key, got)
	} else {
		a.missing.Add(key, got)
	}
	return got, nil
}

// Forget makes the next Get ask the store. It is for an instance that has changed
// something itself.
func (a *Answers[V]) Forget(key string) {
	a.flights.Forget(key)
	a.found.Remove(key)
	a.missing.Remove(key)
}

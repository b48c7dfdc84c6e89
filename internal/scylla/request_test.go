package scylla

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
)

// TestRepeat shows how often and how long a request is tried.
func TestRepeat(t *testing.T) {
	const second = time.Second
	hang := func(limit time.Duration) error {
		time.Sleep(limit) // simulated time
		return gocql.ErrTimeoutNoResponse
	}
	refuse := func(err error) func(time.Duration) error { return func(time.Duration) error { return err } }
	for _, tt := range []struct {
		name     string
		attempts []func(time.Duration) error // the last is repeated
		limits   []time.Duration             // of the attempts that are expected
		ends     error
	}{
		{"works", []func(time.Duration) error{refuse(nil)}, []time.Duration{second}, nil},
		{"no row", []func(time.Duration) error{refuse(gocql.ErrNotFound)}, []time.Duration{second}, gocql.ErrNotFound},
		{"hangs, then works", []func(time.Duration) error{hang, refuse(nil)}, []time.Duration{second, 2 * second}, nil},
		{"hangs", []func(time.Duration) error{hang}, []time.Duration{second, 2 * second, 4 * second, 3 * second}, gocql.ErrTimeoutNoResponse},
		{"refused", []func(time.Duration) error{refuse(&gocql.RequestErrReadTimeout{})}, []time.Duration{second, 2 * second, 4 * second}, &gocql.RequestErrReadTimeout{}},
		{"broken", []func(time.Duration) error{refuse(gocql.ErrConnectionClosed), refuse(nil)}, []time.Duration{second, 2 * second}, nil},
		{"nobody is connected", []func(time.Duration) error{refuse(gocql.ErrNoConnections)}, []time.Duration{second}, gocql.ErrNoConnections},
		{"rate limit", []func(time.Duration) error{refuse(&gocql.RequestErrRateLimitReached{})}, []time.Duration{second}, &gocql.RequestErrRateLimitReached{}},
		{"a mistake", []func(time.Duration) error{refuse(&PermanentError{Text: "x"})}, []time.Duration{second}, &PermanentError{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := &DB{limit: 10 * second, health: newHealth(nil, nil)}
				var limits []time.Duration
				err := db.repeat(t.Context(), func(_ context.Context, limit time.Duration) error {
					limits = append(limits, limit)
					return tt.attempts[min(len(limits), len(tt.attempts))-1](limit)
				})
				if !slices.Equal(limits, tt.limits) {
					t.Errorf("attempts of %v, want %v", limits, tt.limits)
				}
				if !sameKind(err, tt.ends) {
					t.Errorf("ended with %v, want %v", err, tt.ends)
				}
			})
		})
	}
}

// sameKind compares errors by identity, or by type where they are made anew.
func sameKind(got, want error) bool {
	switch want.(type) {
	case *gocql.RequestErrReadTimeout:
		return errors.As(got, new(*gocql.RequestErrReadTimeout))
	case *gocql.RequestErrRateLimitReached:
		return errors.As(got, new(*gocql.RequestErrRateLimitReached))
	case *PermanentError:
		return Permanent(got)
	}
	return errors.Is(got, want)
}

// TestRepeatEndsWithItsCaller shows that nothing is tried for a caller who has
// left, and that the error is the caller's.
func TestRepeatEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil)}
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		err := db.repeat(ctx, func(ctx context.Context, _ time.Duration) error {
			attempts++
			cancel()
			return ctx.Err()
		})
		if attempts != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

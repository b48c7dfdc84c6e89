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
	prepares := func(time.Duration) error { return errPreparing }
	almost := func(d time.Duration) func(time.Duration) error {
		return func(time.Duration) error {
			time.Sleep(d - leastAttempt/2)
			return gocql.ErrConnectionClosed
		}
	}
	refuse := func(err error) func(time.Duration) error { return func(time.Duration) error { return err } }
	for _, tt := range []struct {
		name     string
		attempts []func(time.Duration) error // the last is repeated
		limits   []time.Duration             // of the attempts that are expected
		ends     func(error) bool
	}{
		{"works", []func(time.Duration) error{refuse(nil)}, []time.Duration{second}, is(nil)},
		{"no row", []func(time.Duration) error{refuse(gocql.ErrNotFound)}, []time.Duration{second}, is(gocql.ErrNotFound)},
		{"hangs, then works", []func(time.Duration) error{hang, refuse(nil)}, []time.Duration{second, 2 * second}, is(nil)},
		{"hangs before it is sent", []func(time.Duration) error{prepares}, []time.Duration{second, 2 * second, 4 * second, 3 * second}, is(gocql.ErrTimeoutNoResponse)},
		{"hangs late", []func(time.Duration) error{hang, hang, hang, almost(3 * second)}, []time.Duration{second, 2 * second, 4 * second, 3 * second}, is(gocql.ErrConnectionClosed)},
		{"one connection is full", []func(time.Duration) error{refuse(gocql.ErrNoStreams), refuse(nil)}, []time.Duration{second, 2 * second}, is(nil)},
		{"hangs", []func(time.Duration) error{hang}, []time.Duration{second, 2 * second, 4 * second, 3 * second}, is(gocql.ErrTimeoutNoResponse)},
		{"refused", []func(time.Duration) error{refuse(&gocql.RequestErrReadTimeout{})}, []time.Duration{second, 2 * second, 4 * second}, as[*gocql.RequestErrReadTimeout]},
		{"broken", []func(time.Duration) error{refuse(gocql.ErrConnectionClosed), refuse(nil)}, []time.Duration{second, 2 * second}, is(nil)},
		{"nobody is connected", []func(time.Duration) error{refuse(gocql.ErrNoConnections)}, []time.Duration{second}, is(gocql.ErrNoConnections)},
		{"rate limit", []func(time.Duration) error{refuse(&gocql.RequestErrRateLimitReached{})}, []time.Duration{second}, as[*gocql.RequestErrRateLimitReached]},
		{"a mistake", []func(time.Duration) error{refuse(&PermanentError{Text: "x"})}, []time.Duration{second}, Permanent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := &DB{limit: 10 * second, health: newHealth(nil, nil, nobody)}
				var limits []time.Duration
				err := db.repeat(t.Context(), about{}, func(ctx context.Context, limit time.Duration) error {
					limits = append(limits, limit)
					err := tt.attempts[min(len(limits), len(tt.attempts))-1](limit)
					if errors.Is(err, errPreparing) {
						<-ctx.Done()
						return ctx.Err()
					}
					return err
				})
				if !slices.Equal(limits, tt.limits) {
					t.Errorf("attempts of %v, want %v", limits, tt.limits)
				}
				if !tt.ends(err) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

// TestRepeatOfScan: the attempts of a page stay shorter than the time for which a
// server waits for a replica that hangs.
func TestRepeatOfScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{health: newHealth(nil, nil, nobody)}
		var limits []time.Duration
		err := db.repeatFor(t.Context(), about{kind: scan}, scanAttempt, scanLimit, func(_ context.Context, limit time.Duration) error {
			limits = append(limits, limit)
			if got := wholeAttempt(limit - time.Second); got != limit {
				t.Errorf("a server is told %s for an attempt of %s that was cut short", got, limit)
			}
			time.Sleep(limit) // simulated time
			return gocql.ErrTimeoutNoResponse
		})
		const four, eight = 4 * time.Second, 8 * time.Second
		if want := []time.Duration{four, eight, eight, eight, eight, eight, eight, eight}; !slices.Equal(limits, want) {
			t.Errorf("attempts of %v, want %v", limits, want)
		}
		if !timedOut(err) {
			t.Errorf("ended with %v", err)
		}
	})
}

// errPreparing stands for an attempt that waits until its time is over.
var errPreparing = errors.New("preparing")

// is makes a check for an error of the driver, as for one of a server.
func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func as[T error](err error) bool {
	var want T
	return errors.As(err, &want)
}

// TestRepeatEndsWithItsCaller shows that nothing is tried for a caller who has
// left, and that the error is the caller's.
func TestRepeatEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil, nobody)}
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		err := db.repeat(ctx, about{}, func(ctx context.Context, _ time.Duration) error {
			attempts++
			cancel()
			return ctx.Err()
		})
		if attempts != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

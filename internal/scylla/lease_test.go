package scylla

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
)

// TestKeep shows how long a lease is renewed that lasts for a minute.
func TestKeep(t *testing.T) {
	works := func(context.Context) error { return nil }
	hangs := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	fails := func(context.Context) error { return gocql.ErrNoConnections }
	taken := func(context.Context) error { return errTaken }
	for _, tt := range []struct {
		name   string
		renews []func(context.Context) error // the last is repeated
		want   error
		ends   time.Duration
	}{
		{"as long as it is needed", []func(context.Context) error{works}, nil, time.Hour},
		{"a try that fails", []func(context.Context) error{works, fails, works}, nil, time.Hour},
		{"taken by another process", []func(context.Context) error{works, taken}, errTaken, 40 * time.Second},
		{"no database", []func(context.Context) error{works, fails}, gocql.ErrNoConnections, 79 * time.Second},
		{"no answer", []func(context.Context) error{hangs}, context.DeadlineExceeded, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				until := begun.Add(leaseTime)
				stopped := make(chan struct{})
				time.AfterFunc(time.Hour, func() { close(stopped) })
				n := 0
				err := keep(t.Context(), stopped, until, leaseTime, func(ctx context.Context) error {
					if !time.Now().Before(until) {
						t.Errorf("it ran out %s ago", time.Since(until))
					}
					n++
					now := time.Now()
					err := tt.renews[min(n, len(tt.renews))-1](ctx)
					if err == nil {
						until = now.Add(leaseTime)
					}
					return err
				})
				if took := time.Since(begun); !errors.Is(err, tt.want) || took != tt.ends {
					t.Errorf("ended after %s with %v, want %s, %v", took, err, tt.ends, tt.want)
				}
			})
		})
	}
}

// TestKeepEndsWithItsCaller shows that nothing is renewed for a caller who has
// left, and that the lease is not called lost.
func TestKeepEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err := keep(ctx, nil, time.Now().Add(leaseTime), leaseTime, func(ctx context.Context) error {
			n++
			cancel()
			return ctx.Err()
		})
		if err != nil || n != 1 {
			t.Errorf("%v after %d tries", err, n)
		}
	})
}

package adminhttp

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHangingCheck: it costs two seconds, not more, and is not begun again while it runs.
func TestHangingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Readiness
		var begun atomic.Int32
		release := make(chan struct{})
		r.Add(
			Check{Name: "deaf", Run: func(context.Context) error { begun.Add(1); <-release; return nil }},
			Check{Name: "fine", Run: func(context.Context) error { return nil }},
		)
		for range 3 {
			start := time.Now()
			report := r.Report(t.Context())
			if took := time.Since(start); took != checkTimeout {
				t.Errorf("it took %s", took)
			}
			if report.Ready || !strings.Contains(report.Checks[0].Error, "did not answer within 2s") || !report.Checks[1].OK {
				t.Errorf("the report is %+v", report)
			}
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("begun %d times", n)
		}
		close(release)
		synctest.Wait()
		if report := r.Report(t.Context()); !report.Ready || begun.Load() != 2 {
			t.Errorf("once it answers: %+v, begun %d times", report, begun.Load())
		}
	})
}

// TestFresh: what asks others is asked once in a while.
func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Readiness
		calls := 0
		err := errors.New("down")
		r.Add(Check{Name: "kubo", Fresh: 10 * time.Second, Run: func(context.Context) error { calls++; return err }})
		for range 5 {
			if report := r.Report(t.Context()); report.Ready || report.Checks[0].Error != "down" {
				t.Errorf("%+v", report)
			}
		}
		if calls != 1 {
			t.Errorf("asked %d times", calls)
		}
		time.Sleep(10 * time.Second)
		err = nil
		if report := r.Report(t.Context()); !report.Ready || calls != 2 {
			t.Errorf("later: %+v, asked %d times", report, calls)
		}
	})
}

// TestAskerLeaves: a check goes on for the others when the one that asked first has left, and
// that tells nothing of the process.
func TestAskerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Readiness
		r.Add(Check{Name: "slow", Run: func(ctx context.Context) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		if !r.Report(t.Context()).Ready {
			t.Fatal("not ready")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(100 * time.Millisecond)
			cancel()
		}()
		r.Report(ctx)
		if !r.Last() {
			t.Error("one who left made the process unready")
		}
		if report := r.Report(t.Context()); !report.Ready {
			t.Errorf("%+v", report)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Readiness
		var down atomic.Bool
		r.Add(Check{Name: "x", Run: func(context.Context) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Watch(ctx, 5*time.Second) }()
		synctest.Wait()
		if !r.Last() {
			t.Error("not looked at once")
		}
		down.Store(true)
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if r.Last() {
			t.Error("not looked at again")
		}
		cancel()
		<-done
	})
}

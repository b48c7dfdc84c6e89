package scyllastate

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestPinsAreNotTold: nothing is told of the number of pins until they could be counted, although
// this process has written some; a count that fails later leaves the last number.
func TestPinsAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pinsCount
		var told []int64
		var down atomic.Bool
		down.Store(true)
		var counts atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.watch(ctx, func(context.Context) (bool, error) {
				counts.Add(1)
				if down.Load() {
					return false, errors.New("down")
				}
				p.counted(1000)
				return true, nil
			}, func() int { return 1 }, func(n int64) { told = append(told, n) })
		}()
		p.wrote(row{}, &content{})
		time.Sleep(3*pinsAgain + pinsShown)
		synctest.Wait()
		if len(told) != 0 || counts.Load() != 4 {
			t.Errorf("before %d counts that failed it told %v", counts.Load(), told)
		}
		down.Store(false)
		time.Sleep(pinsAgain)
		synctest.Wait()
		down.Store(true)
		p.wrote(row{}, &content{})
		time.Sleep(time.Hour)
		synctest.Wait()
		if want := []int64{1000, 1001}; !slices.Equal(told, want) {
			t.Errorf("it told %v, want %v", told, want)
		}
		if n := counts.Load(); n > 12 {
			t.Errorf("it was counted %d times", n)
		}
		cancel()
		<-ended
	})
}

// TestPinsPause: how often pins are counted.
func TestPinsPause(t *testing.T) {
	for _, tt := range []struct {
		soon  bool
		took  time.Duration
		peers int
		want  time.Duration
	}{
		{true, 10 * time.Millisecond, 1, time.Minute},
		{true, 10 * time.Millisecond, 0, time.Minute},
		{true, 10 * time.Millisecond, 3, 3 * time.Minute},
		{true, 10 * time.Millisecond, 1000, 10 * time.Minute},
		{true, 3 * time.Second, 1, 5 * time.Minute},
		{true, 3 * time.Second, 8, 8 * time.Minute},
		{false, 10 * time.Millisecond, 1, 10 * time.Minute},
		{false, 30 * time.Second, 1, 50 * time.Minute},
	} {
		if got := pinsPause(tt.soon, tt.took, tt.peers); got != tt.want {
			t.Errorf("%+v: it waits %s", tt, got)
		}
	}
}

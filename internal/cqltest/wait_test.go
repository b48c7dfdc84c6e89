package cqltest_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// failing is a test that notes how it ends.
type failing struct {
	testing.TB
	said string
}

func (*failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWaitFor(t *testing.T) {
	for _, tt := range []struct {
		holdsAfter, ends time.Duration
		said             string
	}{
		{0, 0, ""},
		{10 * time.Second, 10 * time.Second, ""},
		{time.Hour, 30 * time.Second, "gave up waiting for the end"},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			tb := &failing{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				cqltest.WaitFor(tb, "the end", func() bool { return time.Since(begun) >= tt.holdsAfter })
			}()
			<-done
			if took := time.Since(begun); took < tt.ends || took > tt.ends+time.Second || tb.said != tt.said {
				t.Errorf("holds after %s: ended after %s with %q", tt.holdsAfter, took, tb.said)
			}
		})
	}
}

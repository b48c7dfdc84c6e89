package cqltest

import (
	"testing"
	"time"
)

const (
	waitLimit = 30 * time.Second
	waitPause = 20 * time.Millisecond
)

// WaitFor returns when the condition holds, which it looks at again and again. It
// ends the test when that has lasted for half a minute.
func WaitFor(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(waitLimit); !holds(); time.Sleep(waitPause) {
		if time.Now().After(deadline) {
			tb.Fatalf("gave up waiting for %s", what)
		}
	}
}

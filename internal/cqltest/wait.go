package cqltest

import (
	"testing"
	"time"
)

const (
	waitLimit = 30 * time.Second
	waitPause = 20 * time.Millisecond
)

// WaitFor asks again and again whether the condition holds, and returns when it
// does. It ends the test when it has asked for half a minute.
func WaitFor(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(waitLimit); !holds(); time.Sleep(waitPause) {
		if time.Now().After(deadline) {
			tb.Fatalf("gave up waiting for %s", what)
		}
	}
}

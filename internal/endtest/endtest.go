// Package endtest tests what ends tests: helpers that skip a test, or fail it, where a program
// is missing.
package endtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Result is how a test was ended: what it failed or was skipped with.
type Result struct{ Failed, Skipped string }

// Run runs what must end the test that it is given, and returns how it does.
func Run(tb testing.TB, f func(tb testing.TB)) Result {
	tb.Helper()
	e := &ending{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(e)
		tb.Error("it did not end the test")
	}()
	<-done
	return e.result
}

// ending is a test that is told its end by another.
type ending struct {
	testing.TB
	result Result
}

// Fatal implements testing.TB.
func (e *ending) Fatal(args ...any) { e.Fatalf("%s", fmt.Sprint(args...)) }

// Fatalf implements testing.TB.
func (e *ending) Fatalf(format string, args ...any) {
	e.result.Failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Skipf implements testing.TB.
func (e *ending) Skipf(format string, args ...any) {
	e.result.Skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Script puts a program into a directory, which it makes: a shell runs the text.
func Script(tb testing.TB, dir, name, text string) {
	tb.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // a program
		tb.Fatal(err)
	}
}

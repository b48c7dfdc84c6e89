// Package logtest lets tests see what is logged.
package logtest

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	logging "github.com/ipfs/go-log/v2"
)

// During returns what all loggers of the process say at a level and above it while
// f runs. A logger that is set to a higher level says less.
func During(tb testing.TB, level logging.LogLevel, f func()) string {
	tb.Helper()
	r := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(level))
	var text bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&text, r) // ends with Close
	}()
	f()
	_ = r.Close()
	<-done
	return text.String()
}

// Follow returns what all loggers of the process have said at a level and above it since the
// call, until the test ends. A logger that is set to a higher level says less.
func Follow(tb testing.TB, level logging.LogLevel) (said func() string) {
	tb.Helper()
	r := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(level))
	var mu sync.Mutex
	var text strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewReader(r); ; {
			line, err := in.ReadString('\n')
			mu.Lock()
			text.WriteString(line)
			mu.Unlock()
			if err != nil {
				return // closed
			}
		}
	}()
	tb.Cleanup(func() { _ = r.Close(); <-done })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

// Lines collects what a logger says at a level and above it until the test ends, and
// what others say at their levels. The result counts the lines with a text. Both are
// called in the test's bubble, which is idle when it counts.
func Lines(t *testing.T, logger string, level logging.LogLevel) func(part string) int {
	t.Helper()
	if err := logging.SetLogLevel(logger, level.String()); err != nil {
		t.Fatal(err)
	}
	pipe := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(level))
	var mu sync.Mutex
	var lines []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(pipe); in.Scan(); {
			mu.Lock()
			lines = append(lines, in.Text())
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		if err := pipe.Close(); err != nil {
			t.Error(err)
		}
		<-done
		_ = logging.SetLogLevel(logger, "error")
	})
	return func(part string) int {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, l := range lines {
			if strings.Contains(l, part) {
				n++
			}
		}
		return n
	}
}

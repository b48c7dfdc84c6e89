package cqltest

import (
	"bytes"
	"io"
	"testing"

	logging "github.com/ipfs/go-log/v2"
)

// Logged returns what all loggers of the process say at a level and above it while
// f runs. A logger that is set to a higher level says less.
func Logged(tb testing.TB, level logging.LogLevel, f func()) string {
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

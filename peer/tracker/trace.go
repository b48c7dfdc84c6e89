package tracker

import (
	"context"
	"encoding/hex"
	"strings"

	"go.opencensus.io/trace"
)

// parseTraceparent reads a W3C trace context (version 00): 00-<trace>-<span>-<flags>.
func parseTraceparent(text string) (trace.SpanContext, bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 4 || parts[0] != "00" {
		return trace.SpanContext{}, false
	}
	var sc trace.SpanContext
	var flags [1]byte
	for i, to := range [][]byte{sc.TraceID[:], sc.SpanID[:], flags[:]} {
		raw, err := hex.DecodeString(parts[i+1])
		if err != nil || len(raw) != len(to) {
			return trace.SpanContext{}, false
		}
		copy(to, raw)
	}
	sc.TraceOptions = trace.TraceOptions(flags[0] & 1)
	return sc, sc.TraceID != trace.TraceID{} && sc.SpanID != trace.SpanID{}
}

// startSpan starts a span of work on the tracker's own context that belongs to the
// write which caused it.
func startSpan(ctx context.Context, name, traceparent string) (context.Context, *trace.Span) {
	if parent, ok := parseTraceparent(traceparent); ok {
		return trace.StartSpanWithRemoteParent(ctx, name, parent)
	}
	return trace.StartSpan(ctx, name)
}

// tracedNote reads or writes for an op, in the trace of the write that caused it, if that was
// traced.
func tracedNote(ctx context.Context, traceparent string, do note) (func(*op, *effects), error) {
	if traceparent != "" {
		var span *trace.Span
		ctx, span = startSpan(ctx, "tracker/note", traceparent)
		defer span.End()
	}
	return do(ctx)
}

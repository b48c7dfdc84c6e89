package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Sampled reports whether the span in ctx is sent: what AddServerTrace needs. It is false where
// there is none.
func Sampled(ctx context.Context) bool {
	return trace.SpanFromContext(ctx).SpanContext().IsSampled()
}

// AddServerTrace adds a span to the one in ctx, which may have ended, with an event for each
// step. It does nothing where there is none, or one that is not sampled. Times are by the
// clocks of the nodes.
func AddServerTrace(ctx context.Context, t scylla.ServerTrace) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return
	}
	_, span := parent.TracerProvider().Tracer("ipfs-cluster-scylla").Start(ctx, "cql/server",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(t.Started), trace.WithAttributes(
			attribute.String("db.query.text", t.Statement), attribute.String("server.address", t.Host), attribute.String("db.trace_id", t.ID)))
	for _, e := range t.Events {
		span.AddEvent(e.Activity, trace.WithTimestamp(e.At), trace.WithAttributes(
			attribute.String("source", e.Source), attribute.Int64("elapsed_us", e.Elapsed.Microseconds())))
	}
	span.End(trace.WithTimestamp(t.Started.Add(t.Duration)))
}

package tracing

import (
	"context"
	"crypto/rand"

	octrace "go.opencensus.io/trace"
)

// bridge makes spans of OpenCensus spans of OpenTelemetry. Where a library samples its own
// spans, as OpenCensus does those of reading its metrics, that is asked for a new trace: the
// bridge of OpenTelemetry would trace each of them, and report an error.
type bridge struct{ octrace.Tracer }

// StartSpan implements octrace.Tracer.
func (b bridge) StartSpan(ctx context.Context, name string, opts ...octrace.StartOption) (context.Context, *octrace.Span) {
	var o octrace.StartOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.Sampler == nil {
		return b.Tracer.StartSpan(ctx, name, opts...)
	}
	kind := octrace.WithSpanKind(o.SpanKind)
	parent := b.Tracer.FromContext(ctx).SpanContext()
	if parent.TraceID != (octrace.TraceID{}) {
		return b.Tracer.StartSpan(ctx, name, kind)
	}
	// The ids are of a trace that nobody makes.
	var sc octrace.SpanContext
	_, _ = rand.Read(sc.TraceID[:]) // never fails
	_, _ = rand.Read(sc.SpanID[:])
	if o.Sampler(octrace.SamplingParameters{TraceID: sc.TraceID, SpanID: sc.SpanID, Name: name}).Sample {
		return b.Tracer.StartSpan(ctx, name, kind)
	}
	return b.Tracer.StartSpanWithRemoteParent(ctx, name, sc, kind)
}

// Package tracing sends the spans of a process to a collector, by OTLP over gRPC. Spans are
// made with OpenCensus, as upstream makes them, or with OpenTelemetry; both are in one trace.
//
// Nothing waits for the collector. Spans wait in a queue of bounded length and are sent in the
// background; those that find it full are dropped, and counted.
package tracing

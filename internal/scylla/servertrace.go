package scylla

// What became of a trace, as a label.
const (
	traceFetched = "fetched"
	traceMissing = "missing"
	traceDropped = "dropped"
	traceFailed  = "failed"
)

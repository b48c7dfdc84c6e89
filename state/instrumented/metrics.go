package instrumented

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// operation is what is asked of a store.
type operation int

const (
	add operation = iota
	rm
	get
	has
	list
	update
	getVersion
	putIf
	deleteIf
	operations
)

func (o operation) String() string {
	return [operations]string{"add", "rm", "get", "has", "list", "update", "get_version", "put_if", "delete_if"}[o]
}

// outcome is what came of it.
type outcome int

const (
	ok outcome = iota
	notFound
	conflict
	unavailable
	unknownOutcome
	invalid
	canceled
	failed
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"ok", "not_found", "conflict", "unavailable", "unknown_outcome", "invalid", "canceled", "error"}[o]
}

// outcomeOf chooses by the error. Where the caller has left, that is the outcome, but for a
// write of which it is not known whether it was made. A caller whose time is over has waited
// for the store.
func outcomeOf(ctx context.Context, err error) outcome {
	switch {
	case err == nil:
		return ok
	case err == state.ErrNotFound:
		return notFound
	case errors.Is(err, state.ErrOutcomeUnknown):
		return unknownOutcome
	case errors.Is(err, state.ErrChanged):
		return conflict
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled
	case state.Unavailable(err), ctx.Err() != nil:
		return unavailable
	default:
		return failed
	}
}

// Metrics are the counts of all stores that have them. They are safe for concurrent use.
// A nil *Metrics counts nothing.
type Metrics struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec

	counters  [operations][outcomes]prometheus.Counter
	durations [operations]prometheus.Observer
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics makes all series, at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ipfscluster_state_operations_total",
			Help: "Operations on the pinset that ended, by what was asked for and by what came of it: ok, not_found (there is no such pin), " +
				"conflict (the pin was changed meanwhile), unavailable (the database did not serve it, or not in the time that the caller had), unknown_outcome (a write that may or may not have been made), " +
				"invalid (refused by the rules for pins), canceled (the caller left) or error.",
		}, []string{"operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ipfscluster_state_operation_duration_seconds",
			Help: "How long operations on the pinset took in seconds, with all their requests to the database and their retries, whatever came of them. " +
				"A list takes as long as whoever reads it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120},
		}, []string{"operation"}),
	}
	for op := range operations {
		m.durations[op] = m.seconds.WithLabelValues(op.String())
		for out := range outcomes {
			m.counters[op][out] = m.total.WithLabelValues(op.String(), out.String())
		}
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	if m == nil {
		return
	}
	m.total.Describe(to)
	m.seconds.Describe(to)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	m.total.Collect(to)
	m.seconds.Collect(to)
}

func (m *Metrics) note(op operation, began time.Time, out outcome) {
	if m == nil {
		return
	}
	m.durations[op].Observe(time.Since(began).Seconds())
	m.counters[op][out].Inc()
}

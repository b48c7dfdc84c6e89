package tracker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/prometheus/client_golang/prometheus"
)

// operation is what IPFS is asked to do with a pin.
type operation int

const (
	pinOne operation = iota
	unpinOne
	operations
)

// operationOutcome is what came of it.
type operationOutcome int

const (
	wentWell operationOutcome = iota
	wentWrong
	wasCanceled
	operationOutcomes
)

func operationName(o operation) string { return [operations]string{"pin", "unpin"}[o] }

func outcomeName(o operationOutcome) string {
	return [operationOutcomes]string{"ok", "failed", "canceled"}[o]
}

func laneName(l lane) string { return [lanes]string{"unpin", "high", "normal"}[l] }

// request is one to Kubo, as upstream's connector makes them.
type request int

const (
	askPin request = iota
	askUnpin
	askOne
	askList
	askSize
	requests
)

func requestName(r request) string {
	return [requests]string{"pin", "unpin", "pin_status", "pin_list", "size"}[r]
}

// statusPhases are the phases that a status of a pin stands for, by upstream's names of them.
func statusPhases() map[string][]phase {
	return map[string][]phase{
		"pin_queued":   {looking, pinQueued},
		"pinning":      {pinning, pinNoting},
		"pin_error":    {pinFailed},
		"unpin_queued": {unpinDeciding, unpinQueued, unpinKept},
		"unpinning":    {unpinning, unpinNoting},
		"unpin_error":  {unpinFailed},
	}
}

const pinsHelp = "The number of pins of this peer by their status, as the pin tracker has it in memory: what it works on, and what has failed and is " +
	"tried again. Of what is pinned it counts what it has found in the rows of this peer when it went through them, and what it has pinned or unpinned since."

// Metrics are those of a Tracker, for Prometheus. They are safe for concurrent use. A nil
// *Metrics measures nothing.
type Metrics struct {
	tracker    atomic.Pointer[Tracker]
	operations [operations][operationOutcomes]prometheus.Counter
	took       [requests]prometheus.Observer
	failed     [requests]prometheus.Counter
	all        []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := new(Metrics)
	did := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_tracker_operations_total",
		Help: "Counts what the IPFS daemon was asked to do with pins, by what came of it, each try by itself: ok, failed, or canceled as " +
			"the pin was unpinned or replaced meanwhile, or the peer ended.",
	}, []string{"operation", "outcome"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ipfscluster_kubo_request_duration_seconds",
		Help:    "The seconds that requests of the pin tracker to the IPFS daemon took until they were answered or failed, all that the connector asks for one included.",
		Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800},
	}, []string{"operation"})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_kubo_request_errors_total",
		Help: "Counts the requests of the pin tracker to the IPFS daemon that failed, except those that were canceled here.",
	}, []string{"operation"})
	for o := range operations {
		for out := range operationOutcomes {
			m.operations[o][out] = did.WithLabelValues(operationName(o), outcomeName(out))
		}
	}
	for r := range requests {
		m.took[r], m.failed[r] = took.WithLabelValues(requestName(r)), failed.WithLabelValues(requestName(r))
	}
	m.all = []prometheus.Collector{did, took, failed}
	for status, of := range statusPhases() {
		m.all = append(m.all, m.gauge("ipfscluster_tracker_pins", pinsHelp, prometheus.Labels{"status": status}, func(t *Tracker) int64 {
			var n int64
			for _, p := range of {
				n += t.counts[p].Load()
			}
			return n
		}))
	}
	m.all = append(m.all, m.gauge("ipfscluster_tracker_pins", pinsHelp, prometheus.Labels{"status": "pinned"}, func(t *Tracker) int64 { return t.held.total() }))
	for l := range lanes {
		m.all = append(m.all, m.gauge("ipfscluster_tracker_queue",
			"The number of pins that wait until the IPFS daemon is asked, by their queue: unpins, new pins (high) and those that are old or have failed often (normal).",
			prometheus.Labels{"priority": laneName(l)}, func(t *Tracker) int64 { return t.queued[l].Load() }))
	}
	return m
}

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, of func(*Tracker) int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
		if t := m.tracker.Load(); t != nil {
			return float64(max(0, of(t))) // they change meanwhile
		}
		return 0
	})
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	if m == nil {
		return
	}
	for _, c := range m.all {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	for _, c := range m.all {
		c.Collect(to)
	}
}

// watch has the metrics say what a Tracker knows.
func (m *Metrics) watch(t *Tracker) {
	if m != nil {
		m.tracker.Store(t)
	}
}

// did counts what IPFS did with a pin.
func (m *Metrics) did(ctx context.Context, what operation, err error) {
	switch {
	case m == nil:
	case err == nil:
		m.operations[what][wentWell].Inc()
	case ctx.Err() != nil:
		m.operations[what][wasCanceled].Inc()
	default:
		m.operations[what][wentWrong].Inc()
	}
}

// measure measures what a daemon, and what tells sizes, is asked for.
func (m *Metrics) measure(d Daemon, size func(context.Context, api.Cid) (int64, error)) (Daemon, func(context.Context, api.Cid) (int64, error)) {
	if m == nil {
		return d, size
	}
	if size == nil {
		return measured{d, m}, nil
	}
	return measured{d, m}, func(ctx context.Context, c api.Cid) (n int64, err error) {
		defer m.asked(ctx, askSize, time.Now(), &err)
		return size(ctx, c)
	}
}

// asked observes one request.
func (m *Metrics) asked(ctx context.Context, what request, began time.Time, err *error) {
	m.took[what].Observe(time.Since(began).Seconds())
	if *err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		m.failed[what].Inc()
	}
}

// measured is a Daemon whose requests are measured.
type measured struct {
	Daemon
	metrics *Metrics
}

func (d measured) Pin(ctx context.Context, pin api.Pin) (err error) {
	defer d.metrics.asked(ctx, askPin, time.Now(), &err)
	return d.Daemon.Pin(ctx, pin)
}

func (d measured) Unpin(ctx context.Context, c api.Cid) (err error) {
	defer d.metrics.asked(ctx, askUnpin, time.Now(), &err)
	return d.Daemon.Unpin(ctx, c)
}

func (d measured) PinLsCid(ctx context.Context, pin api.Pin) (status api.IPFSPinStatus, err error) {
	defer d.metrics.asked(ctx, askOne, time.Now(), &err)
	return d.Daemon.PinLsCid(ctx, pin)
}

func (d measured) PinLs(ctx context.Context, typeFilters []string, out chan<- api.IPFSPinInfo) (err error) {
	defer d.metrics.asked(ctx, askList, time.Now(), &err)
	return d.Daemon.PinLs(ctx, typeFilters, out)
}

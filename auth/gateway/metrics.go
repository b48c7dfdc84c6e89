package gateway

import (
	"context"
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// nothing is the value of a label where there is nothing to name.
const nothing = "none"

// metrics are what a process counts, in a registry of its own. Values of labels are names of
// ours: no tenant, and no text of a client. They are safe for concurrent use.
type metrics struct {
	registry *prometheus.Registry

	requests    *prometheus.CounterVec
	took        *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	sinks       *prometheus.CounterVec
	checkpoints prometheus.Counter
	policies    prometheus.Counter
	peer        *prometheus.CounterVec
	database    *scylla.Metrics
}

func newMetrics() (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		database: scylla.NewMetrics(),
		requests: counter("pin_gateway_requests_total",
			"Requests that were answered, by the kind of credential that proved who asks, the class of the status and the reason of a failure.",
			"api", "route", "method", "status", "reason"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pin_gateway_request_duration_seconds", Help: "How long requests took until they were answered, uploads and downloads included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"api", "route"}),
		refused: counter("pin_gateway_refused_credentials_total",
			"Requests whose credential was refused, or that had none, by its kind and the reason.", "method", "reason"),
		sinks: counter("pin_gateway_audit_sink_failures_total",
			"Audit records that a sink did not keep.", "sink"),
		checkpoints: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pin_gateway_audit_checkpoint_failures_total", Help: "Checkpoints of the audit log that were not written or not copied.",
		}),
		policies: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pin_gateway_policy_reload_failures_total", Help: "Looks at the policies after which those before went on.",
		}),
		peer: counter("pin_gateway_peer_requests_total",
			"What the cluster was asked for by what works on pins, with all tries, by what came of it.", "operation", "result"),
	}
	for _, operation := range []string{"pin", "unpin", "status"} {
		for _, result := range []string{"ok", "error"} {
			m.peer.WithLabelValues(operation, result)
		}
	}
	return m, m.register(m.requests, m.took, m.refused, m.sinks, m.checkpoints, m.policies, m.peer, m.database,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

func (m *metrics) register(all ...prometheus.Collector) error {
	var problems []error
	for _, one := range all {
		problems = append(problems, m.registry.Register(one))
	}
	return errors.Join(problems...)
}

// watch has metrics say what is so when they are asked for.
func (m *metrics) watch(version func() string, work func() pins.WorkerStats) error {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	return m.register(
		&info{prometheus.NewDesc("pin_gateway_policy_info", "The version of the policies that decide, as in audit records.", []string{"version"}, nil), version},
		gauge("pin_gateway_pins_queue_length", "CIDs whose claims have changed and that wait to be worked on.", func() int { return work().Queued }),
		gauge("pin_gateway_pins_polls", "CIDs that are looked at again and again until their status stays.", func() int { return work().Polls }),
	)
}

// observe counts a request.
func (m *metrics) observe(s door.Seen) {
	route := orNothing(s.Route)
	m.requests.WithLabelValues(s.API, route, methodOf(s.Method), classOf(s.Status), orNothing(s.Reason)).Inc()
	m.took.WithLabelValues(s.API, route).Observe(s.Took.Seconds())
	if s.Refused != "" {
		m.refused.WithLabelValues(methodOf(s.Tried), s.Refused).Inc()
	}
}

// keptBy has a sink counted from now on.
func (m *metrics) keptBy(sink string) { m.sinks.WithLabelValues(sink) }

// asked counts what the cluster was asked for. What was given up as the gateway ends is no
// failure of a peer.
func (m *metrics) asked(operation string, err error) {
	switch {
	case err == nil:
		m.peer.WithLabelValues(operation, "ok").Inc()
	case !errors.Is(err, context.Canceled):
		m.peer.WithLabelValues(operation, "error").Inc()
	}
}

func orNothing(text string) string {
	if text == "" {
		return nothing
	}
	return text
}

func methodOf(m principal.Method) string { return orNothing(string(m)) }

// classOf is the class of a status, as "2xx".
func classOf(status int) string {
	if status < 100 || status > 599 {
		return nothing // the connection was cut before there was one
	}
	return strconv.Itoa(status/100) + "xx"
}

// info is a metric that is always 1 and says something by its label.
type info struct {
	desc *prometheus.Desc
	text func() string
}

// Describe implements prometheus.Collector.
func (i *info) Describe(to chan<- *prometheus.Desc) { to <- i.desc }

// Collect implements prometheus.Collector.
func (i *info) Collect(to chan<- prometheus.Metric) {
	metric, err := prometheus.NewConstMetric(i.desc, prometheus.GaugeValue, 1, i.text())
	if err != nil {
		metric = prometheus.NewInvalidMetric(i.desc, err)
	}
	to <- metric
}

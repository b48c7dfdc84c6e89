package service

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// metrics are what a process counts, in a registry of its own. Values of labels are names of ours:
// no owner, and no text of a client. They are safe for concurrent use.
type metrics struct {
	registry *prometheus.Registry

	database *scylla.Metrics
	ingest   *ingest.Metrics
	closing  *closing.Metrics
	bus      *bus.Metrics
	claims   *claims.ConsumerMetrics
	consume  *consume.Metrics

	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics() (*metrics, error) {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		database: scylla.NewMetrics(), ingest: ingest.NewMetrics(), closing: closing.NewMetrics(), bus: bus.NewMetrics(),
		claims: claims.NewConsumerMetrics(), consume: consume.NewMetrics(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pin_billing_requests_total", Help: "Counts the requests of the API that were answered, by the class of the status.",
		}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pin_billing_request_duration_seconds", Help: "How long requests of the API took until they were answered.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
	}
	var problems []error
	for _, one := range []prometheus.Collector{
		m.database, m.ingest, m.closing, m.bus, m.claims, m.consume, m.requests, m.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		problems = append(problems, m.registry.Register(one))
	}
	return m, errors.Join(problems...)
}

// observe counts a request of the API.
func (m *metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

package claims

import "github.com/prometheus/client_golang/prometheus"

// PublisherMetrics are those of the Publishers of a process, for Prometheus. A nil
// *PublisherMetrics measures nothing.
type PublisherMetrics struct {
	published, failures, malformed prometheus.Counter
}

// NewPublisherMetrics returns metrics that are zero.
func NewPublisherMetrics() *PublisherMetrics {
	return &PublisherMetrics{
		published: counter("published_total", "Counts the events of claims that the stream has acknowledged, each as often as it was told."),
		failures:  counter("publish_failures_total", "Counts how often events of claims could not be published, or it was seen before that they could not. They are told later."),
		malformed: counter("unpublishable_total", "Counts the events of claims that cannot be told and were passed over. There are none unless there is a bug."),
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "ipfscluster_events_claims_" + name, Help: help})
}

// Describe implements prometheus.Collector.
func (m *PublisherMetrics) Describe(to chan<- *prometheus.Desc) { describe(to, m.all()) }

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *PublisherMetrics) Collect(to chan<- prometheus.Metric) { collect(to, m.all()) }

func (m *PublisherMetrics) all() []prometheus.Collector {
	if m == nil {
		return nil
	}
	return []prometheus.Collector{m.published, m.failures, m.malformed}
}

func (m *PublisherMetrics) told() {
	if m != nil {
		m.published.Inc()
	}
}

func (m *PublisherMetrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}

func (m *PublisherMetrics) passedOver() {
	if m != nil {
		m.malformed.Inc()
	}
}

// ConsumerMetrics are those of the Consumers of a process, for Prometheus. A nil
// *ConsumerMetrics measures nothing.
type ConsumerMetrics struct {
	handled, malformed, again, failures prometheus.Counter
	waiting                             prometheus.Gauge
}

// NewConsumerMetrics returns metrics that are zero.
func NewConsumerMetrics() *ConsumerMetrics {
	return &ConsumerMetrics{
		handled:   counter("handled_total", "Counts the messages of the stream of claims that the handlers of this process have handled, malformed ones among them."),
		malformed: counter("malformed_total", "Counts the messages of the stream of claims that were no event that this process knows, each time they were delivered."),
		again:     counter("redelivered_total", "Counts the messages of the stream of claims that were delivered before, to any process, and not acknowledged."),
		failures:  counter("handler_failures_total", "Counts the batches of claims that a handler has failed to handle. They are delivered again."),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ipfscluster_events_claims_waiting",
			Help: "The number of messages of the stream of claims that were not delivered to any process yet, when this one was given some last.",
		}),
	}
}

// Describe implements prometheus.Collector.
func (m *ConsumerMetrics) Describe(to chan<- *prometheus.Desc) { describe(to, m.all()) }

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *ConsumerMetrics) Collect(to chan<- prometheus.Metric) { collect(to, m.all()) }

func (m *ConsumerMetrics) all() []prometheus.Collector {
	if m == nil {
		return nil
	}
	return []prometheus.Collector{m.handled, m.malformed, m.again, m.failures, m.waiting}
}

// delivered counts what a process was given.
func (m *ConsumerMetrics) delivered(batch []Delivery, waiting uint64) {
	if m == nil {
		return
	}
	m.waiting.Set(float64(waiting))
	for i := range batch {
		if batch[i].Err != nil {
			m.malformed.Inc()
		}
		if batch[i].Delivered > 1 {
			m.again.Inc()
		}
	}
}

// ended counts what came of it.
func (m *ConsumerMetrics) ended(batch []Delivery, err error) {
	switch {
	case m == nil:
	case err != nil:
		m.failures.Inc()
	default:
		m.handled.Add(float64(len(batch)))
	}
}

func describe(to chan<- *prometheus.Desc, all []prometheus.Collector) {
	for _, c := range all {
		c.Describe(to)
	}
}

func collect(to chan<- prometheus.Metric, all []prometheus.Collector) {
	for _, c := range all {
		c.Collect(to)
	}
}

package scylla

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the sessions that are given it ask of the database and how it
// serves them: the requests of Read, Rows, Write, WriteAll, WriteLogged, CAS and Scan,
// of which each page of Rows and of Scan is one. What sessions ask for themselves, as
// for clocks and the schema, is not counted. It is a prometheus.Collector, which says
// what is in memory and asks nobody. It is safe for concurrent use. A nil one counts
// nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	cas      *prometheus.CounterVec
	retries  *prometheus.CounterVec
	givenUp  *prometheus.CounterVec
	failures *prometheus.CounterVec
	traces   *prometheus.CounterVec
	cut      prometheus.Counter
	shed     prometheus.Counter

	statements texts
	// ok are the counters of attempts that worked, nil until one has.
	ok       [kinds][consistencies][lastAttempt]atomic.Pointer[prometheus.Counter]
	again    [outcomes]prometheus.Counter
	left     [reasons]prometheus.Counter
	inFlight atomic.Int64
	gauges   gauges

	mu       sync.Mutex
	sessions map[*DB]bool
}

const (
	// consistencies is how many levels there are.
	consistencies = int(gocql.LocalOne) + 1
	// lastAttempt is from which attempt on they are counted as one.
	lastAttempt = 3
)

// NewMetrics makes metrics that are all zero.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		requests: counter("cql_client_requests_total",
			"Requests to the database that have ended, each with all its attempts, by what became of them. A page of rows is one.", "statement", "outcome"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cql_client_request_duration_seconds", Help: "How long requests to the database took with all their attempts, those left out whose caller has left.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"statement"}),
		attempts: counter("cql_client_attempts_total",
			"Attempts of requests to the database, by what became of them and the code of the server's error.", "kind", "consistency", "attempt", "result", "code"),
		cas: counter("cql_client_cas_total",
			"Conditional updates that were sent, by what became of them. Unknown may have been applied, which their maker finds out by reading.", "statement", "result"),
		retries: counter("cql_client_retries_total",
			"Attempts that were made again at another node, by how the attempt before ended.", "reason"),
		givenUp: counter("cql_client_given_up_total",
			"Reads and plain writes that have failed for good, by why they were not sent once more.", "reason"),
		failures: counter("cql_client_connection_failures_total",
			"Connections to a node that could not be made, its handshake included.", "host"),
		traces: counter("cql_client_server_traces_total",
			"Attempts that a server was asked to trace, by what became of its events: fetched, missing if the server did not write them in time, dropped if too many waited, failed if they could not be read.", "result"),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cql_client_cut_connections_total", Help: "Connections that were closed from here as their node did not answer.",
		}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cql_client_overloaded_total", Help: "Attempts that a server refused because of load: it was overloaded, or a partition had too many.",
		}),
		gauges:   newGauges(),
		sessions: make(map[*DB]bool),
	}
	m.statements.make = m.seriesOf
	for o := timeout; o < canceled; o++ { // the others are not sent again
		m.again[o] = m.retries.WithLabelValues(o.String())
	}
	for r := range reasons {
		m.left[r] = m.givenUp.WithLabelValues(r.String())
	}
	for k := range kinds {
		m.attempts.WithLabelValues(k.String(), gocql.Quorum.String(), "1", worked.String(), noCode)
	}
	for _, result := range []string{traceFetched, traceMissing, traceDropped, traceFailed} {
		m.traces.WithLabelValues(result)
	}
	return m
}

// seriesOf makes the series of a statement, all zero.
func (m *Metrics) seriesOf(label string, conditional bool) *series {
	s := &series{took: m.took.WithLabelValues(label)}
	for o := range outcomes {
		s.requests[o] = m.requests.WithLabelValues(label, o.String())
	}
	for r := range casResults {
		if conditional || label == otherStatement {
			s.cas[r] = m.cas.WithLabelValues(label, r.String())
		}
	}
	return s
}

// know has the series of statements from now on.
func (m *Metrics) know(texts []string) {
	if m == nil {
		return
	}
	for _, text := range texts {
		m.statements.of(statementKey{text: text})
	}
}

// begun counts a request that begins.
func (m *Metrics) begun(c *call) {
	if m == nil {
		return
	}
	m.inFlight.Add(1)
	c.series = m.statements.of(c.key())
}

// attempted counts an attempt that has ended.
func (m *Metrics) attempted(c *call, err error) {
	if m == nil {
		return
	}
	n := min(c.attempts, lastAttempt)
	result := outcomeOf(err)
	if result == worked && int(c.cons) < consistencies {
		counter := &m.ok[c.kind][c.cons][n-1]
		found := counter.Load()
		if found == nil {
			made := m.attempts.WithLabelValues(c.kind.String(), c.cons.String(), attemptLabel(n), worked.String(), noCode)
			found = &made
			counter.Store(found)
		}
		(*found).Inc()
		return
	}
	m.attempts.WithLabelValues(c.kind.String(), c.cons.String(), attemptLabel(n), result.String(), codeOf(err)).Inc()
	if result == overloaded {
		m.shed.Inc()
	}
}

func attemptLabel(n int) string {
	if n < lastAttempt {
		return strconv.Itoa(n)
	}
	return strconv.Itoa(lastAttempt) + "+"
}

// repeated counts that a request is sent again after err.
func (m *Metrics) repeated(err error) {
	if m == nil {
		return
	}
	if counter := m.again[outcomeOf(err)]; counter != nil {
		counter.Inc()
	}
}

// gaveUp counts a request that is not sent again.
func (m *Metrics) gaveUp(why givenUp) {
	if m != nil {
		m.left[why].Inc()
	}
}

// ended counts a request.
func (m *Metrics) ended(c *call, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.inFlight.Add(-1)
	o := outcomeOf(err)
	c.series.requests[o].Inc()
	if o != canceled {
		c.series.took.Observe(took.Seconds())
	}
}

// decided counts a conditional update.
func (m *Metrics) decided(c *call, done bool, err error) {
	if m == nil {
		return
	}
	if counter := c.series.cas[casResultOf(done, err)]; counter != nil {
		counter.Inc()
	}
}

// connected counts a connection to a host that was made, or was not.
func (m *Metrics) connected(host *gocql.HostInfo, err error) {
	if m == nil || host == nil {
		return
	}
	counter := m.failures.WithLabelValues(addressOf(host))
	if err != nil {
		counter.Inc()
	}
}

// cutOff counts connections that were closed from here.
func (m *Metrics) cutOff(n int) {
	if m != nil {
		m.cut.Add(float64(n))
	}
}

// traced counts what became of a trace.
func (m *Metrics) traced(result string) {
	if m != nil {
		m.traces.WithLabelValues(result).Inc()
	}
}

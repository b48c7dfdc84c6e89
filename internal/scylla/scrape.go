package scylla

import (
	"math"
	"net"
	"strconv"

	"github.com/gocql/gocql"
	"github.com/prometheus/client_golang/prometheus"
)

// gauges are the metrics that are read from the open sessions when they are asked for.
type gauges struct {
	inFlight, connections, hosts, serving, skew, info *prometheus.Desc
}

func newGauges() gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return gauges{
		inFlight:    desc("cql_client_in_flight", "Requests to the database that are under way."),
		connections: desc("cql_client_connections", "Connections to a node that are open, by its shard, which is 0 without shards, and any where the node chose it.", "host", "shard"),
		hosts:       desc("cql_client_hosts", "Nodes of the local data centre: up, down, and suspect if one is up and has let a request wait in vain.", "state"),
		serving:     desc("cql_client_serving", "1 while the database serves requests, 0 from the first that was given up until none has failed for ten seconds, and before the first connection."),
		skew:        desc("cql_client_clock_skew_seconds", "How far the clock of this machine is ahead of the database's, by the last measurement; negative if it is behind."),
		info:        desc("cql_client_info", "1 for each database that this process is connected to, and what it is.", "engine", "version", "dialect", "keyspace", "local_dc"),
	}
}

// collectors are the metrics that are counted.
func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.took, m.attempts, m.cas, m.retries, m.givenUp, m.failures, m.traces, m.cut, m.shed}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	if m == nil {
		return
	}
	for _, c := range m.collectors() {
		c.Describe(to)
	}
	g := m.gauges
	for _, desc := range []*prometheus.Desc{g.inFlight, g.connections, g.hosts, g.serving, g.skew, g.info} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	for _, c := range m.collectors() {
		c.Collect(to)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metric, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, value, labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		to <- metric
	}
	gauge(m.gauges.inFlight, float64(m.inFlight.Load()))
	open := make(map[shardAt]int)
	states := map[string]int{hostUp: 0, hostDown: 0, hostSuspect: 0}
	serving, skew := len(m.sessions) > 0, 0.0
	infos := make(map[[5]string]bool)
	for db := range m.sessions {
		db.countConnections(open)
		db.countHosts(states)
		serving = serving && !db.outage.on.Load()
		if of := db.skew.seconds(); math.Abs(of) > math.Abs(skew) {
			skew = of
		}
		infos[db.info()] = true
	}
	for at, n := range open {
		gauge(m.gauges.connections, float64(n), at.host, at.shard)
	}
	for state, n := range states {
		gauge(m.gauges.hosts, float64(n), state)
	}
	gauge(m.gauges.serving, map[bool]float64{true: 1}[serving])
	gauge(m.gauges.skew, skew)
	for info := range infos {
		gauge(m.gauges.info, 1, info[:]...)
	}
}

// watch has the gauges speak of a session too.
func (m *Metrics) watch(db *DB) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[db] = true
}

// leave ends that.
func (m *Metrics) leave(db *DB) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, db)
}

// info are the values of the labels of cql_client_info.
func (db *DB) info() [5]string {
	return [5]string{string(db.Dialect.Engine), db.Dialect.Version, db.Dialect.String(), db.Keyspace, db.LocalDC}
}

// The states of a host.
const (
	hostUp      = "up"
	hostDown    = "down"
	hostSuspect = "suspect"
)

// countHosts counts the nodes of the local data centre by their state.
func (db *DB) countHosts(states map[string]int) {
	for _, h := range db.localNodes() {
		switch {
		case !h.IsUp():
			states[hostDown]++
		case db.health.isSilent(h.HostID()):
			states[hostSuspect]++
		default:
			states[hostUp]++
		}
	}
}

// shardAt is a shard of a host.
type shardAt struct{ host, shard string }

// anyShard stands for the shard of a connection that the node has chosen it for.
const anyShard = "any"

// countConnections counts the open connections. Each shard of each node of the local
// data centre has a number, if only zero.
func (db *DB) countConnections(open map[shardAt]int) {
	shards := make(map[string]int)
	for _, h := range db.localNodes() {
		host, n := addressOf(h), max(1, h.ScyllaShardCount())
		shards[host] = n
		for shard := range n {
			open[shardAt{host, strconv.Itoa(shard)}] += 0
		}
	}
	db.dialer.each(func(c *connection) {
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil {
			return
		}
		open[shardAt{host, c.shardOf(shards[host])}]++
	})
}

// shardOf is the shard of a connection to a node that has so many.
func (c *connection) shardOf(shards int) string {
	switch {
	case shards <= 1:
		return "0"
	case c.source == 0:
		return anyShard
	}
	return strconv.Itoa(int(c.source) % shards)
}

// addressOf is the address of a host, without a port.
func addressOf(host *gocql.HostInfo) string {
	address, _, err := net.SplitHostPort(host.ConnectAddressAndPort())
	if err != nil {
		return "unknown"
	}
	return address
}

package ingest

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
)

// counter is one of what Metrics count.
type counter int

const (
	received counter = iota
	written
	late
	unsized
	sized
	suspense
	counters
)

// Metrics count what is done with events, for Prometheus: the sums of those who were given them.
// A nil *Metrics counts nothing.
type Metrics struct {
	counts [counters]atomic.Uint64
	aside  map[claim.Reason]*atomic.Uint64
	all    []prometheus.Collector
}

// NewMetrics returns metrics that are all zero.
func NewMetrics() *Metrics {
	m := &Metrics{aside: make(map[claim.Reason]*atomic.Uint64)}
	for of, c := range map[counter]struct{ name, help string }{
		received: {"events_total", "Counts the events of claims that this process was given, also those that came again."},
		written:  {"facts_total", "Counts the facts that this process has written, also those that were there."},
		late:     {"late_total", "Counts the days of owners that have got facts after their close had begun."},
		unsized:  {"unsized_total", "Counts how often a claim was entered among those without a size."},
		sized:    {"sized_total", "Counts how often a claim was removed from those without a size, as it has got one."},
		suspense: {"suspense_total", "Counts the events of claims that name no owner. They are counted for nobody, and billed to nobody."},
	} {
		m.count(c.name, c.help, nil, &m.counts[of])
	}
	for _, reason := range reasons() {
		m.aside[reason] = new(atomic.Uint64)
		m.count("quarantined_total", "Counts what was put into the quarantine, by the reason, also what is there already.",
			prometheus.Labels{"reason": string(reason)}, m.aside[reason])
	}
	return m
}

func (m *Metrics) count(name, help string, labels prometheus.Labels, of *atomic.Uint64) {
	m.all = append(m.all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "billing_ingest_" + name, Help: help, ConstLabels: labels},
		func() float64 { return float64(of.Load()) }))
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

func (m *Metrics) add(what counter, n int) {
	if m != nil {
		m.counts[what].Add(uint64(n))
	}
}

func (m *Metrics) putAside(why claim.Reason) {
	if m != nil && m.aside[why] != nil {
		m.aside[why].Add(1)
	}
}

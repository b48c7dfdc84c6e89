package service

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/tracing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/instrumented"
)

// tracedAfterSlow is how many requests with the statement of a slow one the servers are asked
// to trace: the slow one cannot be traced any more.
const tracedAfterSlow = 3

// counts are the metrics of a peer whose pinset is in the database.
type counts struct {
	operations *instrumented.Metrics
	store      *scyllastate.Metrics
	peer       *peer.Metrics
	bus        *bus.Metrics
	relay      *relay.Metrics
}

func newCounts() *counts {
	return &counts{
		operations: instrumented.NewMetrics(), store: scyllastate.NewMetrics(), peer: peer.NewMetrics(),
		bus: bus.NewMetrics(), relay: relay.NewMetrics(),
	}
}

// collectors are those of the parts that the peer has: it counts no events if it has none.
func (c *counts) collectors(events bool) []prometheus.Collector {
	all := []prometheus.Collector{c.operations, c.store, c.peer}
	if events {
		all = append(all, c.bus, c.relay)
	}
	return all
}

// measure makes the metrics of the peer and has the store measured, before that is opened.
func (p *clusterPeer) measure() error {
	p.counts = newCounts()
	if err := p.register(p.counts.collectors(p.cfg.events != nil)...); err != nil {
		return err
	}
	conf, watched := p.cfg.scylla, p.cfg.admin
	conf.Metrics, conf.SlowQuery, conf.Waiting = p.counts.store, watched.SlowQuery, p.admin.starting.waiting
	if watched.Tracing.Endpoint != "" {
		conf.Trace = scylla.Tracing{
			Of: tracing.Sampled, Ratio: watched.Tracing.ServerSampleRatio, AfterSlow: tracedAfterSlow,
			To: func(ctx context.Context, t scylla.ServerTrace) { tracing.AddServerTrace(ctx, t) },
		}
	}
	return nil
}

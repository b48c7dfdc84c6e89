package service

import (
	"errors"
	"fmt"

	ocprometheus "contrib.go.opencensus.io/exporter/prometheus"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opencensus.io/stats/view"
)

// register adds to the metrics that this process tells, on our listener and on upstream's,
// until the peer is closed. In a process with several peers, as in tests, the first one
// tells.
func (p *clusterPeer) register(all ...prometheus.Collector) error {
	for _, c := range all {
		err := observations.PromRegistry.Register(c)
		if errors.As(err, &prometheus.AlreadyRegisteredError{}) {
			continue
		}
		if err != nil {
			return fmt.Errorf("setting up metrics: %w", err)
		}
		p.closeLater(func() error {
			observations.PromRegistry.Unregister(c)
			return nil
		})
	}
	return nil
}

// processMetrics has the metrics of Go, of the process and of upstream, if upstream's
// enable_stats does not put them into its registry.
func processMetrics(cfg *observations.MetricsConfig) (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	if cfg.EnableStats {
		return registry, nil
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	if _, err := ocprometheus.NewExporter(ocprometheus.Options{
		Namespace: "ipfscluster", Registry: registry,
		OnError: func(err error) { logger.Debugf("a metric of upstream cannot be told: %s", err) },
	}); err != nil {
		return nil, err
	}
	return registry, view.Register(observations.DefaultViews...)
}

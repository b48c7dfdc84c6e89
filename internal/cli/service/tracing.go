package service

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/observations"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/tracing"
)

// tracingClosing is how long the last spans may take to be sent.
const tracingClosing = 2 * time.Second

// setupTracing lets all parts of the peer make spans, if a configuration or the flag asks for
// that, and sends them to the collector of our configuration if there is one. Nothing waits
// for it.
func (p *clusterPeer) setupTracing(ctx context.Context, flag bool) error {
	conf := p.cfg.admin.Tracing
	if conf.Endpoint == "" {
		p.cfg.SetupTracing(flag)
		return nil
	}
	upstreams := &p.cfg.Configs().Tracing.EnableTracing
	asked := *upstreams
	p.cfg.SetupTracing(true)
	*upstreams = asked // it may be saved
	if asked || flag {
		logger.Warnf("spans go to %s, as observations.admin.tracing says, and none to the Jaeger agent of observations.tracing", conf.Endpoint)
	}
	tracer, err := tracing.Start(ctx, tracing.Config{
		Endpoint: conf.Endpoint, Insecure: conf.Insecure, CAFile: p.cfg.admin.Resolve(conf.CAFile), HeadersFile: p.cfg.admin.Resolve(conf.HeadersFile),
		SampleRatio: conf.SampleRatio, Resource: p.resource(),
		Failed: func(err error) { logger.Warnf("spans are not sent to %s: %s", conf.Endpoint, err) },
	})
	if err != nil {
		return fmt.Errorf("observations.admin.tracing: %w", err)
	}
	p.closeLater(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), tracingClosing)
		defer cancel()
		return tracer.Shutdown(ctx)
	})
	logger.Infof("spans of %.4g %% of the requests are sent to %s", 100*conf.SampleRatio, conf.Endpoint)
	return nil
}

// resource says whose spans these are.
func (p *clusterPeer) resource() map[string]string {
	out := map[string]string{
		"service.name": programName, "service.version": cmdline.ModuleVersion(), "service.instance.id": p.cfg.Identity().ID.String(),
		"ipfscluster.peername": p.cfg.Configs().Cluster.Peername, "ipfscluster.role": string(p.role),
	}
	if p.cfg.backend == backendScylla {
		out["ipfscluster.cluster"], out["db.namespace"] = p.cfg.scylla.ClusterName, p.cfg.scylla.Keyspace
	}
	return out
}

// jaeger is the configuration of upstream's exporter, which is off where ours is on: it would
// get nothing.
func (p *clusterPeer) jaeger() *observations.TracingConfig {
	cfg := *p.cfg.Configs().Tracing
	if p.cfg.admin.Tracing.Endpoint != "" {
		cfg.EnableTracing = false
	}
	return &cfg
}

package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// openAudit opens where records are kept.
func (g *Gateway) openAudit(ctx context.Context, db *scylla.DB) (*audit.Recorder, error) {
	writer, err := g.config.AuditWriter()
	if err != nil {
		return nil, err
	}
	records, err := OpenRecords(ctx, db, g.config, g.files, writer, func(err error) {
		g.metrics.checkpoints.Inc()
		logger.Errorf("a checkpoint of the audit log could not be written or copied: %s", err)
	})
	if err != nil {
		return nil, err
	}
	g.closeLater(func(context.Context) error { return records.Close() })
	for _, name := range records.Names {
		g.metrics.keptBy(name)
	}
	recorder, err := audit.NewRecorder(audit.RecorderOptions{
		Sinks: records.Sinks,
		SinkFailed: func(sink int, err error) {
			g.metrics.sinks.WithLabelValues(records.Names[sink]).Inc()
			logger.Errorf("an audit record could not be written: %s", err)
		},
	})
	if err != nil {
		return nil, err
	}
	g.closeLater(func(context.Context) error { recorder.Wait(); return nil })
	return recorder, nil
}

// openPolicies reads the policies.
func (g *Gateway) openPolicies() (*authz.Authorizer, error) {
	options := authz.Options{WithoutRoles: g.config.Policies.WithoutRoles}
	if folder := g.config.Policies.Folder; folder != "" {
		options.Own = authz.Folder(g.config.Resolve(folder))
	}
	policies, err := authz.New(options)
	if err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	return policies, nil
}

// begin begins what works beside the requests, until the gateway is closed.
func (g *Gateway) begin(a *access, recorder *audit.Recorder, policies *authz.Authorizer, worker *pins.Worker, p *peer) {
	ctx, stop := context.WithCancel(context.Background())
	g.working, g.stop = ctx, stop
	g.running.Go(func() {
		recorder.Run(ctx, func(err error) { logger.Errorf("counts of refused credentials are not on record: %s", err) })
	})
	g.running.Go(func() {
		policies.Watch(ctx, time.Duration(g.config.Policies.ReloadEvery), func(version string, err error) {
			if err != nil {
				g.metrics.policies.Inc()
				logger.Errorf("the policies were not taken, those before go on: %s", err)
				return
			}
			logger.Infof("the policies have the version %s now", version)
		})
	})
	g.running.Go(func() {
		if err := worker.Run(ctx); err != nil && ctx.Err() == nil {
			logger.Errorf("pins are not worked on any more: %s", err)
		}
	})
	g.running.Go(func() { p.learn(ctx) })
	if a.keys != nil {
		g.running.Go(func() { a.keys.Run(ctx) })
	}
	if g.events != nil {
		g.running.Go(func() { g.events.follow(ctx, worker) })
		g.running.Go(func() { g.events.prepare(ctx) })
	}
}

package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
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
	if len(g.config.Events.URLs) > 0 {
		g.running.Go(func() { g.follow(ctx, worker) })
	}
}

// followPause is between two tries to read the events.
const followPause = 5 * time.Second

// follow has the worker look at CIDs of which events tell, until ctx ends. Events only make
// it quicker: what they do not tell of is looked at by time.
func (g *Gateway) follow(ctx context.Context, worker *pins.Worker) {
	said := ""
	for {
		err := g.tail(ctx, worker)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != said:
			said = err.Error()
			logger.Warnf("events are not received, statuses are asked for by time: %s", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followPause):
		}
	}
}

func (g *Gateway) tail(ctx context.Context, worker *pins.Worker) error {
	conf := g.config.Events
	b, err := bus.Connect(bus.Config{
		URLs: conf.URLs, Name: "pin-gateway " + g.config.Name, Cluster: conf.Cluster, Prefix: conf.Prefix,
		CredentialsFile: g.config.Resolve(conf.CredentialsFile), NKeyFile: g.config.Resolve(conf.NKeyFile),
		TLS: bus.TLS{CAFile: g.config.Resolve(conf.CAFile), CertFile: g.config.Resolve(conf.CertFile), KeyFile: g.config.Resolve(conf.KeyFile)},
	})
	if err != nil {
		return err
	}
	defer func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		if err := b.Close(limited); err != nil {
			logger.Debugf("closing the connection to NATS: %s", err)
		}
	}()
	return consume.Tail(ctx, b, time.Time{}, func(e events.Event, _ []byte, err error) bool {
		switch {
		case err != nil:
		case e.Pin != nil:
			worker.Touch(e.Pin.Cid)
		case e.Status != nil:
			worker.Sized(e.Status.Cid, e.Status.Size)
		}
		return true
	})
}

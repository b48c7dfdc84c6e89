package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	logging "github.com/ipfs/go-log/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

const (
	// readyEvery is how often it is looked whether the peer is ready, for the metric.
	readyEvery = 5 * time.Second
	// kuboFresh and schemaFresh are how long an answer of another process counts.
	kuboFresh   = 10 * time.Second
	schemaFresh = time.Minute
)

// admin is what the daemon tells those who run it.
type admin struct {
	ready adminhttp.Readiness
	// starting is what the peer is at until started is set, and waits for until the cluster
	// is ready.
	starting starting
	// started is set when all parts of the peer are there.
	started atomic.Pointer[startedPeer]
}

// startedPeer is a peer all parts of which are there.
type startedPeer struct {
	cluster *ipfscluster.Cluster
	ipfs    ipfscluster.IPFSConnector
}

// openAdmin begins to tell, before the peer waits for anything. Until watch is called
// the peer is not ready.
func (p *clusterPeer) openAdmin(ctx context.Context) (*admin, error) {
	a := &admin{}
	a.ready.Add(adminhttp.Check{Name: "peer", Run: a.running})
	if err := p.register(buildInfo(), readyGauge(&a.ready)); err != nil {
		return nil, err
	}
	if p.cfg.admin.Listen != "" {
		if err := p.listenAdmin(ctx, a); err != nil {
			return nil, err
		}
	}
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.ready.Watch(watching, readyEvery)
	}()
	p.closeLater(func() error {
		stop()
		<-done
		return nil
	})
	return a, nil
}

func (p *clusterPeer) listenAdmin(ctx context.Context, a *admin) error {
	own, err := processMetrics(p.cfg.Configs().Metrics)
	if err != nil {
		return fmt.Errorf("setting up metrics: %w", err)
	}
	recent := keepRecent(p.secrets)
	p.closeLater(recent.close)
	server, err := adminhttp.Listen(ctx, adminhttp.Options{
		Listen: p.cfg.admin.Listen, Setting: "observations.admin.listen",
		Gatherer: prometheus.Gatherers{observations.PromRegistry, own}, Readiness: &a.ready,
		More:     map[string]http.Handler{"/debug/log": recent},
		Warn:     func(text string) { logger.Warn(text) },
		Failed:   func(err error) { logger.Errorf("metrics and readiness are not told any more: %s", err) },
		ErrorLog: slog.NewLogLogger(logging.SlogHandler(), slog.LevelDebug),
	})
	if err != nil {
		return err
	}
	p.closeLater(func() error {
		if err := server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("closing the listener for metrics: %w", err)
		}
		return nil
	})
	logger.Infof("metrics and readiness are told on http://%s", server.Addr())
	return nil
}

// running returns nil while the parts of the peer are there and ready.
func (a *admin) running(ctx context.Context) error {
	peer := a.started.Load()
	if peer == nil {
		return a.starting.why()
	}
	select {
	case <-peer.cluster.Done():
		return errors.New("the peer is ending")
	default:
	}
	select {
	case <-peer.cluster.Ready():
		return nil
	default:
	}
	select {
	case <-peer.ipfs.Ready(ctx):
		return errors.New("the consensus is not ready yet")
	default:
		return a.starting.why() // for IPFS
	}
}

// watch looks from now on at all that a peer needs.
func (a *admin) watch(p *clusterPeer, connector ipfscluster.IPFSConnector) {
	var checks []adminhttp.Check
	if p.shared != nil {
		checks = append(checks,
			adminhttp.Check{Name: "database", Run: func(context.Context) error { return p.store.Serving() }},
			adminhttp.Check{Name: "schema", Fresh: schemaFresh, Run: p.store.CheckSchema},
			adminhttp.Check{Name: "heartbeat", Run: func(context.Context) error { return p.shared.Seen() }},
		)
	}
	if p.role != role.API {
		checks = append(checks, adminhttp.Check{Name: "ipfs", Fresh: kuboFresh, Run: func(ctx context.Context) error {
			_, err := connector.ID(ctx)
			return err
		}})
	}
	if p.bus != nil {
		// Without NATS everything works, and events are told later.
		checks = append(checks, adminhttp.Check{Name: "nats", Reported: true, Run: func(context.Context) error { return p.bus.Err() }})
	}
	a.ready.Add(checks...)
	a.starting.begin("waiting for the IPFS daemon")
	a.started.Store(&startedPeer{p.cluster, connector})
}

// readyGauge says whether the peer is ready.
func readyGauge(ready *adminhttp.Readiness) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ipfscluster_ready",
		Help: "1 while the peer can do its work, by what /readyz looks at, and 0 while it cannot. It is looked at every 5 seconds.",
	}, func() float64 {
		if ready.Last() {
			return 1
		}
		return 0
	})
}

// buildInfo says what is running.
func buildInfo() prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ipfscluster_build_info", Help: "Always 1, with the version of this program and the revision of the code that it was built from.",
		ConstLabels: prometheus.Labels{"version": cmdline.ModuleVersion(), "revision": revision},
	}, func() float64 { return 1 })
}

package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	logging "github.com/ipfs/go-log/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var logger = logging.Logger("billing")

const (
	// closeTimeout is how long what is closed may take.
	closeTimeout = 10 * time.Second
	// pause is between two tries of what has ended by itself.
	pause = 15 * time.Second
)

// Service is billing in one process. It is safe for concurrent use.
type Service struct {
	config  config.Config
	files   config.Files
	metrics *metrics
	now     func() time.Time
	holder  string // of leases

	db       *scylla.DB
	store    *ledger.Store
	bus      *bus.Bus
	ingest   *ingest.Ingest
	consumer *claims.Consumer
	sizes    *consume.Consumer // nil if sizes are not read
	closer   *closing.Closer
	handler  http.Handler

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens the database and begins to work. Now is the clock, time.Now if it is nil. The caller
// closes the Service.
func Open(ctx context.Context, cfg config.Config, files config.Files, now func() time.Time) (_ *Service, err error) {
	if now == nil {
		now = time.Now
	}
	s := &Service{config: cfg, files: files, now: now, holder: scylla.Process() + " " + uuid.NewString(), stop: func() {}}
	if s.metrics, err = newMetrics(); err != nil {
		return nil, fmt.Errorf("making metrics: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.db, err = keyspace.Open(ctx, cfg.Database, s.metrics.database); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	s.store = ledger.New(ctx, s.db)
	if s.ingest, err = ingest.New(ingest.Options{Store: s.store, Policy: cfg.Claims.Policy(), Metrics: s.metrics.ingest}); err != nil {
		return nil, err
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if s.closer, err = closing.New(s.closing()); err != nil {
		return nil, err
	}
	if err := s.serve(); err != nil {
		return nil, err
	}
	s.begin()
	return s, nil
}

// connect makes what consumes events. It asks no server.
func (s *Service) connect() (err error) {
	if s.bus, err = Connect(s.config, s.metrics.bus); err != nil {
		return err
	}
	s.consumer, err = claims.New(claims.Options{Bus: s.bus, Name: s.config.Events.Consumer, Handler: s.ingest.Claims, Metrics: s.metrics.claims})
	if err != nil || !s.config.Events.Sizes {
		return err
	}
	s.sizes, err = consume.New(consume.Options{
		Bus: s.bus, Name: sizesName(s.config), State: s.store.Consumers(), Handler: s.ingest.Sized, Metrics: s.metrics.consume,
	})
	return err
}

// sizesName is the name under which sizes are read.
func sizesName(cfg config.Config) string { return cfg.Events.Consumer + "-sizes" }

// Connect connects to NATS as a configuration says.
func Connect(cfg config.Config, metrics *bus.Metrics) (*bus.Bus, error) {
	e := cfg.Events
	b, err := bus.Connect(bus.Config{
		URLs: e.URLs, Name: "pin-billing", Cluster: e.Cluster, Prefix: e.Prefix, Metrics: metrics,
		CredentialsFile: cfg.Resolve(e.CredentialsFile), NKeyFile: cfg.Resolve(e.NKeyFile),
		TLS: bus.TLS{CAFile: cfg.Resolve(e.CAFile), CertFile: cfg.Resolve(e.CertFile), KeyFile: cfg.Resolve(e.KeyFile)},
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return b, nil
}

// closing is how days are closed.
func (s *Service) closing() closing.Options {
	opts := Closing(s.config, s.store, s.db)
	opts.Metrics, opts.Now = s.metrics.closing, s.now
	opts.Watermarks = Watermarks(s.config, s.store, s.consumer.Lag, s.now)
	return opts
}

// Watermarks say until when all is counted, by a configuration.
func Watermarks(cfg config.Config, store *ledger.Store, lag func(context.Context) (claims.Lag, error), now func() time.Time) []closing.Watermark {
	all := []closing.Watermark{closing.OfClaims(lag, now)}
	if cfg.Events.Sizes {
		all = append(all, closing.OfEvents(store.Consumers(), sizesName(cfg)))
	}
	return all
}

// Closing is how days are closed by a configuration, without watermarks.
func Closing(cfg config.Config, store *ledger.Store, leases closing.Leases) closing.Options {
	return closing.Options{
		Store: store, Leases: leases, First: cfg.Claims.Since, Grace: time.Duration(cfg.Close.Grace), Window: time.Duration(cfg.Close.Window),
		Every: time.Duration(cfg.Close.Every), Parallel: cfg.Close.Parallel,
	}
}

// serve makes what answers requests.
func (s *Service) serve() error {
	conf := api.Config{
		Token: s.files.Token, OperatorToken: s.files.OperatorToken, Ledger: s.store, Policy: s.config.Claims.Policy(),
		Usage: NewUsage(s.store, s.config.Claims.Since, s.now), Status: s.Status, Observe: s.metrics.observe, Now: s.now,
	}
	if s.files.Book != nil && s.config.Plans.Default != "" {
		prices, err := NewPrices(s.files.Book, s.config.Plans.Default)
		if err != nil {
			return err
		}
		conf.Prices = prices
	}
	a, err := api.New(conf)
	if err != nil {
		return err
	}
	s.handler = a
	return nil
}

// begin begins what works in the background.
func (s *Service) begin() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.keep(ctx, "events of claims are not counted", s.consumer.Run)
	if s.sizes != nil {
		s.keep(ctx, "sizes of pins are not read", s.sizes.Run)
	}
	s.keep(ctx, "days are not closed", s.closer.Run)
	if s.config.Gateway.URL != "" {
		s.keep(ctx, "nothing is compared with the gateway", s.reconcileEvery)
	}
}

// keep runs something until ctx ends, and again when it has ended by itself.
func (s *Service) keep(ctx context.Context, without string, run func(context.Context) error) {
	s.running.Go(func() {
		for {
			err := run(ctx)
			if ctx.Err() != nil {
				return
			}
			logger.Errorf("%s, and that is tried again in %s: %s", without, pause, err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	})
}

// Handler answers the requests of the gateway and of operators.
func (s *Service) Handler() http.Handler { return s.handler }

// Metrics are those of this process.
func (s *Service) Metrics() prometheus.Gatherer { return s.metrics.registry }

// Ready returns nil while the database serves requests.
func (s *Service) Ready(ctx context.Context) error { return s.db.Check(ctx) }

// Connected returns nil while there is a connection to NATS. Without it nothing new is counted, and
// everything else goes on.
func (s *Service) Connected(context.Context) error { return s.bus.Err() }

// Status says how far billing is.
func (s *Service) Status(ctx context.Context) (api.Status, error) {
	last, err := s.closer.Last(ctx)
	if err != nil {
		return api.Status{}, err
	}
	status := api.Status{ClosedUntil: beginOf(last + 1)}
	lag, err := s.consumer.Lag(ctx)
	if err != nil {
		status.Problem = err.Error()
		return status, nil
	}
	status.Waiting, status.Oldest = lag.Waiting, lag.Oldest
	return status, nil
}

// Close ends what Open began, when no request is answered any more.
func (s *Service) Close() error {
	s.stop()
	s.running.Wait()
	var err error
	if s.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		err = s.bus.Close(ctx)
	}
	if s.db != nil {
		s.db.Close()
	}
	return err
}

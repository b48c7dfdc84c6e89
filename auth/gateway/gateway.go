package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/admin"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/native"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/psa"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var logger = logging.Logger("gateway")

// closing is how long what was begun may take to end.
const closing = 10 * time.Second

// Gateway is what one process has of the gateway. It is safe for concurrent use.
type Gateway struct {
	config  config.Config
	files   config.Files
	metrics *metrics
	db      *scylla.DB
	handler http.Handler
	events  *eventStreams // nil without NATS

	working context.Context //nolint:containedctx // of what works beside the requests
	stop    context.CancelFunc
	running sync.WaitGroup
	closers []func(context.Context) error // the last one first
}

// Open connects to the database, whose tables it makes or checks, and begins to work. It
// waits for the database until ctx ends; peers, issuers and NATS need not be there. Close
// ends it.
func Open(ctx context.Context, conf config.Config, files config.Files) (_ *Gateway, err error) {
	g := &Gateway{config: conf, files: files, stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.metrics, err = newMetrics(); err != nil {
		return nil, fmt.Errorf("making metrics: %w", err)
	}
	db, err := keyspace.Open(ctx, conf.Database, g.metrics.database)
	if err != nil {
		return nil, fmt.Errorf("opening the gateway's keyspace: %w", err)
	}
	g.db = db
	g.closeLater(func(context.Context) error { db.Close(); return nil })
	store := accounts.NewStore(ctx, db)
	tenants, err := accounts.NewTenants(store, recent.Config{})
	if err != nil {
		return nil, err
	}
	peer, err := newPeer(conf, g.metrics.asked)
	if err != nil {
		return nil, err
	}
	g.closeLater(func(context.Context) error { peer.client.Close(); return nil })
	if err := g.openEvents(); err != nil {
		return nil, err
	}
	requests := pins.New(pins.Config{DB: db, Quota: quotas(tenants), MaxRepl: conf.Pins.Most(), Claims: g.claims()})
	g.closeLater(requests.Close)
	recorder, err := g.openAudit(ctx, db)
	if err != nil {
		return nil, err
	}
	access, err := newAccess(conf, files, store, tenants)
	if err != nil {
		return nil, err
	}
	policies, err := g.openPolicies()
	if err != nil {
		return nil, err
	}
	usage, err := newUsage(tenants, requests)
	if err != nil {
		return nil, err
	}
	doorConf := door.Config{
		Authenticator: access.authenticator, Decider: policies, Recorder: recorder, Tenants: usage, RecordReads: conf.Audit.RecordReads,
		Observe: g.metrics.observe,
	}
	if err := setLimits(&doorConf, conf, tenants); err != nil {
		return nil, err
	}
	d, err := door.New(doorConf)
	if err != nil {
		return nil, err
	}
	if g.handler, err = g.newHandler(d, access, requests, peer, policies); err != nil {
		return nil, err
	}
	worker := pins.NewWorker(requests, peer, pins.WorkerConfig{DefaultMin: conf.Pins.ReplMin, DefaultMax: conf.Pins.ReplMax})
	if err := g.metrics.watch(func() string { return policies.Set().Version() }, worker.Stats); err != nil {
		return nil, fmt.Errorf("making metrics: %w", err)
	}
	g.begin(access, recorder, policies, worker, peer)
	counter := newRecounter(db, access.accounts, requests, worker)
	g.running.Go(func() { counter.run(g.working) })
	return g, nil
}

// Handler answers the requests of clients.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Metrics are those of this process. They are for those who run the gateway.
func (g *Gateway) Metrics() prometheus.Gatherer { return g.metrics.registry }

// Ready returns nil while the database serves requests: without it no request of a client can
// be answered. Peers and NATS need not be there.
func (g *Gateway) Ready(ctx context.Context) error { return g.db.Check(ctx) }

// Close ends what Open began, when no request is answered any more.
func (g *Gateway) Close() error {
	g.stop()
	g.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	var problems []error
	for i := len(g.closers) - 1; i >= 0; i-- {
		problems = append(problems, g.closers[i](ctx))
	}
	g.closers = nil
	return errors.Join(problems...)
}

func (g *Gateway) closeLater(f func(context.Context) error) { g.closers = append(g.closers, f) }

// newHandler leads requests to the API of the beginning of their path.
func (g *Gateway) newHandler(d *door.Door, access *access, requests *pins.Service, peer *peer, policies *authz.Authorizer) (http.Handler, error) {
	pinning, err := d.Handler(psa.New(psa.Config{Pins: requests, Delegates: peer.delegates}))
	if err != nil {
		return nil, err
	}
	cluster, err := d.Handler(native.New(native.Config{Pins: requests, Peer: peer.client, MaxAddBytes: g.config.Limits.MaxAddBytes}))
	if err != nil {
		return nil, err
	}
	manage, err := d.Handler(admin.New(admin.Config{
		Accounts: access.accounts, Policies: policies, Usage: used{requests}, Claims: claimed{requests}, RequireExpiry: g.config.APIKeys.RequireExpiry,
	}))
	if err != nil {
		return nil, err
	}
	pages, err := access.pages(g.config, requests)
	if err != nil {
		return nil, err
	}
	login, err := access.login(d, g.config, g.files, pages)
	if err != nil {
		return nil, err
	}
	ui, err := d.Handler(pages.API())
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/psa/"):
			below("/psa", pinning).ServeHTTP(w, r)
		case strings.HasPrefix(path, "/api/v1/"):
			below("/api/v1", pinning).ServeHTTP(w, r)
		case strings.HasPrefix(path, "/cluster/"):
			below("/cluster", cluster).ServeHTTP(w, r)
		case strings.HasPrefix(path, "/admin/"), path == "/keys", strings.HasPrefix(path, "/keys/"):
			manage.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/auth/") && login != nil:
			login.ServeHTTP(w, r)
		case login != nil && (path == "/" || path == "/ui" || path == "/ui/"):
			http.Redirect(w, r, web.Home, http.StatusSeeOther)
		case strings.HasPrefix(path, "/ui/") && login != nil:
			ui.ServeHTTP(w, r)
		default:
			door.ProblemJSON(w, door.Missing(), "")
		}
	}), nil
}

// below serves what is below a prefix of ours. A path with an escape keeps it, and no
// route has one.
func below(prefix string, handler http.Handler) http.Handler {
	return http.StripPrefix(prefix, handler)
}

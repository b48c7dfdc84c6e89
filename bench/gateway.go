package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/gateway"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// addedBound is the promise for what the gateway adds at the 99th percentile, on an idle
	// machine at 1,000 requests a second.
	addedBound = 5 * time.Millisecond
	// pageBound is the promise for the ratio of a page of many pins to one of few.
	pageBound = 1.2

	benchTenant = "tenant"
	getPath     = "/psa/pins/"
)

// doors are gateways on one keyspace, what passes them, and a handler that asks for the
// same without one.
type doors struct {
	db       *scylla.DB
	requests *pins.Service
	ids      []string
	usual    *gateway.Gateway
	recorded *gateway.Gateway // that has reads on record, too
	key, jwt string

	closers []func() error // the last one first
}

// measureGateway measures what the gateway adds to a request for a pin, and what pages of a
// tenant with many pins take beside one with few.
func measureGateway(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	d, err := openDoors(ctx, srv)
	if d != nil {
		defer func() { err = errors.Join(err, d.close()) }()
	}
	if err != nil {
		return nil, err
	}
	tables, err = d.measureAdded(ctx, set)
	if err != nil {
		return nil, err
	}
	pages, err := measurePages(ctx, d.db, set)
	return append(tables, pages), err
}

func (d *doors) close() (err error) {
	for i := len(d.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, d.closers[i]())
	}
	return err
}

func (d *doors) later(f func() error) { d.closers = append(d.closers, f) }

// openDoors may return something to close beside an error.
func openDoors(ctx context.Context, srv *server) (*doors, error) {
	d := &doors{}
	folder, err := os.MkdirTemp("", "bench-gateway-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for audit records: %w", err)
	}
	d.later(func() error { return os.RemoveAll(folder) })
	issuer, err := newIssuer()
	if err != nil {
		return d, err
	}
	d.later(issuer.close)
	// No peer answers: what is measured needs none.
	peer, err := newSite(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	if err != nil {
		return d, err
	}
	d.later(peer.close)

	conf := config.Default()
	conf.Environment, conf.Folder = config.Test, folder
	conf.Database.Hosts, conf.Database.Port, conf.Database.Keyspace = srv.Hosts(), srv.Port(), srv.newKeyspace()
	conf.Peers.URLs = []string{peer.url}
	conf.Issuers = []config.Issuer{issuer.trusted()}
	conf.APIKeys.Peppers = []config.Pepper{{Version: 1, File: "pepper-1"}}
	conf.Audit = config.Audit{Folder: "audit", KeyFile: "audit.pem", Writer: "bench"}
	every := config.Rate{PerSecond: 1e6, Burst: 1e6} // counted, and nobody is held up
	conf.Limits.Principal, conf.Limits.Tenant, conf.Limits.Failures = every, every, every
	if err := conf.Validate(); err != nil {
		return d, fmt.Errorf("the configuration of the gateway: %w", err)
	}
	files := config.Files{}
	if _, files.AuditKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return d, fmt.Errorf("making a key: %w", err)
	}
	peppers, err := apikey.NewPeppers(1, map[int][]byte{1: []byte(rand.Text() + rand.Text())})
	if err != nil {
		return d, err
	}
	files.Peppers = &peppers
	if err := d.open(ctx, conf, files); err != nil {
		return d, err
	}
	d.jwt, err = issuer.token(benchTenant)
	return d, err
}

// open opens the gateways, and makes a tenant with a key and pins.
func (d *doors) open(ctx context.Context, conf config.Config, files config.Files) (err error) {
	if d.db, err = keyspace.Open(ctx, conf.Database, nil); err != nil {
		return err
	}
	d.later(func() error { d.db.Close(); return nil })
	service, err := accounts.NewService(accounts.Config{Store: accounts.NewStore(ctx, d.db), Env: conf.Environment, Peppers: *files.Peppers})
	if err != nil {
		return err
	}
	// The quota is far away, and what is used of it is part of each decision.
	if _, err := service.CreateTenant(ctx, accounts.Tenant{ID: benchTenant, MaxPins: 1e9}); err != nil {
		return err
	}
	_, token, err := service.CreateKey(ctx, apikey.Grant{
		Owner: "alice", Tenant: benchTenant, Roles: []string{"viewer"}, Scopes: []string{"pins:read"}, Expires: time.Now().Add(24 * time.Hour), CreatedBy: "bench",
	})
	if err != nil {
		return err
	}
	d.key = token.Text()
	d.requests = pins.New(pins.Config{DB: d.db})
	d.later(func() error { return d.requests.Close(context.WithoutCancel(ctx)) })
	for i := range 200 {
		s, err := newSample("gateway", i)
		if err != nil {
			return err
		}
		made, err := d.requests.Create(ctx, pins.NewRequest{Tenant: benchTenant, Owner: "alice", CID: s.pin.Cid.String(), Name: fmt.Sprintf("photo %d.jpg", i)})
		if err != nil {
			return err
		}
		d.ids = append(d.ids, made.ID)
	}
	for _, one := range []struct {
		to     **gateway.Gateway
		folder string
		reads  bool
	}{{&d.usual, "audit", false}, {&d.recorded, "audit-of-reads", true}} {
		conf.Audit.Folder, conf.Audit.RecordReads = one.folder, one.reads
		g, err := gateway.Open(ctx, conf, files)
		if err != nil {
			return err
		}
		*one.to = g
		d.later(g.Close)
	}
	return nil
}

// bare answers what the gateway answers, to everybody.
func (d *doors) bare() http.Handler {
	type pin struct {
		CID  string `json:"cid"`
		Name string `json:"name"`
	}
	type status struct {
		RequestID string    `json:"requestid"`
		Status    string    `json:"status"`
		Created   time.Time `json:"created"`
		Pin       pin       `json:"pin"`
		Delegates []string  `json:"delegates"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := d.requests.Get(r.Context(), benchTenant, strings.TrimPrefix(r.URL.Path, getPath))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		door.WriteJSON(w, http.StatusOK, "application/json", status{found.ID, string(found.Status), found.Created, pin{found.CID, found.Name}, found.Delegates})
	})
}

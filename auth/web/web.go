package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

const (
	// Home is the page that one begins with.
	Home = "/ui/pins"
	// Login is the page for who is not logged in.
	Login = "/ui/login"
)

// Pins are the requests of all tenants. pins.Service is.
type Pins interface {
	Create(ctx context.Context, n pins.NewRequest) (pins.Request, error)
	Get(ctx context.Context, tenant, id string) (pins.Request, error)
	List(ctx context.Context, tenant string, q pins.Query) (pins.Page, error)
	Remove(ctx context.Context, tenant, id string) error
}

// Keys are the API keys of all tenants. accounts.Service has them.
type Keys interface {
	CreateKey(ctx context.Context, grant apikey.Grant) (apikey.Key, apikey.Token, error)
	Key(ctx context.Context, tenant, id string) (apikey.Key, error)
	ListKeys(ctx context.Context, tenant, after string, limit int) (accounts.Page[accounts.ListedKey], error)
	RevokeKey(ctx context.Context, tenant, id string) error
	RotateKey(ctx context.Context, tenant, id string, overlap time.Duration, by string) (apikey.Key, apikey.Token, error)
}

// Config is what the pages need.
type Config struct {
	// Gateway is the public URL, without a slash at the end.
	Gateway string
	Pins    Pins
	// Keys may be nil: then there are none, and no pages about them.
	Keys Keys
	// Issuers are the URLs of those at which one logs in, in the order in which they are
	// shown.
	Issuers []string
	// Wallet offers the login with a wallet.
	Wallet bool
}

// Pages answers the routes of routes.Web. Safe for concurrent use.
type Pages struct {
	config Config
	look   look
	now    func() time.Time
}

// New returns the pages.
func New(config Config) (*Pages, error) {
	if config.Gateway == "" || config.Pins == nil {
		return nil, errors.New("pages need the URL of the gateway, and pins")
	}
	l, err := newLook()
	if err != nil {
		return nil, err
	}
	return &Pages{config: config, look: l, now: time.Now}, nil
}

// API returns the pages as a door serves them.
func (p *Pages) API() door.API {
	return door.API{
		Name:  "web",
		Table: routes.Web(),
		Form:  p.failed,
		Serve: map[string]door.Serve{
			"LoginPage": p.login, "Style": p.file(styleFile), "Script": p.file(scriptFile),
			"PinsPage": p.pins, "AddPin": p.addPin, "RemovePinPage": p.askRemovePin, "RemovePin": p.removePin,
			"KeysPage": p.withKeys(p.keys), "CreateKey": p.withKeys(p.createKey),
			"RevokeKeyPage": p.withKeys(p.askRevokeKey), "RevokeKey": p.withKeys(p.revokeKey),
			"RotateKeyPage": p.withKeys(p.askRotateKey), "RotateKey": p.withKeys(p.rotateKey),
		},
	}
}

// withKeys serves a page about keys, if there are keys.
func (p *Pages) withKeys(serve door.Serve) door.Serve {
	if p.config.Keys == nil {
		return func(http.ResponseWriter, *door.Call) error { return door.Missing() }
	}
	return serve
}

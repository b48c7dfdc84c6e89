package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/did"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/forwarded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/limits"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
)

const (
	// cookie is the name of the cookie with a session.
	cookie = "__Host-pin-session"
	// maxSigned bounds the body of a request that is signed, in bytes.
	maxSigned = 1 << 20
	// issuerTimeout bounds a request to an issuer.
	issuerTimeout = 5 * time.Second
)

// access is who may come, and how they show who they are.
type access struct {
	authenticator *authn.Authenticator
	store         *accounts.Store
	keys          *apikey.Verifier  // nil if there are none
	sessions      *session.Sessions // nil if there are none
	tokens        *jwt.Verifier     // nil if there are no issuers
	owners        *authn.Owners
	// accounts is what administrators, and principals for themselves, change it with.
	accounts *accounts.Service
}

// newAccess returns what the configuration lets pass.
func newAccess(conf config.Config, files config.Files, store *accounts.Store, tenants *accounts.Tenants) (*access, error) {
	a := &access{store: store}
	denied, err := denylist.New(store, 0)
	if err != nil {
		return nil, err
	}
	if a.owners, err = authn.NewOwners(store, recent.Config{}); err != nil {
		return nil, err
	}
	proxies := forwarded.Proxies(conf.Proxies())
	kinds := authn.Config{Realm: conf.Realm, Owners: a.owners, Address: proxies.Address}
	if len(conf.Issuers) > 0 {
		issuers, err := conf.TrustedIssuers()
		if err != nil {
			return nil, err
		}
		if a.tokens, err = jwt.New(issuers, &http.Client{Timeout: issuerTimeout}, denied); err != nil {
			return nil, err
		}
		kinds.Tokens = a.tokens
	}
	if files.Peppers != nil {
		a.keys, err = apikey.NewVerifier(apikey.Config{
			Env: conf.Environment, Peppers: *files.Peppers, Store: store, RequireExpiry: conf.APIKeys.RequireExpiry,
			Failed: func(id string, err error) {
				logger.Debugf("when the API key %s was used is not on record: %s", id, err)
			},
		})
		if err != nil {
			return nil, err
		}
		kinds.Keys = a.keys
	}
	if len(files.SessionKeys) > 0 {
		a.sessions, err = session.New(session.Config{
			Gateway: conf.PublicURL, Lifetime: time.Duration(conf.Sessions.Lifetime), Keys: files.SessionKeys, Denylist: denied,
		})
		if err != nil {
			return nil, err
		}
		kinds.Sessions, kinds.Cookie = a.sessions, cookie
	}
	if conf.DID.Enabled {
		if kinds.Signatures, err = did.NewSignatures(conf.PublicURL, store, maxSigned); err != nil {
			return nil, err
		}
	}
	if a.authenticator, err = authn.New(kinds); err != nil {
		return nil, fmt.Errorf("who may come: %w", err)
	}
	forget := accounts.Forget{Tenant: tenants.Forget, Credential: a.owners.Forget, Revocation: denied.Forget}
	service := accounts.Config{Store: store, Env: conf.Environment}
	if files.Peppers != nil {
		service.Peppers, forget.Key = *files.Peppers, a.keys.Forget
	}
	service.Forget = forget
	a.accounts, err = accounts.NewService(service)
	return a, err
}

// login returns what exchanges proofs for sessions, nil if there are no sessions.
// The pages are what browsers see of logins.
func (a *access) login(d *door.Door, conf config.Config, files config.Files, pages *web.Pages) (http.Handler, error) {
	if a.sessions == nil {
		return nil, nil //nolint:nilnil // no logins
	}
	attempts, err := newRates(conf.Limits.Failures)
	if err != nil {
		return nil, err
	}
	options := login.Config{
		Door: d, Gateway: conf.PublicURL, Sessions: a.sessions, Revocations: revocations{a.accounts}, Cookie: cookie, Attempts: attempts, Owners: a.owners,
		Home: web.Login, Page: pages.LoginFailed,
	}
	if conf.DID.Enabled {
		if options.DID, err = did.NewLogin(conf.PublicURL, a.store.DIDNonces()); err != nil {
			return nil, err
		}
	}
	if conf.SIWE.Enabled {
		if options.SIWE, err = siwe.NewLogin(conf.PublicURL, conf.SIWE.Chains, a.store.WalletNonces()); err != nil {
			return nil, err
		}
	}
	if options.OIDC, err = a.oidc(conf, files); err != nil {
		return nil, err
	}
	logins, err := login.New(options)
	if err != nil {
		return nil, err
	}
	return logins.Handler(), nil
}

// oidc returns the login of browsers at issuers, nil if they log in at none.
func (a *access) oidc(conf config.Config, files config.Files) (*login.OIDC, error) {
	trusted, err := conf.TrustedIssuers()
	if err != nil {
		return nil, err
	}
	var providers []login.Provider
	for i, issuer := range conf.Issuers {
		if issuer.LoginClient != "" {
			providers = append(providers, login.Provider{
				Issuer: trusted[i], ClientID: issuer.LoginClient, ClientSecret: files.LoginSecrets[i], Scopes: issuer.LoginScopes, Audience: issuer.LoginAudience,
			})
		}
	}
	if len(providers) == 0 {
		return nil, nil //nolint:nilnil // no such logins
	}
	return login.NewOIDC(conf.PublicURL, providers, a.tokens, a.owners, a.store.LoginStates(), &http.Client{Timeout: issuerTimeout})
}

// pages returns the pages for people.
func (a *access) pages(conf config.Config, requests *pins.Service) (*web.Pages, error) {
	options := web.Config{Gateway: conf.PublicURL, Pins: requests, Wallet: conf.SIWE.Enabled}
	if a.keys != nil {
		options.Keys = a.accounts
	}
	for _, issuer := range conf.Issuers {
		if issuer.LoginClient != "" {
			options.Issuers = append(options.Issuers, issuer.URL)
		}
	}
	return web.New(options)
}

// revocations ends sessions in the database, and at once in this process.
type revocations struct{ accounts *accounts.Service }

// Revoke implements login.Revocations.
func (r revocations) Revoke(ctx context.Context, key string, until time.Time) error {
	return r.accounts.Revoke(ctx, key, until, "logout")
}

// setLimits sets how often something may be asked, and whence that is.
func setLimits(d *door.Config, conf config.Config, tenants *accounts.Tenants) error {
	proxies := forwarded.Proxies(conf.Proxies())
	d.Address, d.TLS = proxies.Address, proxies.TLS
	principals, err := newRates(conf.Limits.Principal)
	if err != nil {
		return err
	}
	others, err := newRates(conf.Limits.Tenant)
	if err != nil {
		return err
	}
	d.Principals = principals
	if d.PerTenant, err = newPerTenant(tenants, others); err != nil {
		return err
	}
	if d.Failures, err = newRates(conf.Limits.Failures); err != nil {
		return err
	}
	return nil
}

// newRates returns nil for a rate without a limit.
func newRates(r config.Rate) (door.Rates, error) {
	if r.PerSecond == 0 {
		return nil, nil //nolint:nilnil // no limit
	}
	return limits.NewRates(limits.RatesConfig{PerSecond: r.PerSecond, Burst: r.Burst})
}

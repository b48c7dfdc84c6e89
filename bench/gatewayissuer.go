package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// site is an HTTP server on a port of its own.
type site struct {
	url    string
	server *http.Server
	ended  chan error
}

func newSite(handler http.Handler) (*site, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	l := &site{"http://" + listener.Addr().String(), &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}, make(chan error, 1)}
	go func() { l.ended <- l.server.Serve(listener) }()
	return l, nil
}

func (l *site) close() error {
	err := l.server.Close()
	if served := <-l.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// issuer signs tokens as an OIDC provider does.
type issuer struct {
	*site
	signer jose.Signer
}

const (
	benchKey      = "key-1"
	benchAudience = "pinning-api"
)

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: benchKey, Algorithm: string(jose.RS256), Use: "sig"}}})
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: benchKey}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("making a signer: %w", err)
	}
	l, err := newSite(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys) // who does not get it asks again
	}))
	return &issuer{l, signer}, err
}

// trusted is how a gateway is told of the issuer.
func (i *issuer) trusted() config.Issuer {
	return config.Issuer{
		URL: i.url, Audiences: []string{benchAudience}, TenantClaim: "tenant", Tenants: []string{benchTenant},
		RolesClaims: []string{"/realm_access/roles"}, ScopesClaims: []string{"scope"}, JWKSURL: i.url + "/keys", AllowHTTP: true,
	}
}

// token has what one of Keycloak has.
func (i *issuer) token(tenant string) (string, error) {
	now := time.Now()
	text, err := jwt.Signed(i.signer).Claims(map[string]any{
		"iss": i.url, "aud": benchAudience, "azp": benchAudience, "typ": "Bearer", "sub": "8a6f4e0e-6f0e-4a51-9a3b-2c1f0a7d9b11", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(12 * time.Hour).Unix(), "tenant": tenant, "realm_access": map[string]any{"roles": []string{"viewer"}}, "scope": "pins:read",
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return text, nil
}

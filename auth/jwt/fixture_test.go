package jwt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// issuer is one that publishes keys, as a handler and, where time is not to pass on the
// way, as a transport.
type issuer struct {
	url string

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	down    bool
	hang    bool
	hung    int                                           // requests while hang is set
	replace func(http.ResponseWriter, *http.Request) bool // answers in place of the issuer
	fetches int                                           // of the key set
}

func (i *issuer) publish(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/jwks") {
		i.fetches++
	}
	switch {
	case i.down:
		w.WriteHeader(http.StatusBadGateway)
	case i.replace != nil && i.replace(w, r):
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		_, _ = w.Write(must(json.Marshal(map[string]string{"issuer": i.url, "jwks_uri": strings.TrimSuffix(i.url, "/") + "/jwks"})))
	case strings.HasSuffix(r.URL.Path, "/jwks"):
		_, _ = w.Write(must(json.Marshal(jose.JSONWebKeySet{Keys: i.keys})))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	hang := i.hang
	if hang {
		i.hung++
	}
	i.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}

func (i *issuer) client() *http.Client { return &http.Client{Transport: i} }

// keys for tests, made once.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

// keycloak is an issuer of the shape of Keycloak, and how it is configured.
func keycloak(url string) Issuer {
	return Issuer{
		URL: url, Audiences: []string{"pinning-api"}, Algorithms: []string{"RS256", "ES256"},
		Tenant: Path{"tenant"}, Tenants: []string{"t1", "t2"},
		Roles: []Path{{"realm_access", "roles"}}, Groups: []Path{{"groups"}}, Scopes: []Path{{"scope"}},
	}
}

// keycloakClaims are the claims of an access token of Keycloak.
func keycloakClaims(url string, now time.Time) map[string]any {
	return map[string]any{
		"iss": url, "aud": "pinning-api", "azp": "pinning-api", "typ": "Bearer", "sub": "8a6f", "sid": "s-1", "jti": "jti-1",
		"exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "tenant": "t1",
		"realm_access": map[string]any{"roles": []string{"pin-user", "pin-admin"}}, "groups": []string{"/ops"}, "scope": "pins:read pins:create",
	}
}

// auth0 is an issuer of the shape of Auth0.
func auth0(url string) Issuer {
	return Issuer{
		URL: url, Audiences: []string{"https://pins.example.com/"}, Algorithms: []string{"RS256"},
		Tenant: Path{"https://pins.example.com/tenant"}, Tenants: []string{"t3"},
		Roles: []Path{{"https://pins.example.com/roles"}}, Scopes: []Path{{"scope"}, {"permissions"}},
	}
}

func auth0Claims(url string, now time.Time) map[string]any {
	return map[string]any{
		"iss": url, "aud": []string{"https://pins.example.com/", url + "userinfo"}, "azp": "abc", "sub": "auth0|123",
		"exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "scope": "openid profile", "permissions": []string{"pins:create"},
		"https://pins.example.com/tenant": "t3", "https://pins.example.com/roles": []string{"pin-user"},
	}
}

// draft is a token before it is signed.
type draft struct {
	header  map[string]any
	claims  map[string]any
	payload string // in place of claims
	key     any    // crypto.Signer, or bytes for HMAC
}

func (d draft) sign() string {
	payload := d.payload
	if payload == "" {
		payload = string(must(json.Marshal(d.claims)))
	}
	input := encode(string(must(json.Marshal(d.header)))) + "." + encode(payload)
	return input + "." + encode(string(signature(d.key, input)))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// with returns a copy in which a claim has another value, or is gone if that is nil.
func (d draft) with(name string, value any) draft {
	d.claims = maps.Clone(d.claims)
	if d.claims[name] = value; value == nil {
		delete(d.claims, name)
	}
	return d
}

// head is with for the header.
func (d draft) head(name string, value any) draft {
	d.header = maps.Clone(d.header)
	if d.header[name] = value; value == nil {
		delete(d.header, name)
	}
	return d
}

func (d draft) by(key any) draft { d.key = key; return d }

func draftOf(claims map[string]any) draft {
	return draft{header: map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims: claims, key: rsaKey()}
}

// denylist refuses by jti.
type denylist struct {
	ids   []string
	err   error
	asked []principal.Token
}

func (d *denylist) Denied(_ context.Context, token principal.Token) (bool, error) {
	d.asked = append(d.asked, token)
	for _, id := range d.ids {
		if id == token.ID {
			return true, nil
		}
	}
	return false, d.err
}

// outcome tells what came of a token: "", or what the client is told, or "unavailable".
func outcome(t *testing.T, err error) string {
	t.Helper()
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Details
	case errors.As(err, &unavailable):
		if unavailable.RetryAfter < time.Second {
			t.Errorf("to be tried again after %v", unavailable.RetryAfter)
		}
		return "unavailable"
	}
	t.Errorf("%v is of no kind", err)
	return "?"
}

package login_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
)

const (
	clientID     = "pinning-web"
	clientSecret = "s3cr3t +&"
)

// issuer is an OIDC issuer at which everybody is logged in: it knows the authorization code
// flow with PKCE, and is strict about it.
type issuer struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	down    map[string]bool // by path
	codes   map[string]url.Values
	asked   url.Values                      // what was last asked of /authorize
	spoil   func(id, access map[string]any) // changes claims before they are signed
	key     *rsa.PrivateKey                 // signs ID tokens
	methods []string                        // by which clients show who they are
	fetched map[string]int                  // by path
	answer  func(http.ResponseWriter) bool  // answers in place of /token
}

var (
	issuerKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t, down: make(map[string]bool), codes: make(map[string]url.Values), key: issuerKey(), fetched: make(map[string]int)}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL + "/realms/ipfs"
	return i
}

func (i *issuer) configured() jwt.Issuer {
	return jwt.Issuer{
		URL: i.url, Audiences: []string{"pinning-api"}, Algorithms: []string{"RS256"}, Clients: []string{clientID}, AllowHTTP: true,
		Tenant: jwt.Path{"tenant"}, Tenants: []string{"t1", "t2"}, Roles: []jwt.Path{{"realm_access", "roles"}},
	}
}

func (i *issuer) provider() login.Provider {
	return login.Provider{Issuer: i.configured(), ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"profile"}, Audience: "pinning-api"}
}

func (i *issuer) change(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/realms/ipfs")
	i.fetched[path]++
	switch {
	case i.down[path]:
		http.Error(w, "the issuer is down", http.StatusBadGateway)
	case path == "/.well-known/openid-configuration":
		write(w, http.StatusOK, map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks",
			"token_endpoint_auth_methods_supported": i.methods,
		})
	case path == "/jwks":
		write(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: issuerKey().Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}})
	case path == "/authorize":
		i.authorize(w, r)
	case path == "/token" && (i.answer == nil || !i.answer(w)):
		i.token(w, r)
	}
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(must(json.Marshal(value)))
}

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i.asked = q
	for name, want := range map[string]string{"client_id": clientID, "response_type": "code", "code_challenge_method": "S256", "scope": "openid profile", "audience": "pinning-api"} {
		if q.Get(name) != want {
			i.t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	code := rand.Text()
	i.codes[code] = q
	back := url.Values{"code": {code}, "state": q["state"], "iss": {i.url}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if i.methods != nil {
		id, secret, ok = r.PostFormValue("client_id"), url.QueryEscape(r.PostFormValue("client_secret")), true
	}
	if !ok || id != clientID || secret != url.QueryEscape(clientSecret) {
		write(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	asked, ok := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "a secret: " + r.PostFormValue("code")})
		return
	}
	now := time.Now()
	common := map[string]any{"iss": i.url, "sub": "8a6f", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "azp": clientID}
	access, idToken := maps.Clone(common), maps.Clone(common)
	maps.Copy(access, map[string]any{
		"aud": "pinning-api", "typ": "Bearer", "jti": rand.Text(), "tenant": "t1", "realm_access": map[string]any{"roles": []string{"pin-user"}},
	})
	maps.Copy(idToken, map[string]any{"aud": clientID, "nonce": asked.Get("nonce")})
	if i.spoil != nil {
		i.spoil(idToken, access)
	}
	accessToken := sign(issuerKey(), access)
	if idToken["at_hash"] == nil {
		half := sha256.Sum256([]byte(accessToken))
		idToken["at_hash"] = base64.RawURLEncoding.EncodeToString(half[:16])
	}
	write(w, http.StatusOK, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 300, "id_token": sign(i.key, idToken)})
}

func sign(key *rsa.PrivateKey, claims map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options))
	return must(must(signer.Sign(must(json.Marshal(claims)))).CompactSerialize())
}

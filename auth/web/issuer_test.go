package web_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1 "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/sha3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
)

// issuer is an OIDC issuer at which everybody is alice. The tests of auth/login have one that
// is strict.
type issuer struct {
	url   string
	key   *rsa.PrivateKey
	mu    sync.Mutex
	codes map[string]url.Values
}

func newIssuer(tb testing.TB) *issuer {
	i := &issuer{key: must(rsa.GenerateKey(rand.Reader, 2048)), codes: make(map[string]url.Values)}
	server := httptest.NewServer(i)
	tb.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) configured() jwt.Issuer {
	return jwt.Issuer{
		URL: i.url, Audiences: []string{"pins"}, Algorithms: []string{"RS256"}, AllowHTTP: true,
		Tenant: jwt.Path{"tenant"}, Tenants: []string{"acme"}, Roles: []jwt.Path{{"roles"}}, Scopes: []jwt.Path{{"scope"}},
	}
}

func (i *issuer) provider() login.Provider {
	return login.Provider{Issuer: i.configured(), ClientID: "pinning-web", ClientSecret: "secret"}
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		write(w, map[string]any{"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks"})
	case "/jwks":
		write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}})
	case "/authorize":
		code := rand.Text()
		i.codes[code] = r.URL.Query()
		http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": r.URL.Query()["state"]}.Encode(), http.StatusFound)
	case "/token":
		asked := i.codes[r.PostFormValue("code")]
		common := map[string]any{"iss": i.url, "sub": "8a6f", "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
		access, id := maps.Clone(common), maps.Clone(common)
		maps.Copy(access, map[string]any{"aud": "pins", "jti": rand.Text(), "tenant": "acme", "roles": []string{"user"}, "scope": "*"})
		maps.Copy(id, map[string]any{"aud": "pinning-web", "nonce": asked.Get("nonce")})
		write(w, map[string]any{"access_token": i.sign(access), "token_type": "Bearer", "id_token": i.sign(id)})
	}
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(must(json.Marshal(value)))
}

func (i *issuer) sign(claims map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key}, options))
	return must(must(signer.Sign(must(json.Marshal(claims)))).CompactSerialize())
}

// wallet is an account of Ethereum.
type wallet struct {
	key     *secp256k1.PrivateKey
	address string
}

func keccak(text []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(text)
	return h.Sum(nil)
}

func newWallet() wallet {
	key := must(secp256k1.GeneratePrivateKey())
	digits := []byte(hex.EncodeToString(keccak(key.PubKey().SerializeUncompressed()[1:])[12:]))
	sum := hex.EncodeToString(keccak(digits))
	for i, c := range digits {
		if c >= 'a' && sum[i] >= '8' {
			digits[i] = c - 'a' + 'A'
		}
	}
	return wallet{key, "0x" + string(digits)}
}

// sign signs the text of a request, as a program in the browser would.
func (o wallet) sign(w http.ResponseWriter, r *http.Request) {
	text := must(io.ReadAll(r.Body))
	compact := k1.SignCompact(o.key, keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text)), false)
	_, _ = io.WriteString(w, "0x"+hex.EncodeToString(append(compact[1:], compact[0])))
}

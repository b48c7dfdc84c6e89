package login_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1 "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-varint"
	"golang.org/x/crypto/sha3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// keyholder has the key of a DID.
type keyholder struct {
	did, alg string
	sign     func(message []byte) []byte
}

func didOf(code multicodec.Code, raw []byte) string {
	return "did:key:" + must(multibase.Encode(multibase.Base58BTC, append(varint.ToUvarint(uint64(code)), raw...)))
}

func edHolder() keyholder {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(public, err)
	return keyholder{didOf(multicodec.Ed25519Pub, public), "EdDSA", func(message []byte) []byte { return ed25519.Sign(private, message) }}
}

func p256Holder() keyholder {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return keyholder{didOf(multicodec.P256Pub, elliptic.MarshalCompressed(key.Curve, key.X, key.Y)), "ES256", func(message []byte) []byte {
		sum := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		must(r, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}}
}

func k1Holder() keyholder {
	key := must(secp256k1.GeneratePrivateKey())
	return keyholder{didOf(multicodec.Secp256k1Pub, key.PubKey().SerializeCompressed()), "ES256K", func(message []byte) []byte {
		sum := sha256.Sum256(message)
		return k1.SignCompact(key, sum[:], true)[1:]
	}}
}

// reply answers a challenge.
func (k keyholder) reply(challenge answer, t testing.TB) string {
	encode := func(value any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(value))) }
	input := encode(map[string]any{"typ": "did-auth+jwt", "alg": k.alg}) + "." + encode(map[string]any{
		"iss": k.did, "sub": k.did, "aud": challenge.read(t, "aud"), "nonce": challenge.read(t, "nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	return input + "." + base64.RawURLEncoding.EncodeToString(k.sign([]byte(input)))
}

func (w *world) challenge(k keyholder) answer {
	w.t.Helper()
	return w.post("/auth/did/challenge", map[string]string{"did": k.did})
}

func TestDID(t *testing.T) {
	w := newWorld(t)
	for _, k := range []keyholder{edHolder(), p256Holder(), k1Holder()} {
		w.register(k.did)
		challenge := w.challenge(k)
		if challenge.StatusCode != http.StatusOK || challenge.read(t, "aud") != w.url || challenge.read(t, "exp") == "" {
			t.Fatal(challenge.StatusCode, challenge.body)
		}
		jws := k.reply(challenge, t)
		a := w.post("/auth/did/token", map[string]string{"jws": jws})
		var got struct {
			Token   string `json:"access_token"`
			Type    string `json:"token_type"`
			Seconds int    `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.StatusCode != http.StatusOK || got.Type != "Bearer" || got.Seconds < 800 || got.Seconds > 900 {
			t.Fatalf("%s: %d %s, %v", k.alg, a.StatusCode, a.body, err)
		}
		w.wantLogin("login:DIDToken", "alice")
		if p, _ := w.who(got.Token); p.ID != "alice" || p.Tenant != "t1" || p.Via != principal.MethodDID || p.Credential != k.did {
			t.Errorf("%s: the session is of %+v", k.alg, p)
		}
		w.want(w.post("/auth/did/token", map[string]string{"jws": jws}), 401, authn.InvalidToken)
		w.wantFailed(principal.MethodDID, authn.InvalidToken)
	}
}

// TestOneProofOneSession: of many who show the same proof at a time, one gets a session.
func TestOneProofOneSession(t *testing.T) {
	w := newWorld(t)
	k := edHolder()
	w.register(k.did)
	jws := k.reply(w.challenge(k), t)
	statuses := make(chan int, 20)
	var group sync.WaitGroup
	for range cap(statuses) {
		group.Go(func() { statuses <- w.post("/auth/did/token", map[string]string{"jws": jws}).StatusCode })
	}
	group.Wait()
	close(statuses)
	counts := make(map[int]int)
	for status := range statuses {
		counts[status]++
	}
	if counts[200] != 1 || counts[401] != 19 {
		t.Errorf("the answers are %v", counts)
	}
}

func TestDIDRefused(t *testing.T) {
	w := newWorld(t)
	k, other := edHolder(), edHolder()
	w.want(w.challenge(keyholder{did: "did:web:example.com"}), 400, authn.InvalidRequest)
	w.want(w.post("/auth/did/token", map[string]string{"jws": k.reply(w.challenge(k), t)}), 401, authn.InvalidToken) // nobody's
	w.register(k.did)
	w.want(w.post("/auth/did/token", map[string]string{"jws": k.reply(w.challenge(other), t)}), 401, authn.InvalidToken)
	forged := keyholder{k.did, k.alg, other.sign}
	w.want(w.post("/auth/did/token", map[string]string{"jws": forged.reply(w.challenge(k), t)}), 401, authn.InvalidToken)
	w.want(w.post("/auth/did/token", map[string]string{"jws": "a.b"}), 401, authn.InvalidToken)
}

// wallet is an account.
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

func (o wallet) did() string { return "did:pkh:eip155:1:" + o.address }

// says is a text as a wallet shows it (EIP-4361).
func (o wallet) says(gateway, nonce string, expires time.Time) string {
	return fmt.Sprintf("%s wants you to sign in with your Ethereum account:\n%s\n\nSign in to pin.\n\nURI: %s/login\nVersion: 1\nChain ID: 1\nNonce: %s\nIssued At: %s\nExpiration Time: %s",
		strings.TrimPrefix(gateway, "https://"), o.address, gateway, nonce, time.Now().UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339))
}

// proof is the body of a request for a session.
func (o wallet) proof(text string) map[string]any {
	compact := k1.SignCompact(o.key, keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text)), false)
	return map[string]any{"message": text, "signature": "0x" + hex.EncodeToString(append(compact[1:], compact[0]))}
}

func TestSIWE(t *testing.T) {
	w := newWorld(t)
	o := newWallet()
	w.register(o.did())
	nonce := w.get("/auth/siwe/nonce")
	if until, err := time.Parse(time.RFC3339, nonce.read(t, "expires")); err != nil || time.Until(until) < 4*time.Minute {
		t.Fatalf("%s: %v", nonce.body, err)
	}
	wantCookie(t, nonce, "__Host-pin-siwe", http.SameSiteStrictMode)
	expires := time.Now().Add(3 * time.Minute)
	proof := o.proof(o.says(w.url, nonce.read(t, "nonce"), expires))
	a := w.post("/auth/siwe/verify", proof)
	if a.StatusCode != http.StatusOK {
		t.Fatal(a.StatusCode, a.body)
	}
	w.wantLogin("login:SIWEVerify", "alice")
	p, _ := w.who(a.read(t, "access_token"))
	if p.ID != "alice" || p.Via != principal.MethodSIWE || p.Credential != o.did() || p.Expires.After(expires) || time.Until(p.Expires) < 2*time.Minute {
		t.Errorf("the session is of %+v, and the text ends at %v", p, expires)
	}
	if w.cookie("__Host-pin-siwe") != "" {
		t.Error("the browser still has the handle")
	}
	w.want(w.post("/auth/siwe/verify", proof), 401, authn.InvalidToken)
	w.wantFailed(principal.MethodSIWE, authn.InvalidToken)
}

// TestSIWEByCookie: a page has a session that its scripts cannot read.
func TestSIWEByCookie(t *testing.T) {
	w := newWorld(t)
	o := newWallet()
	w.register(o.did())
	proof := o.proof(o.says(w.url, w.get("/auth/siwe/nonce").read(t, "nonce"), time.Now().Add(time.Hour)))
	proof["cookie"] = true
	a := w.post("/auth/siwe/verify", proof)
	wantCookie(t, a, sessionCookie, http.SameSiteLaxMode)
	if a.StatusCode != http.StatusOK || strings.Contains(a.body, "token") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if p, _ := w.who(""); p.ID != "alice" {
		t.Errorf("the browser is %+v", p)
	}
}

// TestSIWEText: a page needs not know how the text to sign is written.
func TestSIWEText(t *testing.T) {
	w := newWorld(t)
	o := newWallet()
	w.register(strings.Replace(o.did(), ":1:", ":10:", 1))
	text := w.get("/auth/siwe/nonce?chain=10&address="+strings.ToLower(o.address)).read(t, "message")
	if a := w.post("/auth/siwe/verify", o.proof(text)); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s, of the text\n%s", a.StatusCode, a.body, text)
	}
	for _, query := range []string{"chain=10", "chain=2&address=" + o.address, "address=" + o.address, "chain=1&address=alice", "chain=1&chain=1&address=" + o.address, "chain=-1&address=" + o.address} {
		w.want(w.get("/auth/siwe/nonce?"+query), 400, authn.InvalidRequest)
	}
}

func TestSIWERefused(t *testing.T) {
	w := newWorld(t)
	o := newWallet()
	w.register(o.did())
	soon := time.Now().Add(time.Minute)
	nonce := func() string { return w.get("/auth/siwe/nonce").read(t, "nonce") }
	w.want(w.post("/auth/siwe/verify", o.proof(o.says("https://evil.example", nonce(), soon))), 401, authn.InvalidToken)
	w.want(w.post("/auth/siwe/verify", newWallet().proof(o.says(w.url, nonce(), soon))), 401, authn.InvalidToken)
	w.want(w.post("/auth/siwe/verify", o.proof("I am alice")), 400, authn.InvalidRequest)
	w.want(w.post("/auth/siwe/verify", o.proof(o.says(w.url, nonce(), time.Now().Add(-time.Second)))), 401, authn.InvalidToken)
	first := nonce()
	nonce() // the cookie is that of the second now
	w.want(w.post("/auth/siwe/verify", o.proof(o.says(w.url, first, soon))), 401, authn.InvalidToken)
	fresh := nonce()
	w.want(w.post("/auth/siwe/verify", o.proof(o.says(w.url, fresh, soon)), func(*http.Request) { w.client.Jar = must(cookiejar.New(nil)) }), 401, authn.InvalidToken)
}

// TestDown: what does not answer refuses nobody.
func TestDown(t *testing.T) {
	w := newWorld(t)
	k := edHolder()
	w.register(k.did)
	before := w.challenge(k)
	w.set("nonces", true)
	w.want(w.challenge(k), 503, authn.DependencyUnavailable)
	w.want(w.get("/auth/siwe/nonce"), 503, authn.DependencyUnavailable)
	w.want(w.get(w.loginPath("/")), 503, authn.DependencyUnavailable)
	w.want(w.post("/auth/did/token", map[string]string{"jws": k.reply(before, t)}), 503, authn.DependencyUnavailable)
	w.set("nonces", false)
	for what, reason := range map[string]string{"owners": authn.DependencyUnavailable, "tenants": authn.DependencyUnavailable, "audit": door.AuditUnavailable} {
		k := edHolder() // whose owner nobody remembers
		w.register(k.did)
		challenge := w.challenge(k)
		w.set(what, true)
		w.want(w.post("/auth/did/token", map[string]string{"jws": k.reply(challenge, t)}), 503, reason)
		w.set(what, false)
	}
	if all := w.recorded(); len(all) > 0 {
		t.Errorf("a failure of ours is on record as %+v", all[0])
	}
}

// TestTenantDisabled: who proves itself for a tenant that may not work gets no session.
func TestTenantDisabled(t *testing.T) {
	w := newWorld(t)
	k := edHolder()
	w.owners[k.did] = principal.Principal{ID: "alice", Tenant: "gone"}
	w.want(w.post("/auth/did/token", map[string]string{"jws": k.reply(w.challenge(k), t)}), 403, authn.Forbidden)
	if all := w.recorded(); len(all) != 1 || all[0].Kind != audit.Done || all[0].Result.Verdict != audit.Denied {
		t.Errorf("the records are %+v", all)
	}
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	const path = "/auth/did/challenge"
	did := edHolder().did
	for name, body := range map[string]string{
		"no JSON": "did=x", "nothing": "", "an array": `["did"]`, "another member": `{"did":"` + did + `","x":1}`, "another case": `{"DID":"` + did + `"}`,
		"twice": `{"did":"x","did":"` + did + `"}`, "more behind": `{"did":"` + did + `"} {}`, "a number": `{"did":1}`, "not UTF-8": "{\"did\":\"\xff\"}",
	} {
		t.Run(name, func(*testing.T) { w.want(w.post(path, body), 400, door.BadRequest) })
	}
	w.want(w.post(path, `{"did":"`+strings.Repeat("x", 17<<10)+`"}`), 413, door.TooLarge)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		w.want(w.post(path, map[string]string{"did": did}, func(r *http.Request) { r.Header.Set("Content-Type", kind) }), 415, door.UnsupportedType)
	}
	if a := w.get(path); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestFlood: whoever asks too often, for whatever, is told to wait before anything is stored
// or looked at.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.often = true
	w.mu.Unlock()
	for _, a := range []answer{
		w.challenge(edHolder()), w.post("/auth/did/token", map[string]string{"jws": "a.b.c"}), w.get("/auth/siwe/nonce"),
		w.post("/auth/siwe/verify", "{}"), w.get(w.loginPath("/")), w.get("/auth/oidc/callback?state=x&code=y"), w.post("/auth/logout", ""),
	} {
		w.want(a, 429, door.RateLimited)
		if a.Header.Get("Retry-After") != "90" {
			t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
		}
	}
	if len(w.taken) != 7 || w.taken[0] != "127.0.0.0/24" || len(w.nonces) != 0 {
		t.Errorf("counted are %q, and %d nonces were stored", w.taken, len(w.nonces))
	}
}

// TestOtherSites: no page of another site posts here.
func TestOtherSites(t *testing.T) {
	w := newWorld(t)
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		for _, path := range []string{"/auth/logout", "/auth/siwe/verify", "/auth/did/token"} {
			w.want(w.post(path, "{}", change), 403, authn.Forbidden)
		}
	}
	if a := w.post("/auth/logout", "", func(r *http.Request) { r.Header.Set("Origin", w.url) }); a.StatusCode != http.StatusNoContent {
		t.Errorf("from our own page: %d %s", a.StatusCode, a.body)
	}
	w.wantFailed(principal.MethodDID, authn.Forbidden)
}

// TestNotServed: a kind of login that is not configured is not there.
func TestNotServed(t *testing.T) {
	w := newWorld(t, func(c *login.Config) { c.DID, c.SIWE, c.OIDC, c.Owners = nil, nil, nil, nil })
	for _, a := range []answer{w.challenge(edHolder()), w.get("/auth/siwe/nonce"), w.get(w.loginPath("/"))} {
		w.want(a, 404, door.NotFound)
	}
}

// wantCookie complains unless an answer sets a cookie as it must be.
func wantCookie(t *testing.T, a answer, name string, site http.SameSite) {
	t.Helper()
	for _, c := range a.Cookies() {
		if c.Name != name || c.MaxAge < 0 {
			continue
		}
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != site || c.MaxAge < 1 || c.MaxAge > 900 || c.Value == "" {
			t.Errorf("the cookie is %s", c.Raw)
		}
		return
	}
	t.Errorf("there is no cookie %s in %v", name, a.Header["Set-Cookie"])
}

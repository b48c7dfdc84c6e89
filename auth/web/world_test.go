package web_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
)

const sessionCookie = "__Host-pin-session"

// world is a gateway with the pages, logins and real rooms below, whose stores are in memory.
type world struct {
	tb       testing.TB
	url      string
	sessions *session.Sessions
	issuer   *issuer
	wallet   wallet
	pins     *memoryPins
	keys     *memoryKeys

	mu      sync.Mutex
	nonces  map[string]string
	owners  map[string]principal.Principal
	revoked map[string]time.Time
	records []audit.Record
	broken  error // what the audit fails with
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newWorld(tb testing.TB, changes ...func(*web.Config)) *world {
	tb.Helper()
	w := &world{tb: tb, nonces: make(map[string]string), owners: make(map[string]principal.Principal), revoked: make(map[string]time.Time)}
	w.issuer, w.wallet, w.pins, w.keys = newIssuer(tb), newWallet(), newMemoryPins(), newMemoryKeys()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	w.url = server.URL
	w.owners["did:pkh:eip155:1:"+w.wallet.address] = alice()

	denied := must(denylist.New(w, 0))
	w.sessions = must(session.New(session.Config{Gateway: w.url, Denylist: denied, Keys: []session.Key{
		{ID: "k1", Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))},
	}}))
	owners := must(authn.NewOwners(w, recent.Config{}))
	tokens := must(jwt.New([]jwt.Issuer{w.issuer.configured()}, nil, denied))
	d := must(door.New(door.Config{
		Authenticator: must(authn.New(authn.Config{Realm: "pins", Sessions: w.sessions, Keys: w.keys, Cookie: sessionCookie})),
		Decider:       must(authz.New(authz.Options{})),
		Recorder:      must(audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w}})),
		Tenants:       w,
	}))
	config := web.Config{Gateway: w.url, Pins: w.pins, Keys: w.keys, Issuers: []string{w.issuer.url}, Wallet: true}
	for _, change := range changes {
		change(&config)
	}
	pages := must(web.New(config))
	logins := must(login.New(login.Config{
		Door: d, Gateway: w.url, Sessions: w.sessions, Revocations: w, Cookie: sessionCookie, Owners: owners, SIWE: must(siwe.NewLogin(w.url, []uint64{1}, w)),
		OIDC: must(login.NewOIDC(w.url, []login.Provider{w.issuer.provider()}, tokens, owners, w, nil)), Home: web.Login, Page: pages.LoginFailed,
	}))
	mux.Handle("/ui/", must(d.Handler(pages.API())))
	mux.Handle("/auth/", logins.Handler())
	mux.HandleFunc("/test/sign", w.wallet.sign)
	return w
}

func alice() principal.Principal {
	return principal.Principal{ID: "alice", Tenant: "acme", Roles: []string{"user"}, Scopes: []string{"*"}, Method: principal.MethodSIWE, Credential: "did:x"}
}

// session is the cookie of a session of a principal.
func (w *world) session(p principal.Principal) *http.Cookie {
	token, _ := must2(w.sessions.Issue(p))
	return &http.Cookie{Name: sessionCookie, Value: token, HttpOnly: true, Secure: true, Path: "/"}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// Put implements siwe.Nonces and login.States.
func (w *world) Put(_ context.Context, nonce, client string, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nonces[nonce] = client
	return nil
}

// Take is Put's other half.
func (w *world) Take(_ context.Context, nonce string) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	client, ok := w.nonces[nonce]
	delete(w.nonces, nonce)
	return client, ok, nil
}

// Owner implements authn.Directory.
func (w *world) Owner(_ context.Context, credential string) (principal.Principal, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.owners[credential]
	return p, ok, nil
}

// Revoked implements denylist.Store.
func (w *world) Revoked(_ context.Context, key string) (time.Time, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	until, ok := w.revoked[key]
	return until, ok, nil
}

// Revoke implements login.Revocations.
func (w *world) Revoke(_ context.Context, key string, until time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[key] = until
	return nil
}

// Active implements door.Tenants.
func (w *world) Active(context.Context, string) (bool, error) { return true, nil }

// QuotaUsed implements door.Tenants.
func (w *world) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }

// Append implements audit.Sink.
func (w *world) Append(_ context.Context, r audit.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	w.records = append(w.records, r)
	return nil
}

func (w *world) breakAudit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = errors.New("the disk is full")
}

// last returns what was last done, and what came of it.
func (w *world) last() (event audit.Event, result audit.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		switch r.Kind {
		case audit.Intent:
			event = *r.Event
		case audit.Outcome:
			result = *r.Result
		}
	}
	return event, result
}

// answer is what came of a request.
type answer struct {
	*http.Response
	body string
}

// ask sends a request; one with a form is a POST.
func (w *world) ask(path string, form url.Values, changes ...func(*http.Request)) answer {
	w.tb.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	r := must(http.NewRequestWithContext(context.Background(), method, w.url+path, strings.NewReader(body)))
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, change := range changes {
		change(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer response.Body.Close()
	return answer{response, string(must(io.ReadAll(response.Body)))}
}

// as is a request of a principal that has logged in.
func (w *world) as(p principal.Principal) func(*http.Request) {
	cookie := w.session(p)
	return func(r *http.Request) { r.AddCookie(cookie) }
}

// want complains about an answer without a status and some words.
func (w *world) want(a answer, status int, words ...string) {
	w.tb.Helper()
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			w.tb.Errorf("%s %s: there is no %q in\n%s", a.Request.Method, a.Request.URL, word, a.body)
		}
	}
	if a.StatusCode != status {
		w.tb.Errorf("%s %s: %d, want %d\n%s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
}

// wantTo complains about an answer that does not lead to a page.
func (w *world) wantTo(a answer, path string) {
	w.tb.Helper()
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != path {
		w.tb.Errorf("%s %s: %d to %q, want %s\n%s", a.Request.Method, a.Request.URL, a.StatusCode, a.Header.Get("Location"), path, a.body)
	}
}

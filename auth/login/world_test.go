package login_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/did"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
)

const sessionCookie = "__Host-pin-session"

// world is a gateway with real rooms, reached by TLS, whose stores are in memory. GET /pins
// answers with who asks.
type world struct {
	t      *testing.T
	url    string
	client *http.Client // a browser: it has cookies, and follows no redirect
	issuer *issuer

	mu      sync.Mutex
	down    map[string]bool // of "nonces", "owners", "denylist", "tenants" and "audit"
	nonces  map[string]string
	owners  map[string]principal.Principal
	revoked map[string]time.Time
	records []audit.Record
	taken   []string // by whom attempts were made
	often   bool     // the next attempt is one too many
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newWorld(t *testing.T, changes ...func(*login.Config)) *world {
	t.Helper()
	w := &world{t: t, down: make(map[string]bool), nonces: make(map[string]string), owners: make(map[string]principal.Principal), revoked: make(map[string]time.Time)}
	w.issuer = newIssuer(t)
	var handler http.Handler
	server := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { handler.ServeHTTP(out, r) }))
	t.Cleanup(server.Close)
	w.url, w.client = server.URL, server.Client()
	w.client.Jar = must(cookiejar.New(nil))
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	denied := must(denylist.New(w, 0))
	sessions := must(session.New(session.Config{Gateway: w.url, Denylist: denied, Keys: []session.Key{
		{ID: "k1", Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))},
	}}))
	owners := must(authn.NewOwners(w, recent.Config{}))
	tokens := must(jwt.New([]jwt.Issuer{w.issuer.configured()}, nil, denied))
	d := must(door.New(door.Config{
		Authenticator: must(authn.New(authn.Config{Realm: "pins", Sessions: sessions, Cookie: sessionCookie})),
		Decider:       must(authz.New(authz.Options{})),
		Recorder:      must(audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w}})),
		Tenants:       w,
	}))
	config := login.Config{
		Door: d, Gateway: w.url, Sessions: sessions, Revocations: w, Cookie: sessionCookie, Attempts: attempts{w},
		DID: must(did.NewLogin(w.url, w)), SIWE: must(siwe.NewLogin(w.url, []uint64{1, 10}, w)), Owners: owners,
		OIDC: must(login.NewOIDC(w.url, []login.Provider{w.issuer.provider()}, tokens, owners, w, nil)),
	}
	for _, change := range changes {
		change(&config)
	}
	serve := make(map[string]door.Serve)
	for _, route := range routes.Pinning().Routes() {
		if route.Does != routes.Refuse {
			serve[route.Name] = func(out http.ResponseWriter, c *door.Call) error {
				door.WriteJSON(out, http.StatusOK, "application/json", c.Principal)
				return nil
			}
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", must(d.Handler(door.API{Name: "pinning", Table: routes.Pinning(), Serve: serve, Form: door.ProblemJSON})))
	mux.Handle("/auth/", must(login.New(config)).Handler())
	handler = mux
	return w
}

var errDown = errors.New("the store is down")

func (w *world) is(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[what] {
		return errDown
	}
	return nil
}

func (w *world) set(what string, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[what] = down
}

func (w *world) register(credential string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owners[credential] = principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{"user"}}
}

// Put implements did.Nonces, siwe.Nonces and login.States.
func (w *world) Put(_ context.Context, nonce, client string, _ time.Time) error {
	if err := w.is("nonces"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nonces[nonce] = client
	return nil
}

// Take is Put's other half.
func (w *world) Take(_ context.Context, nonce string) (string, bool, error) {
	if err := w.is("nonces"); err != nil {
		return "", false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	client, ok := w.nonces[nonce]
	delete(w.nonces, nonce)
	return client, ok, nil
}

// Owner implements authn.Directory.
func (w *world) Owner(_ context.Context, credential string) (principal.Principal, bool, error) {
	if err := w.is("owners"); err != nil {
		return principal.Principal{}, false, err
	}
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
	if err := w.is("denylist"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[key] = until
	return nil
}

// Active implements door.Tenants.
func (w *world) Active(_ context.Context, tenant string) (bool, error) {
	return tenant == "t1" || tenant == "t2", w.is("tenants")
}

// QuotaUsed implements door.Tenants.
func (w *world) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }

// Append implements audit.Sink.
func (w *world) Append(_ context.Context, r audit.Record) error {
	if err := w.is("audit"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
	return nil
}

// attempts are those that the world's gateway counts.
type attempts struct{ *world }

// Take implements door.Rates.
func (a attempts) Take(key string) (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = append(a.taken, key)
	return 90 * time.Second, !a.often
}

func (w *world) recorded() []audit.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]audit.Record(nil), w.records...)
}

// answer is what came of a request.
type answer struct {
	*http.Response
	body string
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.HasPrefix(r.URL.Path, "/auth/") && response.Header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s may be stored", r.URL.Path)
	}
	return answer{response, string(body)}
}

func (w *world) get(target string) answer {
	w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = w.url + target
	}
	return w.do(must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, target, nil)))
}

// request is a POST with a body, after changes.
func (w *world) request(path string, body any, changes ...func(*http.Request)) *http.Request {
	text, ok := body.(string)
	if !ok {
		text = string(must(json.Marshal(body)))
	}
	r := must(http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, strings.NewReader(text)))
	r.Header.Set("Content-Type", "application/json")
	for _, change := range changes {
		change(r)
	}
	return r
}

func (w *world) post(path string, body any, changes ...func(*http.Request)) answer {
	w.t.Helper()
	return w.do(w.request(path, body, changes...))
}

// read reads a member of the answer.
func (a answer) read(t testing.TB, name string) string {
	t.Helper()
	all := make(map[string]any)
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		t.Fatalf("%d %s: %v", a.StatusCode, a.body, err)
	}
	text, _ := all[name].(string)
	return text
}

// want complains about an answer that is not a problem with a status and a reason.
func (w *world) want(a answer, status int, reason string) {
	w.t.Helper()
	if a.StatusCode != status || a.Header.Get("Content-Type") != "application/problem+json" || a.read(w.t, "reason") != reason || a.read(w.t, "type") != "urn:pin-gateway:"+reason {
		w.t.Errorf("%d %s %s, want %d with the reason %s", a.StatusCode, a.Header.Get("Content-Type"), a.body, status, reason)
	}
	if (status == http.StatusUnauthorized) != (a.Header.Get("WWW-Authenticate") != "") || (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) != (a.Header.Get("Retry-After") != "") {
		w.t.Errorf("%d has the headers %v", status, a.Header)
	}
	if w.cookie(sessionCookie) != "" || strings.Contains(a.body, "access_token") {
		w.t.Error("there is a session")
	}
}

// cookie returns the value of a cookie that the browser has.
func (w *world) cookie(name string) string {
	r := must(http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+"/", nil))
	for _, cookie := range w.client.Jar.Cookies(r.URL) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// who returns whom the gateway takes the browser for, or whoever has the token.
func (w *world) who(token string) (principal.Principal, int) {
	w.t.Helper()
	r := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/pins", nil))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a := w.do(r)
	var p principal.Principal
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		w.t.Fatal(err)
	}
	return p, a.StatusCode
}

// wantLogin complains unless the last record is that of a login.
func (w *world) wantLogin(action, id string) {
	w.t.Helper()
	all := w.recorded()
	if len(all) == 0 {
		w.t.Fatal("there is no record")
	}
	last := all[len(all)-1]
	if last.Kind != audit.Done || last.Event.Action != action || last.Event.Actor.Principal != id || last.Event.Actor.Credential == "" || !last.Event.Actor.TLS ||
		!last.Event.Decision.Allowed || last.Result.Verdict != audit.Success || last.Event.RequestID == "" {
		w.t.Errorf("the last record is %+v %+v %+v, want a login by %s", last, last.Event, last.Result, action)
	}
}

// wantFailed complains unless the last record is that of a proof that was refused.
func (w *world) wantFailed(method principal.Method, reason string) {
	w.t.Helper()
	all := w.recorded()
	if len(all) == 0 || all[len(all)-1].Kind != audit.Failed {
		w.t.Fatalf("of %d records the last is not of a failure", len(all))
	}
	if got := all[len(all)-1].Attempts; got.Method != string(method) || got.Reason != reason || got.Network != "127.0.0.1" {
		w.t.Errorf("recorded is %+v, want a failure of %s, %s", got, method, reason)
	}
}

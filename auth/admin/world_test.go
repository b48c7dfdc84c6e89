package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

var (
	_ Accounts = (*accounts.Service)(nil)
	_ Policies = (*authz.Authorizer)(nil)
)

// world is the API behind a door with the real policies. Whoever asks is told by a header,
// and every request and answer is compared with the document.
type world struct {
	t        *testing.T
	accounts *memory
	config   Config
	handler  http.Handler
	router   routers.Router
	people   map[string]principal.Principal
	records  []audit.Record
	broken   error // what the sink fails with
	used     Used
	claims   fakeClaims
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, accounts: newMemory(t), people: map[string]principal.Principal{
		"operator": of("oscar", authz.SystemTenant, "operator"), "sysauditor": of("aida", authz.SystemTenant, "auditor"), "sysadmin": of("sam", authz.SystemTenant, "admin"),
		"admin": of("adam", "t1", "admin"), "user": of("ursula", "t1", "user"), "viewer": of("vera", "t1", "viewer"), "auditor": of("audrey", "t1", "auditor"),
		"other": of("bob", "t2", "admin"),
	}}
	policies, err := authz.New(authz.Options{})
	must(t, err)
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w}})
	must(t, err)
	d, err := door.New(door.Config{Authenticator: w, Decider: policies, Recorder: recorder, Tenants: w})
	must(t, err)
	w.config = Config{Accounts: w.accounts, Policies: policies, Usage: w, Claims: &w.claims}
	w.handler, err = d.Handler(New(w.config))
	must(t, err)
	openapi3filter.RegisterBodyDecoder(linesType, openapi3filter.FileBodyDecoder)
	w.router, err = gorillamux.NewRouter(strict(t))
	must(t, err)
	for _, id := range []string{"t1", "t2", authz.SystemTenant} {
		_, err := w.accounts.CreateTenant(t.Context(), accounts.Tenant{ID: id, Name: "tenant " + id})
		must(t, err)
	}
	return w
}

func of(id, tenant string, roles ...string) principal.Principal {
	return principal.Principal{ID: id, Tenant: tenant, Roles: roles, Scopes: []string{"*"}, Method: principal.MethodJWT, Credential: "c-" + id}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// strict is the document, but that no object may have a member that it does not tell of.
func strict(t testing.TB) *openapi3.T {
	t.Helper()
	var all map[string]any
	must(t, json.Unmarshal(openapi, &all))
	for _, schema := range all["components"].(map[string]any)["schemas"].(map[string]any) {
		schema.(map[string]any)["additionalProperties"] = false
	}
	text, err := json.Marshal(all)
	must(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	must(t, err)
	return doc
}

// Append implements audit.Sink.
func (w *world) Append(_ context.Context, r audit.Record) error {
	if w.broken == nil {
		w.records = append(w.records, r)
	}
	return w.broken
}

// Authenticate implements door.Authenticator.
func (w *world) Authenticate(r *http.Request) (principal.Principal, error) {
	p, ok := w.people[r.Header.Get("Authorization")]
	if !ok {
		return p, &authn.Error{Status: 401, Reason: authn.Unauthorized, Details: "a credential is needed"}
	}
	return p, nil
}

// Active implements door.Tenants.
func (w *world) Active(context.Context, string) (bool, error) { return true, nil }

// QuotaUsed implements door.Tenants.
func (w *world) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }

// Usage implements Usage.
func (w *world) Usage(context.Context, string) (Used, error) { return w.used, nil }

// reply is an answer.
type reply struct {
	w    *world
	what string
	*httptest.ResponseRecorder
}

// ask sends a request. body is a text, or something that is sent as JSON; nil is no body.
func (w *world) ask(who, method, path string, body any, headers ...string) reply {
	w.t.Helper()
	text, is := body.(string)
	if !is && body != nil {
		encoded, err := json.Marshal(body)
		must(w.t, err)
		text = string(encoded)
	}
	request := func() *http.Request {
		var sent io.Reader
		if body != nil {
			sent = strings.NewReader(text)
		}
		r := httptest.NewRequestWithContext(w.t.Context(), method, path, sent)
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
		r.Header.Set("Authorization", who)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	answer := reply{w, fmt.Sprintf("%s: %s %s %.200s", who, method, path, text), httptest.NewRecorder()}
	w.handler.ServeHTTP(answer, request())
	answer.documented(request())
	return answer
}

// documented compares a request that was taken, and every answer, with the document.
func (a reply) documented(r *http.Request) {
	a.w.t.Helper()
	route, vars, err := a.w.router.FindRoute(r)
	if err != nil {
		if a.Code != http.StatusNotFound && a.Code != http.StatusMethodNotAllowed && a.Code != http.StatusBadRequest {
			a.w.t.Errorf("%s: it is answered with %d and not documented: %v", a.what, a.Code, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: vars, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(a.w.t.Context(), in); err != nil && a.Code < 300 {
		a.w.t.Errorf("%s: it is taken and not as documented: %v", a.what, err)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.Code, Header: a.Header(), Options: in.Options}
	if err := openapi3filter.ValidateResponse(a.w.t.Context(), out.SetBodyBytes(a.Body.Bytes())); err != nil {
		a.w.t.Errorf("%s: the answer %d %s is not as documented: %v", a.what, a.Code, a.Body, err)
	}
}

// is reads the answer, which must have a status.
func (a reply) is(status int, into any) reply {
	a.w.t.Helper()
	if a.Code != status {
		a.w.t.Fatalf("%s: %d %s, want %d", a.what, a.Code, a.Body, status)
	}
	if into != nil {
		must(a.w.t, json.Unmarshal(a.Body.Bytes(), into))
	}
	return a
}

// fails demands a Problem.
func (a reply) fails(status int, reason string) {
	a.w.t.Helper()
	var p struct{ Type, Title, Detail, Instance, Reason string }
	if a.Code != status || json.Unmarshal(a.Body.Bytes(), &p) != nil || p.Reason != reason {
		a.w.t.Errorf("%s: %d %s, want %d %s", a.what, a.Code, a.Body, status, reason)
		return
	}
	if p.Type != "urn:pin-gateway:"+reason || p.Instance == "" || p.Instance != a.Header().Get("X-Request-Id") || p.Detail == "" || p.Title != http.StatusText(status) {
		a.w.t.Errorf("%s: the problem is %s", a.what, a.Body)
	}
	if a.Header().Get("Content-Type") != "application/problem+json" {
		a.w.t.Errorf("%s: it is %s", a.what, a.Header().Get("Content-Type"))
	}
}

// memory has tenants, keys and credentials as accounts.Service does. What it does not do is
// tested there.
type memory struct {
	t           testing.TB
	peppers     apikey.Peppers
	tenants     map[string]accounts.Tenant
	keys        []apikey.Key // in the order in which they were made
	credentials map[string]accounts.Credential
	revoked     []string
	err         error // what everything fails with
	writes      int
}

func newMemory(t testing.TB) *memory {
	peppers, err := apikey.NewPeppers(1, map[int][]byte{1: bytes.Repeat([]byte{7}, 32)})
	must(t, err)
	return &memory{t: t, peppers: peppers, tenants: make(map[string]accounts.Tenant), credentials: make(map[string]accounts.Credential)}
}

func (m *memory) CreateTenant(_ context.Context, t accounts.Tenant) (accounts.Tenant, error) {
	m.writes++
	if _, has := m.tenants[t.ID]; has || m.err != nil {
		return accounts.Tenant{}, fmt.Errorf("tenant: %w", cmp.Or(m.err, accounts.ErrExists))
	}
	if t.MaxPins < 0 {
		return accounts.Tenant{}, &accounts.InvalidError{Field: "max_pins", Problem: "it is negative"}
	}
	t.Created, t.Rev = time.Now(), "1"
	m.tenants[t.ID] = t
	return t, nil
}

func (m *memory) Tenant(_ context.Context, id string) (accounts.Tenant, error) {
	t, has := m.tenants[id]
	if !has || m.err != nil {
		return accounts.Tenant{}, fmt.Errorf("tenant: %w", cmp.Or(m.err, accounts.ErrNotFound))
	}
	return t, nil
}

func (m *memory) UpdateTenant(ctx context.Context, t accounts.Tenant) (accounts.Tenant, error) {
	m.writes++
	old, err := m.Tenant(ctx, t.ID)
	switch {
	case err != nil:
		return accounts.Tenant{}, err
	case old.Rev != t.Rev:
		return accounts.Tenant{}, fmt.Errorf("tenant: %w", accounts.ErrChanged)
	}
	t.Rev += "1"
	m.tenants[t.ID] = t
	return t, nil
}

// pageOf is a page of what there is; after is the number of those before.
func pageOf[T any](all []T, after string, limit int) (accounts.Page[T], error) {
	from := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "after-%d", &from); err != nil || from > len(all) {
			return accounts.Page[T]{}, &accounts.InvalidError{Field: "after", Problem: "it is not what a page has returned"}
		}
	}
	out := accounts.Page[T]{All: all[from:min(from+limit, len(all))]}
	if len(out.All) == limit {
		out.Next = fmt.Sprintf("after-%d", from+limit)
	}
	return out, nil
}

func (m *memory) ListTenants(_ context.Context, after string, limit int) (accounts.Page[accounts.Tenant], error) {
	if m.err != nil {
		return accounts.Page[accounts.Tenant]{}, m.err
	}
	var all []accounts.Tenant
	for _, id := range slices.Sorted(maps.Keys(m.tenants)) {
		all = append(all, m.tenants[id])
	}
	return pageOf(all, after, limit)
}

func (m *memory) CreateKey(_ context.Context, grant apikey.Grant) (apikey.Key, apikey.Token, error) {
	m.writes++
	if m.err != nil {
		return apikey.Key{}, apikey.Token{}, m.err
	}
	k, token, err := apikey.New("live", grant, m.peppers, time.Now())
	if err != nil {
		return apikey.Key{}, apikey.Token{}, &accounts.InvalidError{Field: "key", Problem: err.Error()}
	}
	m.keys = append(m.keys, k)
	return k, token, nil
}

func (m *memory) find(tenant, id string) *apikey.Key {
	for i := range m.keys {
		if m.keys[i].ID == id && m.keys[i].Tenant == tenant {
			return &m.keys[i]
		}
	}
	return nil
}

func (m *memory) Key(_ context.Context, tenant, id string) (apikey.Key, error) {
	k := m.find(tenant, id)
	if k == nil || m.err != nil {
		return apikey.Key{}, fmt.Errorf("key: %w", cmp.Or(m.err, accounts.ErrNotFound))
	}
	return *k, nil
}

func (m *memory) ListKeys(_ context.Context, tenant, after string, limit int) (accounts.Page[accounts.ListedKey], error) {
	if m.err != nil {
		return accounts.Page[accounts.ListedKey]{}, m.err
	}
	var all []accounts.ListedKey
	for _, k := range m.keys {
		if k.Tenant == tenant {
			all = append(all, accounts.ListedKey{Key: k, Used: k.Created.Add(time.Minute)})
		}
	}
	return pageOf(all, after, limit)
}

func (m *memory) RevokeKey(_ context.Context, tenant, id string) error {
	m.writes++
	k := m.find(tenant, id)
	if k == nil || m.err != nil {
		return fmt.Errorf("key: %w", cmp.Or(m.err, accounts.ErrNotFound))
	}
	k.Revoked = time.Now()
	return nil
}

func (m *memory) RotateKey(_ context.Context, tenant, id string, overlap time.Duration, by string) (apikey.Key, apikey.Token, error) {
	m.writes++
	k := m.find(tenant, id)
	if k == nil || m.err != nil {
		return apikey.Key{}, apikey.Token{}, fmt.Errorf("key: %w", cmp.Or(m.err, accounts.ErrNotFound))
	}
	next, token, before, err := apikey.Rotate(*k, overlap, m.peppers, time.Now())
	if err != nil {
		return apikey.Key{}, apikey.Token{}, &accounts.InvalidError{Field: "key", Problem: err.Error()}
	}
	*k, next.CreatedBy = before, by
	m.keys = append(m.keys, next)
	return next, token, nil
}

func (m *memory) AddCredential(_ context.Context, c accounts.Credential) (accounts.Credential, error) {
	m.writes++
	if old, has := m.credentials[c.Credential]; m.err != nil || has && (old.Tenant != c.Tenant || old.Principal != c.Principal) {
		return accounts.Credential{}, fmt.Errorf("credential: %w", cmp.Or(m.err, accounts.ErrExists))
	}
	c.Added = time.Now()
	m.credentials[c.Credential] = c
	return c, nil
}

func (m *memory) Credential(_ context.Context, tenant, credential string) (accounts.Credential, error) {
	c, has := m.credentials[credential]
	if !has || c.Tenant != tenant || m.err != nil {
		return accounts.Credential{}, fmt.Errorf("credential: %w", cmp.Or(m.err, accounts.ErrNotFound))
	}
	return c, nil
}

func (m *memory) ListCredentials(_ context.Context, tenant, principal, after string, limit int) (accounts.Page[accounts.Credential], error) {
	var all []accounts.Credential
	for _, name := range slices.Sorted(maps.Keys(m.credentials)) {
		if c := m.credentials[name]; c.Tenant == tenant && c.Principal == principal {
			all = append(all, c)
		}
	}
	return pageOf(all, after, limit)
}

func (m *memory) RemoveCredential(_ context.Context, _, credential string) error {
	m.writes++
	delete(m.credentials, credential)
	return m.err
}

func (m *memory) RevokePrincipal(_ context.Context, tenant, id, by string) (int, error) {
	m.writes++
	m.revoked = append(m.revoked, tenant+" "+id+" by "+by)
	return 3, m.err
}

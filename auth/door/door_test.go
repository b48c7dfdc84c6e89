package door_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// world is a door with real policies and a recorder whose records are kept in memory.
type world struct {
	t       *testing.T
	config  door.Config
	served  map[string]door.Serve
	mu      sync.Mutex
	records []audit.Record
	broken  error // what the sink fails with
	seen    []door.Seen
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, served: make(map[string]door.Serve)}
	policies, err := authz.New(authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w}})
	if err != nil {
		t.Fatal(err)
	}
	w.config = door.Config{
		Authenticator: w, Decider: policies, Recorder: recorder, Tenants: w,
		Observe: func(s door.Seen) { w.seen = append(w.seen, s) },
	}
	for _, route := range routes.Pinning().Routes() {
		if route.Does != routes.Refuse {
			w.served[route.Name] = func(http.ResponseWriter, *door.Call) error {
				t.Errorf("%s was served", route.Name)
				return nil
			}
		}
	}
	return w
}

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

func (w *world) kinds() (kinds []audit.Kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

// Authenticate implements door.Authenticator: the header Authorization is the role.
func (w *world) Authenticate(r *http.Request) (principal.Principal, error) {
	role := r.Header.Get("Authorization")
	switch role {
	case "":
		return principal.Principal{}, &authn.Error{Status: 401, Reason: authn.Unauthorized, Details: "a credential is needed"}
	case "down":
		return principal.Principal{}, &authn.Error{Status: 503, Reason: authn.DependencyUnavailable, RetryAfter: time.Second}
	}
	p := principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{role}, Scopes: []string{"*"}, Method: principal.MethodAPIKey, Credential: "key1"}
	p.MFA = r.Header.Get("X-Factors") == "2"
	if scope := r.Header.Get("X-Scope"); scope != "" {
		p.Scopes = []string{scope}
	}
	if tenant := r.Header.Get("X-Tenant-Of-Test"); tenant != "" {
		p.Tenant = tenant
	}
	return p, nil
}

// Active implements door.Tenants.
func (w *world) Active(_ context.Context, tenant string) (bool, error) {
	if tenant == "lost" {
		return false, errors.New("the database is down")
	}
	return tenant == "t1", nil
}

// QuotaUsed implements door.Tenants.
func (w *world) QuotaUsed(context.Context, string) (int64, error) { return 7, nil }

// ask sends a request to the door.
func (w *world) ask(method, path, role string, change func(*http.Request)) *httptest.ResponseRecorder {
	w.t.Helper()
	d, err := door.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	handler, err := d.Handler(door.API{Name: "pinning", Table: routes.Pinning(), Serve: w.served, Form: form})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, nil)
	if role != "" {
		r.Header.Set("Authorization", role)
	}
	if change != nil {
		change(r)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, r)
	return answer
}

func form(w http.ResponseWriter, p *door.Problem, _ string) {
	door.WriteJSON(w, p.Status, "application/json", map[string]string{"reason": p.Reason, "details": p.Details})
}

func (w *world) want(answer *httptest.ResponseRecorder, status int, reason string) {
	w.t.Helper()
	if answer.Code != status || !strings.Contains(answer.Body.String(), `"reason":"`+reason+`"`) {
		w.t.Errorf("%d %s, want %d with the reason %s", answer.Code, answer.Body, status, reason)
	}
}

func own() authz.Pin   { return authz.Pin{ID: "r1", Tenant: "t1", Owner: "alice", CID: "bafy"} }
func other() authz.Pin { return authz.Pin{ID: "r1", Tenant: "t2", Owner: "bob", CID: "bafy"} }

// remove serves RemovePin on a pin, and runs during if it is allowed.
func (w *world) remove(pin authz.Pin, during func(ctx context.Context) error) {
	w.served["RemovePin"] = func(out http.ResponseWriter, c *door.Call) error {
		err := c.Do(http.StatusAccepted, []door.Step{{Action: c.Route.Action, Resource: pin}}, func(ctx context.Context) (string, error) {
			return pin.ID, during(ctx)
		})
		if err != nil {
			return err
		}
		out.WriteHeader(http.StatusAccepted)
		return nil
	}
}

// factorsPolicy is an operator's own.
type factorsPolicy struct{}

func (factorsPolicy) Read() ([]authz.File, error) {
	return []authz.File{{Name: "own.cedar", Text: []byte(`@id("two-factors")
@why("nothing is removed without a second factor")
forbid (principal, action == Action::"pins:delete", resource) unless { principal.mfa };
`)}}, nil
}

// TestFactors: a policy may ask for more than one factor.
func TestFactors(t *testing.T) {
	w := newWorld(t)
	policies, err := authz.New(authz.Options{Own: factorsPolicy{}})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Decider = policies
	w.remove(own(), func(context.Context) error { return nil })
	answer := w.ask("DELETE", "/pins/r1", "user", nil)
	w.want(answer, 403, authn.Forbidden)
	if !strings.Contains(answer.Body.String(), "two-factors") {
		t.Errorf("it is not told why: %s", answer.Body)
	}
	if answer := w.ask("DELETE", "/pins/r1", "user", func(r *http.Request) { r.Header.Set("X-Factors", "2") }); answer.Code != 202 {
		t.Errorf("with a second factor: %d %s", answer.Code, answer.Body)
	}
}

func TestNobodyGetsIn(t *testing.T) {
	w := newWorld(t)
	w.want(w.ask("GET", "/pins", "", nil), 401, authn.Unauthorized)
	w.want(w.ask("GET", "/pins", "down", nil), 503, authn.DependencyUnavailable)
	if kinds := w.kinds(); !slices.Equal(kinds, []audit.Kind{audit.Failed}) {
		t.Errorf("the records are %v: one credential was refused, and one could not be checked", kinds)
	}
	tenant := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Tenant-Of-Test", name) }
	}
	w.want(w.ask("GET", "/pins", "user", tenant("gone")), 403, authn.Forbidden)
	w.want(w.ask("GET", "/pins", "user", tenant("lost")), 503, authn.DependencyUnavailable)
	w.want(w.ask("GET", "/nothing", "user", nil), 404, door.NotFound)
	w.want(w.ask("GET", "//pins", "user", nil), 400, door.BadRequest)
	if answer := w.ask("PUT", "/pins", "user", nil); answer.Header().Get("Allow") != "GET, POST" {
		t.Errorf("Allow is %q", answer.Header().Get("Allow"))
	}
	w.want(w.ask("POST", "/token", "user", nil), 403, authn.Forbidden)
	last := w.records[len(w.records)-1]
	if last.Kind != audit.Done || last.Result.Verdict != audit.Denied || last.Event.Action != "pinning:GetToken" {
		t.Errorf("a route that is refused is on record as %+v", last)
	}
}

func TestOpenRoutesNeedNobody(t *testing.T) {
	w := newWorld(t)
	w.served["Health"] = func(out http.ResponseWriter, _ *door.Call) error {
		out.WriteHeader(http.StatusNoContent)
		return nil
	}
	if answer := w.ask("GET", "/health", "", nil); answer.Code != http.StatusNoContent || answer.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d, %v", answer.Code, answer.Header())
	}
	if got := w.seen[0]; got.Route != "Health" || got.Status != 204 || got.Reason != "" {
		t.Errorf("seen as %+v", got)
	}
}

// TestRecordedBeforeAndAfter: what is done is on record before, with who and why, and
// what came of it after.
func TestRecordedBeforeAndAfter(t *testing.T) {
	w := newWorld(t)
	w.remove(own(), func(context.Context) error {
		if kinds := w.kinds(); !slices.Equal(kinds, []audit.Kind{audit.Intent}) {
			t.Errorf("when it is done the records are %v", kinds)
		}
		return nil
	})
	if answer := w.ask("DELETE", "/pins/r1", "user", func(r *http.Request) { r.Header.Set("Traceparent", "00-1") }); answer.Code != http.StatusAccepted {
		t.Fatal(answer.Code, answer.Body)
	}
	intent, outcome := w.records[0], w.records[1]
	e := intent.Event
	if e.Actor.Principal != "alice" || e.Actor.Credential != "key1" || e.Actor.IP != "192.0.2.1" || e.Action != "pins:delete" ||
		e.Resource != (audit.Resource{Kind: "pin", ID: "r1", Tenant: "t1", Owner: "alice", CID: "bafy"}) || e.Traceparent != "00-1" || e.RequestID == "" ||
		!e.Decision.Allowed || len(e.Decision.Policies) == 0 || e.Decision.Version == "" || e.HTTP.Route != "/pins/{requestID}" {
		t.Errorf("the intent is %+v", *e)
	}
	if outcome.ID != intent.ID || outcome.Result.Verdict != audit.Success || outcome.Result.Status != 202 || outcome.Result.ResourceID != "r1" {
		t.Errorf("the outcome is %+v %+v", outcome, *outcome.Result)
	}
}

// TestOutcomeOfEverything: there is an outcome also of what failed, panicked, or was done
// for a client that has left.
func TestOutcomeOfEverything(t *testing.T) {
	for name, test := range map[string]struct {
		do      func(context.Context) error
		verdict audit.Verdict
		status  int
		reason  string
	}{
		"a problem": {func(context.Context) error {
			return &door.Problem{Status: 409, Reason: door.InsufficientFunds, Details: "no more pins"}
		}, audit.Failure, 409, door.InsufficientFunds},
		"a failure": {func(context.Context) error { return errors.New("the database is down") }, audit.Unknown, 503, authn.DependencyUnavailable},
		"a peer that does not answer": {func(context.Context) error {
			return &door.Problem{Status: 502, Reason: door.UpstreamUnavailable}
		}, audit.Unknown, 502, door.UpstreamUnavailable},
		"a peer that is slow": {func(context.Context) error {
			return &door.Problem{Status: 504, Reason: door.UpstreamTimeout}
		}, audit.Unknown, 504, door.UpstreamTimeout},
		"a panic": {func(context.Context) error { panic("a fault") }, audit.Failure, 500, door.Internal},
		"the client left": {func(ctx context.Context) error {
			if ctx.Err() != nil {
				return errors.New("the context ended with the client")
			}
			return &door.Problem{Status: 404, Reason: door.NotFound}
		}, audit.Failure, 404, door.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.remove(own(), func(of context.Context) error {
				cancel()
				return test.do(of)
			})
			w.want(w.ask("DELETE", "/pins/r1", "user", func(r *http.Request) { *r = *r.WithContext(ctx) }), test.status, test.reason)
			if kinds := w.kinds(); !slices.Equal(kinds, []audit.Kind{audit.Intent, audit.Outcome}) {
				t.Fatalf("the records are %v", kinds)
			}
			if got := w.records[1].Result; got.Verdict != test.verdict || got.Status != test.status || got.Reason != test.reason {
				t.Errorf("the outcome is %+v", *got)
			}
		})
	}
}

// TestRecordedAsAnswered: what a peer answered is what is on record, also when the client
// has left and did not get it.
func TestRecordedAsAnswered(t *testing.T) {
	for status, verdict := range map[int]audit.Verdict{200: audit.Success, 404: audit.Failure, 500: audit.Failure} {
		w := newWorld(t)
		w.served["RemovePin"] = func(_ http.ResponseWriter, c *door.Call) error {
			return c.Do(202, []door.Step{{Action: c.Route.Action, Resource: own()}}, func(context.Context) (string, error) {
				c.Answered = status
				return "", errors.New("the client has left")
			})
		}
		w.ask("DELETE", "/pins/r1", "user", nil)
		if got := w.records[1].Result; got.Verdict != verdict || got.Status != status || got.Reason != "" {
			t.Errorf("of an answer %d the record is %+v", status, *got)
		}
	}
}

// TestNothingWithoutRecord: nothing is changed when no record can be written; what is
// only read can be.
func TestNothingWithoutRecord(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("the disk is full")
	w.remove(own(), func(context.Context) error {
		t.Error("it was done")
		return nil
	})
	answer := w.ask("DELETE", "/pins/r1", "user", nil)
	w.want(answer, 503, door.AuditUnavailable)
	if answer.Header().Get("Retry-After") == "" {
		t.Error("the answer does not say when to try again")
	}
	w.served["ListPins"] = func(out http.ResponseWriter, c *door.Call) error {
		if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
			return err
		}
		out.WriteHeader(http.StatusOK)
		return nil
	}
	if answer := w.ask("GET", "/pins", "viewer", nil); answer.Code != http.StatusOK {
		t.Errorf("a read without records: %d", answer.Code)
	}
	w.config.RecordReads = true
	w.want(w.ask("GET", "/pins", "viewer", nil), 503, door.AuditUnavailable)
}

// TestDenied: a denial does nothing and is on record; what must not be seen is answered
// like what is not there.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	never := func(context.Context) error {
		t.Error("it was done")
		return nil
	}
	w.remove(own(), never)
	w.want(w.ask("DELETE", "/pins/r1", "viewer", nil), 403, authn.Forbidden)
	scoped := w.ask("DELETE", "/pins/r1", "user", func(r *http.Request) { r.Header.Set("X-Scope", "pins:read") })
	w.want(scoped, 403, door.InsufficientScope)
	if got := scoped.Header().Get("WWW-Authenticate"); got != `Bearer error="insufficient_scope", scope="pins:delete"` {
		t.Errorf("WWW-Authenticate is %q", got)
	}
	w.remove(other(), never)
	hidden := w.ask("DELETE", "/pins/r1", "user", nil)
	w.served["RemovePin"] = func(http.ResponseWriter, *door.Call) error { return door.Missing() }
	missing := w.ask("DELETE", "/pins/r1", "user", nil)
	if hidden.Code != 404 || !bytes.Equal(hidden.Body.Bytes(), missing.Body.Bytes()) {
		t.Errorf("of another tenant: %d %s; of nobody: %d %s", hidden.Code, hidden.Body, missing.Code, missing.Body)
	}
	if len(w.records) != 3 {
		t.Fatalf("there are %d records of three denials", len(w.records))
	}
	for _, r := range w.records {
		if r.Kind != audit.Done || r.Result.Verdict != audit.Denied || r.Event.Decision.Allowed || r.Event.Decision.Reason == "" {
			t.Errorf("a denial is on record as %+v", r)
		}
	}
}

// TestEveryStepCounts: what asks for two things is done only if both are allowed.
func TestEveryStepCounts(t *testing.T) {
	w := newWorld(t)
	w.served["ReplacePin"] = func(out http.ResponseWriter, c *door.Call) error {
		replacement := own()
		replacement.ID = ""
		return c.Do(202, []door.Step{{Action: "pins:replace", Resource: own()}, {Action: "pins:create", Resource: replacement}},
			func(context.Context) (string, error) { return "r2", nil })
	}
	scope := func(scope string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Scope", scope) }
	}
	w.want(w.ask("POST", "/pins/r1", "user", scope("pins:replace")), 403, door.InsufficientScope)
	w.want(w.ask("POST", "/pins/r1", "user", scope("pins:create")), 403, door.InsufficientScope)
	if answer := w.ask("POST", "/pins/r1", "user", scope("pins:*")); answer.Code != 200 {
		t.Errorf("with both: %d %s", answer.Code, answer.Body)
	}
	if last := w.records[len(w.records)-1]; last.Result.ResourceID != "r2" || w.records[len(w.records)-2].Event.Resource.ID != "r1" {
		t.Errorf("the records are %+v", w.records)
	}
}

// TestRecordedOtherwise: what a step says is on record, also of a denial.
func TestRecordedOtherwise(t *testing.T) {
	w := newWorld(t)
	record := audit.Resource{Kind: "credential", ID: "did:key:z", Tenant: "t1", Owner: "bob"}
	w.served["RemovePin"] = func(_ http.ResponseWriter, c *door.Call) error {
		return c.Do(202, []door.Step{{Action: c.Route.Action, Resource: own(), Record: record}}, func(context.Context) (string, error) { return "", nil })
	}
	w.want(w.ask("DELETE", "/pins/r1", "viewer", nil), 403, authn.Forbidden)
	w.ask("DELETE", "/pins/r1", "user", nil)
	if len(w.records) != 3 || w.records[0].Event.Resource != record || w.records[1].Event.Resource != record {
		t.Errorf("the records are %+v", w.records)
	}
}

// TestProblemJSON: an error of our own APIs is of RFC 9457.
func TestProblemJSON(t *testing.T) {
	answer := httptest.NewRecorder()
	door.ProblemJSON(answer, door.Invalid("limit is %d", 0), "REQ1")
	want := `{"type":"urn:pin-gateway:BAD_REQUEST","title":"Bad Request","status":400,"detail":"limit is 0","instance":"REQ1","reason":"BAD_REQUEST","requestId":"REQ1"}`
	if answer.Body.String() != want || answer.Code != 400 || answer.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", answer.Code, answer.Header(), answer.Body)
	}
}

// often is a limit that is reached at once.
type often struct{ keys []string }

// Take implements door.Rates.
func (o *often) Take(key string) (time.Duration, bool) {
	o.keys = append(o.keys, key)
	return 1500 * time.Millisecond, false
}

func TestTooOften(t *testing.T) {
	w := newWorld(t)
	principals, tenants, failures := new(often), new(often), new(often)
	w.config.Principals, w.config.PerTenant, w.config.Failures = principals, tenants, failures
	answer := w.ask("GET", "/pins", "user", nil)
	w.want(answer, 429, door.RateLimited)
	if got := answer.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q", got)
	}
	w.want(w.ask("GET", "/pins", "", nil), 429, door.RateLimited)
	w.ask("GET", "/pins", "", func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:99" })
	w.config.Principals = nil
	w.want(w.ask("GET", "/pins", "user", nil), 429, door.RateLimited)
	if !slices.Equal(principals.keys, []string{"t1 alice"}) || !slices.Equal(tenants.keys, []string{"t1"}) {
		t.Errorf("requests are counted by %q and %q", principals.keys, tenants.keys)
	}
	if want := []string{"192.0.2.0/24", "2001:db8::/64"}; !slices.Equal(failures.keys, want) {
		t.Errorf("failures are counted by %q", failures.keys)
	}
}

// TestCutNotShort: what fails when a part of the answer has left ends without the rest in
// a way that a client notices.
func TestCutNotShort(t *testing.T) {
	w := newWorld(t)
	w.served["Health"] = func(out http.ResponseWriter, _ *door.Call) error {
		if err := http.NewResponseController(out).Flush(); err != nil { // the headers are a part
			return err
		}
		return errors.New("the rest cannot be had")
	}
	d, err := door.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := d.Handler(door.API{Name: "pinning", Table: routes.Pinning(), Serve: w.served, Form: form})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/health")
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	if err == nil {
		t.Error("a part was taken for the whole")
	}
}

func TestRoutesWithoutServe(t *testing.T) {
	w := newWorld(t)
	d, err := door.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]door.Serve){
		"one is missing":           func(m map[string]door.Serve) { delete(m, "GetPin") },
		"one is refused":           func(m map[string]door.Serve) { m["GetToken"] = m["Health"] },
		"one has a name of nobody": func(m map[string]door.Serve) { delete(m, "GetPin"); m["Gone"] = m["Health"] },
	} {
		served := make(map[string]door.Serve)
		for name, serve := range w.served {
			served[name] = serve
		}
		change(served)
		if _, err := d.Handler(door.API{Name: "pinning", Table: routes.Pinning(), Serve: served, Form: form}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w.config.Recorder = nil
	if _, err := door.New(w.config); err == nil {
		t.Error("a door without a recorder")
	}
}

func TestAddressOfNobody(t *testing.T) {
	w := newWorld(t)
	w.config.Address = func(*http.Request) netip.Addr { return netip.Addr{} }
	w.remove(own(), func(context.Context) error {
		t.Error("it was done")
		return nil
	})
	w.want(w.ask("DELETE", "/pins/r1", "user", nil), 403, authn.Forbidden)
}

// TestDisabledTenantsAreBounded: what a tenant asks for that may not work is not recorded more
// often than it may ask.
func TestDisabledTenantsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.config.Principals = new(often)
	gone := func(r *http.Request) { r.Header.Set("X-Tenant-Of-Test", "gone") }
	w.want(w.ask("GET", "/pins", "user", gone), 429, door.RateLimited)
	if len(w.records) > 0 {
		t.Errorf("there are %d records", len(w.records))
	}
}

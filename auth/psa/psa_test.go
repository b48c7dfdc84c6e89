package psa_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/psa"
)

const (
	cidV0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
	cidV1 = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
)

// fakePins answers with what it is told to, and remembers what it was asked.
type fakePins struct {
	asked   any
	request pins.Request
	page    pins.Page
	err     error // of all but Get
	getErr  error
}

func (f *fakePins) Create(_ context.Context, n pins.NewRequest) (pins.Request, error) {
	f.asked = n
	return f.request, f.err
}

func (f *fakePins) Get(_ context.Context, tenant, id string) (pins.Request, error) {
	if tenant != "t1" {
		return pins.Request{}, fmt.Errorf("asked for the tenant %q", tenant)
	}
	found := f.request
	found.ID = id
	return found, f.getErr
}

func (f *fakePins) List(_ context.Context, tenant string, q pins.Query) (pins.Page, error) {
	if tenant != "t1" {
		return pins.Page{}, fmt.Errorf("asked for the tenant %q", tenant)
	}
	f.asked = q
	return f.page, f.err
}

func (f *fakePins) Replace(_ context.Context, tenant, id string, n pins.NewRequest) (pins.Request, error) {
	f.asked = []any{tenant, id, n}
	return f.request, f.err
}

func (f *fakePins) Remove(_ context.Context, tenant, id string) error {
	f.asked = []any{tenant, id}
	return f.err
}

// everybody is alice, in the role that is the token.
type everybody struct{}

func (everybody) Authenticate(r *http.Request) (principal.Principal, error) {
	role := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{role}, Scopes: []string{"*"}, Method: principal.MethodJWT, Credential: "c"}, nil
}

func (everybody) Active(context.Context, string) (bool, error)     { return true, nil }
func (everybody) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }
func (everybody) Append(context.Context, audit.Record) error       { return nil }

// newHandler is the API over f, behind a door.
func newHandler(t testing.TB, f *fakePins) http.Handler {
	t.Helper()
	policies, err := authz.New(authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{everybody{}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := door.New(door.Config{Authenticator: everybody{}, Decider: policies, Recorder: recorder, Tenants: everybody{}})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := d.Handler(psa.New(psa.Config{Pins: f, Delegates: func() []string { return []string{"/ip4/192.0.2.9/tcp/4001/p2p/x"} }}))
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// ask sends a request in a role to the API over f.
func ask(t testing.TB, f *fakePins, role, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	handler := newHandler(t, f)
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+role)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func stored() pins.Request {
	return pins.Request{
		ID: "r1", Tenant: "t1", Owner: "alice", CID: cidV1, Name: "a name", Meta: map[string]string{"k": "v"}, Origins: []string{"/ip4/192.0.2.1/tcp/4001"},
		Created: time.UnixMilli(1700000000123), Status: pins.Failed, Info: map[string]string{"peer": "no space"},
	}
}

const storedText = `{"requestid":"r1","status":"failed","created":"2023-11-14T22:13:20.123Z","pin":{"cid":"` + cidV1 +
	`","name":"a name","origins":["/ip4/192.0.2.1/tcp/4001"],"meta":{"k":"v"}},"delegates":["/ip4/192.0.2.9/tcp/4001/p2p/x"],"info":{"peer":"no space"}}`

func TestAnswers(t *testing.T) {
	body := `{"cid":"` + cidV0 + `","name":"n","meta":{"app":"1","region":"eu"},"origins":["/ip4/192.0.2.1/tcp/1"],"unknown":1}`
	wanted := pins.NewRequest{Tenant: "t1", Owner: "alice", CID: cidV0, Name: "n", Meta: map[string]string{"app": "1", "region": "eu"}, Region: "eu", Origins: []string{"/ip4/192.0.2.1/tcp/1"}}
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
		asked              any
	}{
		{"POST", "/pins", body, 202, storedText, wanted},
		{"GET", "/pins/r1", "", 200, storedText, nil},
		{"POST", "/pins/r1", body, 202, storedText, []any{"t1", "r1", wanted}},
		{"DELETE", "/pins/r1", "", 202, "", []any{"t1", "r1"}},
		{"GET", "/pins", "", 200, `{"count":7,"results":[` + storedText + `]}`, pins.Query{Statuses: []pins.Status{pins.Pinned}}},
		{"GET", "/pins?cid=" + cidV0 + "," + cidV1 + "&status=queued&status=failed,pinned&name=x&match=ipartial&limit=1000&before=2026-01-01T00:00:00.5Z&after=2025-01-01T00:00:00Z&meta=%7B%22a%22%3A%22b%22%7D",
			"", 200, `{"count":7,"results":[` + storedText + `]}`, pins.Query{
				CIDs: []string{cidV0, cidV1}, Statuses: []pins.Status{pins.Queued, pins.Failed, pins.Pinned}, Name: "x", Match: pins.IPartial, Limit: 1000,
				Before: time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC), After: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Meta: map[string]string{"a": "b"},
			}},
		{"GET", "/health", "", 204, "", nil},
	} {
		t.Run(test.method+" "+test.path[:min(len(test.path), 30)], func(t *testing.T) {
			f := &fakePins{request: stored(), page: pins.Page{Count: 7, Results: []pins.Request{stored()}}}
			w := ask(t, f, "user", test.method, test.path, test.body)
			if w.Code != test.status || w.Body.String() != test.answer {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, test.status, test.answer)
			}
			if !reflect.DeepEqual(f.asked, test.asked) {
				t.Errorf("asked for %+v, want %+v", f.asked, test.asked)
			}
		})
	}
}

func TestEmptyList(t *testing.T) {
	if w := ask(t, &fakePins{}, "viewer", "GET", "/pins", ""); w.Body.String() != `{"count":0,"results":[]}` {
		t.Error(w.Body)
	}
}

// TestCanonicalCID: policies and the database see one text for each CID.
func TestCanonicalCID(t *testing.T) {
	f := &fakePins{request: stored()}
	ask(t, f, "user", "POST", "/pins", `{"cid":"BAFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY"}`)
	if got, ok := f.asked.(pins.NewRequest); !ok || got.CID != cidV1 {
		t.Errorf("asked for %+v", f.asked)
	}
}

// TestBadInput: nothing is asked of the pins, and the answer says what is wrong.
func TestBadInput(t *testing.T) {
	pin := func(more string) string { return `{"cid":"` + cidV0 + `"` + more + `}` }
	for _, test := range []struct {
		method, path, body string
		status             int
		reason, details    string
	}{
		{"POST", "/pins", `{}`, 400, door.BadRequest, "no cid"},
		{"POST", "/pins", `[`, 400, door.BadRequest, "not a pin"},
		{"POST", "/pins", pin("") + "x", 400, door.BadRequest, "not a pin"},
		{"POST", "/pins", `{"cid":"Qm"}`, 400, door.BadRequest, `"Qm"`},
		{"POST", "/pins", pin(`,"meta":{"_owner":"bob"}`), 400, door.BadRequest, `"_owner"`},
		{"POST", "/pins", pin(`,"meta":{"Tenant":"t2"}`), 400, door.BadRequest, `"Tenant"`},
		{"POST", "/pins", pin(`,"meta":{"a":1}`), 400, door.BadRequest, "not a pin"},
		{"POST", "/pins", pin(`,"name":"` + strings.Repeat("x", 256<<10) + `"`), 413, door.TooLarge, "bytes"},
		{"POST", "/pins/r1", `{}`, 400, door.BadRequest, "no cid"},
		{"GET", "/pins?limit=0", "", 400, door.BadRequest, "limit"},
		{"GET", "/pins?limit=1001", "", 400, door.BadRequest, "limit"},
		{"GET", "/pins?limit=-1", "", 400, door.BadRequest, "limit"},
		{"GET", "/pins?before=x", "", 400, door.BadRequest, "before"},
		{"GET", "/pins?after=2026", "", 400, door.BadRequest, "after"},
		{"GET", "/pins?meta=1", "", 400, door.BadRequest, "meta"},
		{"GET", "/pins?name=a&name=b", "", 400, door.BadRequest, "more than once"},
		{"GET", "/pins?owner=bob", "", 400, door.BadRequest, "owner"},
		{"GET", "/pins?a=%zz", "", 400, door.BadRequest, "query"},
		{"PATCH", "/pins", "", 405, door.MethodNotAllowed, "GET, POST"},
		{"GET", "/pins/", "", 404, door.NotFound, ""},
	} {
		t.Run(test.method+" "+test.path+" "+test.body[:min(len(test.body), 20)], func(t *testing.T) {
			f := &fakePins{request: stored()}
			wantFailure(t, ask(t, f, "user", test.method, test.path, test.body), test.status, test.reason, test.details)
			if f.asked != nil {
				t.Errorf("asked for %+v", f.asked)
			}
		})
	}
	wantFailure(t, ask(t, &fakePins{}, "viewer", "POST", "/pins", pin("")), 403, "FORBIDDEN", "pins:create")
}

func wantFailure(t *testing.T, w *httptest.ResponseRecorder, status int, reason, details string) {
	t.Helper()
	var got struct {
		Error struct{ Reason, Details string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	if w.Code != status || got.Error.Reason != reason || !strings.Contains(got.Error.Details, details) {
		t.Errorf("%d %s, want %d %s with %q", w.Code, w.Body, status, reason, details)
	}
}

// TestErrorsOfPins: each has its status, and none is an empty answer.
func TestErrorsOfPins(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		reason string
	}{
		{pins.ErrNotFound, 404, door.NotFound},
		{&pins.InvalidError{Field: "name", Problem: "has 256 characters"}, 400, door.BadRequest},
		{fmt.Errorf("of a tenant: %w", &pins.QuotaError{What: "pins", Limit: 5}), 409, door.InsufficientFunds},
		{&pins.TooBroadError{Walked: 5}, 400, door.BadRequest},
		{errors.New("the database is down"), 503, "DEPENDENCY_UNAVAILABLE"},
	} {
		for _, call := range []struct{ method, path, body string }{
			{"POST", "/pins", `{"cid":"` + cidV0 + `"}`}, {"GET", "/pins", ""}, {"POST", "/pins/r1", `{"cid":"` + cidV0 + `"}`}, {"DELETE", "/pins/r1", ""},
		} {
			w := ask(t, &fakePins{request: stored(), err: test.err}, "user", call.method, call.path, call.body)
			wantFailure(t, w, test.status, test.reason, "")
			if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("%s %s: Retry-After is %q with %d", call.method, call.path, w.Header().Get("Retry-After"), w.Code)
			}
			if strings.Contains(w.Body.String(), "database") {
				t.Errorf("a client is told %s", w.Body)
			}
		}
		wantFailure(t, ask(t, &fakePins{request: stored(), getErr: test.err}, "user", "GET", "/pins/r1", ""), test.status, test.reason, "")
	}
}

func TestMediaType(t *testing.T) {
	f := &fakePins{request: stored()}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/pins", strings.NewReader(`{"cid":"`+cidV0+`"}`))
	r.Header.Set("Authorization", "Bearer user")
	r.Header.Set("Content-Type", "text/plain")
	w := httptest.NewRecorder()
	newHandler(t, f).ServeHTTP(w, r)
	wantFailure(t, w, 415, door.UnsupportedType, "application/json")
}

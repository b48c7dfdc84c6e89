package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/native"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	cidV0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
	cidV1 = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
)

// maxAdded bounds what may be added, in bytes.
const maxAdded = 1000

// memoryPins are requests in memory, newest first.
type memoryPins struct {
	all []pins.Request
	n   int
	err error
	// full is what a tenant without room is told.
	full error
	room []int64 // that was asked for
	// most is how many OfCID tells at once. 0 means all.
	most int
}

func (m *memoryPins) Create(_ context.Context, n pins.NewRequest) (pins.Request, error) {
	if m.err != nil {
		return pins.Request{}, m.err
	}
	m.n++
	r := pins.Request{
		ID: fmt.Sprint("r", m.n), Tenant: n.Tenant, Owner: n.Owner, CID: n.CID, Name: n.Name, Meta: n.Meta, Origins: n.Origins,
		ReplMin: n.ReplMin, ReplMax: n.ReplMax, Status: pins.Queued, Created: time.UnixMilli(int64(1700000000000 + m.n)),
	}
	m.all = append([]pins.Request{r}, m.all...)
	return r, nil
}

func (m *memoryPins) CheckOptions(n pins.NewRequest) error {
	if n.CID != "" || n.Tenant == "" || n.Owner == "" {
		return errors.New("it is not what is known before the content is sent")
	}
	if n.ReplMax > 10 {
		return &pins.InvalidError{Field: "replication", Problem: "is too large"}
	}
	return nil
}

func (m *memoryPins) Room(_ context.Context, _ string, bytes int64) error {
	m.room = append(m.room, bytes)
	return m.full
}

func (m *memoryPins) List(_ context.Context, tenant string, q pins.Query) (page pins.Page, err error) {
	for _, r := range m.all {
		if r.Tenant == tenant && (q.Before.IsZero() || r.Created.Before(q.Before)) && len(page.Results) < min(q.Limit, 2) {
			page.Results = append(page.Results, r)
		}
	}
	return page, m.err
}

func (m *memoryPins) OfCID(_ context.Context, tenant, cid string) (found []pins.Request, err error) {
	for _, r := range m.all {
		if r.Tenant == tenant && r.CID == cid {
			found = append(found, r)
		}
	}
	if m.most > 0 {
		found = found[:min(len(found), m.most)]
	}
	return found, m.err
}

func (m *memoryPins) Replace(ctx context.Context, tenant, id string, n pins.NewRequest) (pins.Request, error) {
	if err := m.Remove(ctx, tenant, id); err != nil {
		return pins.Request{}, err
	}
	return m.Create(ctx, n)
}

func (m *memoryPins) Remove(_ context.Context, tenant, id string) error {
	before := len(m.all)
	m.all = slices.DeleteFunc(m.all, func(r pins.Request) bool { return r.Tenant == tenant && r.ID == id })
	if len(m.all) == before {
		return pins.ErrNotFound
	}
	return m.err
}

// fakePeer answers like a peer, by a function.
type fakePeer struct {
	asked  []peerapi.Request
	body   string // of the last request
	answer func(peerapi.Request) (said, error)
}

// said is an answer: late is what upstream says in a trailer.
type said struct {
	status     int
	body, late string
}

func (f *fakePeer) Forward(_ context.Context, w http.ResponseWriter, r peerapi.Request) (int, error) {
	f.asked = append(f.asked, r)
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, err
		}
		f.body = string(text)
	}
	out, err := f.answer(r)
	if err != nil {
		return 0, err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(out.status)
	if _, err := io.WriteString(w, out.body); err != nil {
		return out.status, err
	}
	if out.late != "" {
		w.Header().Set("X-Stream-Error", out.late)
	}
	return out.status, nil
}

func says(status int, body string) func(peerapi.Request) (said, error) {
	return func(peerapi.Request) (said, error) { return said{status: status, body: body}, nil }
}

func fails(err error) func(peerapi.Request) (said, error) {
	return func(peerapi.Request) (said, error) { return said{}, &peerapi.Unreachable{Peer: "p", Err: err} }
}

// statuses answers what a peer says of CIDs: all are pinned, with a name that is the
// cluster's.
func statuses(r peerapi.Request) (said, error) {
	var out strings.Builder
	for cid := range strings.SplitSeq(r.Query.Get("cids"), ",") {
		fmt.Fprintf(&out, `{"cid":%q,"name":"the cluster's","metadata":{"gateway":"x"},"allocations":[],"peer_map":{"12D3KooWQiK1sYbGNnD9XtWF1sP95cawwwNy3d2WUwtP71McwUfZ":{"peername":"p","status":"pinned","timestamp":"2026-01-01T00:00:00Z","error":"","attempt_count":0,"priority_pin":false}}}`+"\n", cid)
	}
	return said{status: 200, body: out.String()}, nil
}

// everybody is the user of the token: role, tenant.
type everybody struct{}

func (everybody) Authenticate(r *http.Request) (principal.Principal, error) {
	role, tenant, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "@")
	return principal.Principal{ID: "alice", Tenant: tenant, Roles: []string{role}, Scopes: []string{"*"}, Method: principal.MethodJWT, Credential: "c"}, nil
}

func (everybody) Active(context.Context, string) (bool, error)     { return true, nil }
func (everybody) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }

type world struct {
	*memoryPins
	*fakePeer
	handler http.Handler
	records *records
}

// records are what is recorded.
type records struct {
	mu  sync.Mutex
	all []audit.Record
}

func (r *records) Append(_ context.Context, one audit.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
	return nil
}

// take returns the records since the last time: kind, CID or id of what it is about, and the
// verdict, status and id of what came of it.
func (r *records) take() (said []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		text := string(one.Kind)
		if e := one.Event; e != nil {
			text += " " + strings.Join(strings.Fields(e.Action+" "+e.Resource.ID+" "+e.Resource.CID), " ")
		}
		if o := one.Result; o != nil {
			text += strings.TrimSuffix(fmt.Sprintf(" %s %d %s", o.Verdict, o.Status, o.ResourceID), " ")
		}
		said = append(said, text)
	}
	r.all = nil
	return said
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{memoryPins: &memoryPins{}, fakePeer: &fakePeer{answer: statuses}, records: new(records)}
	w.serve(t, w.fakePeer)
	return w
}

// serve makes the handler, with a peer.
func (w *world) serve(t testing.TB, peer native.Peer) {
	t.Helper()
	policies, err := authz.New(authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w.records}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := door.New(door.Config{Authenticator: everybody{}, Decider: policies, Recorder: recorder, Tenants: everybody{}})
	if err != nil {
		t.Fatal(err)
	}
	if w.handler, err = d.Handler(native.New(native.Config{Pins: w.memoryPins, Peer: peer, MaxAddBytes: maxAdded})); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request of a role in a tenant. A connection that is cut is status 0.
func (w *world) ask(t testing.TB, who, method, path, body string) (status int, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+who)
	out := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			status, text = 0, out.Body.String()
		}
	}()
	w.handler.ServeHTTP(out, r)
	return out.Code, out.Body.String()
}

// TestPinsOfATenant: a pin is made, changed, shown and removed as upstream's clients
// expect it, and another tenant sees nothing of it.
func TestPinsOfATenant(t *testing.T) {
	w := newWorld(t)
	const who, other = "user@t1", "user@t2"
	status, text := w.ask(t, who, "POST", "/pins/"+cidV1+"?name=n&replication-min=1&replication-max=2&meta-k=v&mode=recursive&shard-size=0&user-allocations=&origins=", "")
	var made api.Pin
	if err := json.Unmarshal([]byte(text), &made); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, text, err)
	}
	if made.Cid.String() != cidV1 || made.Name != "n" || made.Metadata["k"] != "v" || made.ReplicationFactorMax != 2 || made.Type != api.DataType || made.MaxDepth != -1 {
		t.Errorf("made %+v", made)
	}
	if r := w.all[0]; r.Owner != "alice" || r.Tenant != "t1" || r.ReplMin != 1 {
		t.Errorf("the request is %+v", r)
	}
	if status, _ := w.ask(t, other, "POST", "/pins/"+cidV1+"?name=theirs", ""); status != 200 {
		t.Fatal(status)
	}
	if status, text = w.ask(t, who, "POST", "/pins/"+cidV1+"?name=again", ""); status != 200 || len(w.all) != 2 {
		t.Errorf("a second pin of the CID: %d %s, and there are %d requests", status, text, len(w.all))
	}
	status, text = w.ask(t, who, "GET", "/pins/"+cidV1, "")
	var info api.GlobalPinInfo
	if err := json.Unmarshal([]byte(text), &info); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, text, err)
	}
	if info.Name != "again" || len(info.Metadata) > 0 || len(info.PeerMap) != 1 || !info.Match(api.TrackerStatusPinned) {
		t.Errorf("the status is %+v", info)
	}
	if status, text = w.ask(t, other, "GET", "/allocations/"+cidV1, ""); status != 200 || strings.Contains(text, "again") || !strings.Contains(text, `"name":"theirs"`) {
		t.Errorf("the other tenant sees %d %s", status, text)
	}
	if status, text = w.ask(t, who, "DELETE", "/pins/"+cidV1, ""); status != 200 || len(w.all) != 1 || w.all[0].Tenant != "t2" {
		t.Errorf("removed: %d %s, left %+v", status, text, w.all)
	}
	for _, call := range []struct{ method, path string }{{"GET", "/pins/"}, {"GET", "/allocations/"}, {"DELETE", "/pins/"}} {
		if status, text = w.ask(t, who, call.method, call.path+cidV1, ""); status != 404 || text != `{"code":404,"message":"NOT_FOUND: there is no such object"}` {
			t.Errorf("%s %s of what is removed: %d %s", call.method, call.path, status, text)
		}
	}
}

// TestLists has more pins than go into a page, and some of another tenant.
func TestLists(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		tenant := fmt.Sprint("t", 1+i%3/2) // t2 has every third
		cid := []string{cidV0, cidV1}[i%2]
		if _, err := w.Create(t.Context(), pins.NewRequest{Tenant: tenant, Owner: "alice", CID: cid, Name: fmt.Sprint("n", i)}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(path string) (names []string) {
		t.Helper()
		status, text := w.ask(t, "user@t1", "GET", path, "")
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
		for line := range strings.Lines(text) {
			var of struct{ Name string }
			if err := json.Unmarshal([]byte(line), &of); err != nil {
				t.Fatal(err)
			}
			names = append(names, of.Name)
		}
		return names
	}
	all := []string{"n6", "n4", "n3", "n1", "n0"}
	for path, want := range map[string][]string{
		"/allocations": all, "/allocations?filter=pin": all, "/pins": all, "/pins?filter=pinned,error": all, "/pins?filter=queued": nil,
		"/pins?cids=" + cidV0 + "," + cidV1: {"n6", "n3"},
	} {
		if got := names(path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if status, text := w.ask(t, "user@t9", "GET", "/pins", ""); status != 200 || text != "" {
		t.Errorf("of a tenant without pins: %d %q", status, text)
	}
}

// TestNeverShorter: what a peer or the database cannot say makes an error, and not a
// shorter answer.
func TestNeverShorter(t *testing.T) {
	w := newWorld(t)
	for _, cid := range []string{cidV0, cidV1, cidV0} {
		if _, err := w.Create(t.Context(), pins.NewRequest{Tenant: "t1", Owner: "alice", CID: cid}); err != nil {
			t.Fatal(err)
		}
	}
	trailer := func(r peerapi.Request) (said, error) {
		out, err := statuses(r)
		out.late = "the database is down"
		return out, err
	}
	for name, test := range map[string]struct {
		answer func(peerapi.Request) (said, error)
		status int
	}{
		"no peer":    {fails(errors.New("connection refused")), 502},
		"slow":       {fails(os.ErrDeadlineExceeded), 504},
		"500":        {says(500, `{"code":500}`), 502},
		"empty":      {says(200, ""), 502},
		"cut":        {says(200, `{"cid":"`), 502},
		"another":    {says(200, `{"cid":"bafkqaaa"}`), 502},
		"in trailer": {trailer, 502},
	} {
		t.Run(name, func(t *testing.T) {
			w.answer = test.answer
			for _, path := range []string{"/pins", "/pins/" + cidV0, "/pins?cids=" + cidV0} {
				if status, text := w.ask(t, "user@t1", "GET", path, ""); status != test.status || !strings.Contains(text, "UPSTREAM") {
					t.Errorf("%s: %d %s", path, status, text)
				}
			}
		})
	}
	for _, test := range []struct {
		message, filter string
		status          int
	}{
		{"asking whether IPFS answers: it does not", "pinned", 502},
		{"asking whether IPFS answers: it does not", "queued,pin_error", 502},
		{"asking whether IPFS answers: it does not", "error", 200},
		{"asking whether IPFS answers: it does not", "", 200},
		{"the peer has sent no heartbeat since 2026-01-01", "pinned", 200}, // it is not to be asked
	} {
		w.answer = func(r peerapi.Request) (said, error) {
			out, err := statuses(r)
			out.body = strings.Replace(out.body, `"pinned"`, `"cluster_error"`, 1) // of the first CID
			out.body = strings.Replace(out.body, `"error":""`, fmt.Sprintf(`"error":%q`, test.message), 1)
			return out, err
		}
		status, text := w.ask(t, "user@t1", "GET", "/pins?filter="+test.filter, "")
		if status != test.status || (status == 502) != strings.Contains(text, "UPSTREAM") || status == 200 && text == "" {
			t.Errorf("a peer that says %q, and the filter %q: %d %s", test.message, test.filter, status, text)
		}
	}
	calls := 0
	w.answer = func(r peerapi.Request) (said, error) {
		if calls++; calls > 1 {
			return said{}, errors.New("connection refused")
		}
		return statuses(r)
	}
	if status, text := w.ask(t, "user@t1", "GET", "/pins", ""); status != 0 || text == "" {
		t.Errorf("a list whose second page fails: %d %q", status, text)
	}
	w.err = errors.New("the database is down")
	for _, path := range []string{"/pins", "/allocations", "/allocations/" + cidV0} {
		if status, text := w.ask(t, "user@t1", "GET", path, ""); status != 503 {
			t.Errorf("%s without a database: %d %s", path, status, text)
		}
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ method, path, want string }{
		{"POST", "/pins/x", `"x"`},
		{"POST", "/pins/" + cidV0 + "?expire-in=1h", "expire-in"},
		{"POST", "/pins/" + cidV0 + "?pin-update=" + cidV1, "pin-update"},
		{"POST", "/pins/" + cidV0 + "?user-allocations=p", "user-allocations"},
		{"POST", "/pins/" + cidV0 + "?mode=direct", "direct"},
		{"POST", "/pins/" + cidV0 + "?replication=many", "many"},
		{"POST", "/pins/" + cidV0 + "?meta-tenant=t2", "tenant"},
		{"POST", "/pins/" + cidV0 + "?meta-_x=1", "_x"},
		{"GET", "/pins?local=true", "local"},
		{"GET", "/pins?filter=lost", "lost"},
		{"GET", "/pins?cids=x", `\"x\"`},
		{"GET", "/pins?cids=" + strings.Repeat("x,", 1000) + "x", "1001"},
		{"POST", "/add?nocopy=true", "nocopy"},
		{"POST", "/add?nocopy=1", "nocopy"},
		{"POST", "/add?nocopy=T", "nocopy"},
		{"POST", "/add?nocopy=yes", "nocopy"},
		{"POST", "/add?no-pin=t", "no-pin"},
		{"POST", "/add?stream-channels=no", "stream-channels"},
		{"POST", "/add?shard=true", "shard"},
		{"POST", "/add?expire-at=2030-01-01T00:00:00Z", "expire-at"},
	} {
		if status, text := w.ask(t, "user@t1", test.method, test.path, ""); status != 400 || !strings.Contains(text, strings.Trim(test.want, `"`)) {
			t.Errorf("%s %.60s: %d %s", test.method, test.path, status, text)
		}
	}
	if len(w.asked) > 0 || len(w.all) > 0 {
		t.Errorf("a peer was asked %v, and there are %d requests", w.asked, len(w.all))
	}
}

// TestAdd: content goes to a peer that does not pin it, and then there is a request for
// its root; if anything fails there is none.
func TestAdd(t *testing.T) {
	w := newWorld(t)
	lines := `{"name":"a","cid":"` + cidV0 + `","size":1}` + "\n" + `{"name":"","cid":"` + cidV1 + `","size":2}` + "\n"
	w.answer = says(200, lines)
	status, text := w.ask(t, "user@t1", "POST", "/add?wrap-with-directory=true&name=n&meta-k=v", "content")
	if status != 200 || text != lines {
		t.Errorf("%d %s", status, text)
	}
	query := w.asked[0].Query
	if query.Get("no-pin") != "true" || query.Get("wrap-with-directory") != "true" || query.Has("name") || query.Has("meta-k") || w.body != "content" {
		t.Errorf("the peer was asked with %v and %q", query, w.body)
	}
	if r := w.all[0]; len(w.all) != 1 || r.CID != cidV1 || r.Name != "n" || r.Meta["k"] != "v" {
		t.Errorf("the requests are %+v", w.all)
	}
	if status, text = w.ask(t, "user@t1", "POST", "/add?stream-channels=false", "content"); status != 200 || !strings.HasPrefix(text, `[{"name":"a"`) {
		t.Errorf("as an array: %d %s", status, text)
	}
	made := len(w.all)
	for name, peer := range map[string]func(peerapi.Request) (said, error){
		"trailer": func(peerapi.Request) (said, error) { return said{200, lines, "no space"}, nil },
		"nothing": says(200, ""),
		"refused": says(400, `{"code":400,"message":"no file"}`),
		"down":    fails(errors.New("connection refused")),
	} {
		w.answer = peer
		if status, text = w.ask(t, "user@t1", "POST", "/add", "content"); status < 400 || len(w.all) != made {
			t.Errorf("%s: %d %s, and there are %d requests", name, status, text, len(w.all))
		}
	}
	if status, _ = w.ask(t, "viewer@t1", "POST", "/add", "content"); status != 403 {
		t.Errorf("a viewer: %d", status)
	}
}

// TestOperators: what is for those who run the cluster goes to a peer as it is, without
// the credentials of who asks, and for nobody else.
func TestOperators(t *testing.T) {
	w := newWorld(t)
	w.answer = says(200, `{"id":"p"}`)
	for _, who := range []string{"user@t1", "admin@t1", "operator@t1", "auditor@system"} {
		if status, _ := w.ask(t, who, "DELETE", "/peers/p", ""); status != 403 {
			t.Errorf("%s removes a peer: %d", who, status)
		}
	}
	if len(w.asked) > 0 {
		t.Fatalf("a peer was asked %v", w.asked)
	}
	if status, text := w.ask(t, "operator@system", "GET", "/monitor/metrics/ping?x=1", ""); status != 200 || text != `{"id":"p"}` {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := w.ask(t, "operator@system", "POST", "/peers", `{"peer_id":"p"}`); status != 200 || w.body != `{"peer_id":"p"}` {
		t.Errorf("%d, with the body %q", status, w.body)
	}
	if status, _ := w.ask(t, "operator@system", "POST", "/peers", strings.Repeat("x", 64<<10+1)); status != 413 {
		t.Errorf("with a body that is too long: %d", status)
	}
	for _, m := range w.asked {
		if m.Header.Get("Authorization") != "" {
			t.Errorf("%s has the credential of who asked", m.Path)
		}
	}
	if m := w.asked[0]; m.Path != "/monitor/metrics/ping" || m.Query.Get("x") != "1" {
		t.Errorf("asked for %+v", m)
	}
}

package web_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/web"
)

const (
	cidV0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
	cidV1 = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

	policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

func bob() principal.Principal {
	p := alice()
	p.ID = "bob"
	return p
}

// of is alice with another role.
func of(role string) principal.Principal {
	p := alice()
	p.Roles = []string{role}
	return p
}

// fill adds a pin and a key of alice, and returns their ids.
func (w *world) fill() (pin, key string) {
	pin = w.pins.add(pins.Request{Tenant: "acme", Owner: "alice", CID: cidV1, Name: "site", Status: pins.Pinned}).ID
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"30"}}, w.as(alice())), http.StatusCreated)
	return pin, w.keys.list()[0].ID
}

// paths are all routes, with the ids of a pin and a key.
func paths(pin, key string) (all []struct{ method, path string }) {
	for _, r := range routes.Web().Routes() {
		all = append(all, struct{ method, path string }{r.Method, strings.NewReplacer("{pin}", pin, "{key}", key).Replace(r.Pattern)})
	}
	return all
}

// formOf is a form with all fields that any of them has.
func formOf(method string) url.Values {
	if method == http.MethodGet {
		return nil
	}
	return url.Values{"cid": {cidV0}, "right": {"see"}, "days": {"30"}, "hours": {"24"}}
}

// TestHeaders: each answer is protected, whatever it says.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	pin, key := w.fill()
	check := func(a answer, scripts string) {
		t.Helper()
		for name, want := range map[string]string{
			"Content-Security-Policy": policy + scripts, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", a.Request.Method, a.Request.URL.Path, name, got, want)
			}
		}
		if file := strings.HasSuffix(a.Request.URL.Path, "s"); !file && a.Header.Get("Cache-Control") != "no-store" && !strings.HasSuffix(a.Request.URL.Path, ".css") {
			t.Errorf("%s may be stored", a.Request.URL.Path)
		}
	}
	for _, r := range paths(pin, key) {
		scripts := ""
		if r.path == web.Login {
			scripts = "; connect-src 'self'"
		}
		check(w.ask(r.path, formOf(r.method)), scripts)
		check(w.ask(r.path, formOf(r.method), w.as(of("viewer"))), scripts)
		check(w.ask(r.path, formOf(r.method), w.as(alice())), scripts)
	}
	check(w.ask("/ui/nowhere", nil), "")
	check(w.ask("/auth/oidc/callback?state=x&code=y", nil), "")
	if a := newWorld(t, func(c *web.Config) { c.Wallet = false }).ask(web.Login, nil); strings.Contains(a.Header.Get("Content-Security-Policy"), "connect-src") || strings.Contains(a.body, "<script") {
		t.Error("without wallets, the login has a script")
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t)
	page := w.ask(web.Login, nil)
	found := regexp.MustCompile(`(?:href|src)="(/ui/[^"]*\?[^"]*)"`).FindAllStringSubmatch(page.body, -1)
	if len(found) != 2 {
		t.Fatalf("the page has the files %q", found)
	}
	for _, file := range found {
		if a := w.ask(file[1], nil); a.StatusCode != http.StatusOK || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/") {
			t.Errorf("%s: %d %v", file[1], a.StatusCode, a.Header)
		}
		path, _, _ := strings.Cut(file[1], "?")
		if a := w.ask(path+"?other", nil); strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s may be stored for ever under another name", path)
		}
	}
}

// TestLoggedOut: who is nobody is sent to the login, and changes nothing.
func TestLoggedOut(t *testing.T) {
	w := newWorld(t)
	pin, key := w.fill()
	bad := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: sessionCookie, Value: "a.b.c"}) }
	for _, r := range paths(pin, key) {
		if r.path == web.Login || strings.Contains(r.path, ".") {
			continue
		}
		w.wantTo(w.ask(r.path, formOf(r.method)), "/ui/login")
		w.wantTo(w.ask(r.path, formOf(r.method), bad), "/ui/login?ended")
	}
	if keys := w.keys.list(); w.pins.count() != 1 || len(keys) != 1 || !keys[0].Revoked.IsZero() {
		t.Errorf("there are %d pins and the keys %+v", w.pins.count(), keys)
	}
	w.want(w.ask("/ui/login?ended", nil), http.StatusOK, "Your session has ended", "/auth/oidc/login?issuer="+url.QueryEscape(w.issuer.url)+"&amp;return=%2Fui%2Fpins")
}

// TestCrossSite: a form of another site changes nothing, although the cookie comes with it.
func TestCrossSite(t *testing.T) {
	w := newWorld(t)
	pin, key := w.fill()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	before := w.keys.list()
	for _, r := range paths(pin, key) {
		if r.method == http.MethodGet {
			continue
		}
		for _, from := range []func(*http.Request){
			header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"), header("Origin", "https://evil.example"), header("Origin", "null"),
		} {
			w.want(w.ask(r.path, formOf(r.method), w.as(alice()), from), http.StatusForbidden, "The request comes from another site.")
		}
	}
	if w.pins.count() != 1 || len(w.keys.list()) != len(before) || !w.keys.list()[0].Revoked.IsZero() || !w.keys.list()[0].Expires.Equal(before[0].Expires) {
		t.Error("a form of another site has changed something")
	}
	w.wantTo(w.ask("/ui/pins", url.Values{"cid": {cidV0}}, w.as(alice()), header("Sec-Fetch-Site", "same-origin")), "/ui/pins?done=added")
}

func TestPins(t *testing.T) {
	w := newWorld(t)
	w.want(w.ask("/ui/pins", nil, w.as(alice())), http.StatusOK, "Nothing is pinned yet.")
	w.wantTo(w.ask("/ui/pins", url.Values{"cid": {" " + cidV1 + " "}, "name": {"site"}}, w.as(alice())), "/ui/pins?done=added")
	if event, result := w.last(); event.Action != "pins:create" || event.Actor.Principal != "alice" || result.Verdict != audit.Success || result.ResourceID != "pin1" {
		t.Errorf("on record is %+v %+v", event, result)
	}
	w.want(w.ask("/ui/pins?done=added", nil, w.as(alice())), http.StatusOK, "The pin was added.", "site", cidV1, "1 of 1", `href="/ui/pins/pin1/remove"`)
	w.want(w.ask("/ui/pins/pin1/remove", nil, w.as(alice())), http.StatusOK, "Remove this pin?", "site", cidV1)
	if w.pins.count() != 1 {
		t.Error("the question removed it")
	}
	w.wantTo(w.ask("/ui/pins/pin1/remove", url.Values{}, w.as(alice())), "/ui/pins?done=removed")
	if event, _ := w.last(); w.pins.count() != 0 || event.Action != "pins:delete" {
		t.Errorf("%d pins are left, on record is %+v", w.pins.count(), event)
	}
	w.want(w.ask("/ui/pins/pin1/remove", nil, w.as(alice())), http.StatusNotFound, "There is nothing here", "The id of this request is")
}

// TestAddRefused: what is wrong with a form is said beside it, with what was written.
func TestAddRefused(t *testing.T) {
	w := newWorld(t)
	w.want(w.ask("/ui/pins", url.Values{"cid": {"no<b>cid"}, "name": {"my site"}}, w.as(alice())), http.StatusBadRequest,
		`value="no&lt;b&gt;cid"`, `value="my site"`, `role="alert"`, "is not one", `aria-describedby="add-problem"`)
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0, cidV1}}, w.as(alice())), http.StatusBadRequest, "Cid is there more than once.")
	w.pins.fail(&pins.QuotaError{})
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0}}, w.as(alice())), http.StatusConflict, "ask for a larger quota", cidV0)
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0}, "name": {strings.Repeat("x", 70000)}}, w.as(alice())), http.StatusRequestEntityTooLarge, "larger than 64 KiB")
	w.want(w.ask("/ui/pins", url.Values{}, w.as(alice()), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), http.StatusUnsupportedMediaType, "is to be a form")
}

// TestFilter: the query of the page is what is asked, and links keep it.
func TestFilter(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.pins.add(pins.Request{Tenant: "acme", Owner: "alice", CID: cidV1, Name: strings.Repeat("x", i%3), Status: pins.Pinned})
	}
	a := w.ask("/ui/pins?q=X&status=pinned", nil, w.as(alice()))
	w.want(a, http.StatusOK, "25 of 40", `value="X"`, "<option value=\"pinned\" selected>")
	if q := w.pins.asked; q.Name != "X" || q.Match != pins.IPartial || !slices.Equal(q.Statuses, []pins.Status{pins.Pinned}) || q.Limit != 25 {
		t.Errorf("asked for %+v", q)
	}
	if strings.Contains(a.body, "Newest") {
		t.Error("the first page leads to the first page")
	}
	older := regexp.MustCompile(`<a rel="next" href="([^"]*)">`).FindStringSubmatch(a.body)
	if older == nil {
		t.Fatal("there is no link to older pins")
	}
	link := strings.ReplaceAll(older[1], "&amp;", "&")
	a = w.ask(link, nil, w.as(alice()))
	w.want(a, http.StatusOK, "15 of 15", `<a href="/ui/pins?q=X&amp;status=pinned">Newest</a>`)
	if q := w.pins.asked; q.Name != "X" || len(q.Statuses) != 1 || q.Before.IsZero() {
		t.Errorf("the link asks for %+v", q)
	}
	w.ask("/ui/pins?q="+cidV1, nil, w.as(alice()))
	if q := w.pins.asked; q.Name != "" || !slices.Equal(q.CIDs, []string{cidV1}) {
		t.Errorf("a CID is searched as %+v", q)
	}
	w.want(w.ask("/ui/pins?q=nothing", nil, w.as(alice())), http.StatusOK, "Nothing matches.")
	for _, query := range []string{"status=lost", "before=yesterday", "q=a&q=b", "status=pinned&status=failed"} {
		w.want(w.ask("/ui/pins?"+query, nil, w.as(alice())), http.StatusBadRequest, "This cannot be done")
	}
}

// TestDown: what does not answer is no empty list, and a request that is too broad says so.
func TestDown(t *testing.T) {
	w := newWorld(t)
	pin, _ := w.fill()
	w.pins.fail(errors.New("the database is down"))
	a := w.ask("/ui/pins", nil, w.as(alice()))
	w.want(a, http.StatusServiceUnavailable, "This does not work at the moment", "The id of this request is <code>"+a.Header.Get("X-Request-Id"))
	if strings.Contains(a.body, "database is down") || a.Header.Get("Retry-After") == "" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0}}, w.as(alice())), http.StatusServiceUnavailable)
	w.pins.fail(&pins.TooBroadError{})
	w.want(w.ask("/ui/pins?q=x", nil, w.as(alice())), http.StatusBadRequest, `<p class="problem" role="alert">`, `value="x"`)
	w.pins.fail(nil)
	w.keys.err = errors.New("the database is down")
	w.want(w.ask("/ui/keys", nil, w.as(alice())), http.StatusServiceUnavailable)
	w.keys.err = nil
	w.breakAudit()
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0}}, w.as(alice())), http.StatusServiceUnavailable, "audit log cannot be written")
	w.want(w.ask("/ui/pins/"+pin+"/remove", url.Values{}, w.as(alice())), http.StatusServiceUnavailable)
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"30"}}, w.as(alice())), http.StatusServiceUnavailable)
	if w.pins.count() != 1 || len(w.keys.list()) != 1 {
		t.Error("something was changed without a record")
	}
}

// TestOthers: roles and tenants are those of the other APIs.
func TestOthers(t *testing.T) {
	w := newWorld(t)
	pin, key := w.fill()
	stranger := alice()
	stranger.Tenant = "globex"
	for _, r := range paths(pin, key) {
		if strings.Contains(r.path, "/"+pin) || strings.Contains(r.path, "/"+key) {
			w.want(w.ask(r.path, formOf(r.method), w.as(stranger)), http.StatusNotFound)
		}
	}
	if a := w.ask("/ui/pins", nil, w.as(stranger)); strings.Contains(a.body, cidV1) {
		t.Error("the pins of another tenant show")
	}
	w.want(w.ask("/ui/pins", nil, w.as(of("viewer"))), http.StatusOK, cidV1)
	w.want(w.ask("/ui/pins", url.Values{"cid": {cidV0}}, w.as(of("viewer"))), http.StatusForbidden, "nothing permits pins:create")
	w.want(w.ask("/ui/keys", nil, w.as(of("viewer"))), http.StatusForbidden)
	w.want(w.ask("/ui/pins/"+pin+"/remove", url.Values{}, w.as(bob())), http.StatusForbidden)
	for _, path := range []string{"/revoke", "/rotate"} {
		w.want(w.ask("/ui/keys/"+key+path, nil, w.as(bob())), http.StatusNotFound)
		w.want(w.ask("/ui/keys/"+key+path, formOf("POST"), w.as(bob())), http.StatusNotFound)
	}
	if a := w.ask("/ui/keys", nil, w.as(bob())); strings.Contains(a.body, key) {
		t.Error("the keys of another principal show")
	}
	if w.pins.count() != 1 || len(w.keys.list()) != 1 || !w.keys.list()[0].Revoked.IsZero() {
		t.Error("somebody else has changed something")
	}
}

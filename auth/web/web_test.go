package web_test

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.want(w.ask("/ui/keys", nil, w.as(alice())), http.StatusOK, "You have no keys.", "See pins and their status")
	a := w.ask("/ui/keys", url.Values{"right": {"see", "remove"}, "days": {"30"}}, w.as(alice()))
	w.want(a, http.StatusCreated, "This is the only time that the key is shown.", w.url+"/psa")
	key := w.keys.list()[0]
	if !slices.Equal(key.Scopes, []string{"pins:delete", "pins:list", "pins:read", "status:read"}) || !slices.Equal(key.Roles, []string{"user"}) || key.Owner != "alice" || key.Tenant != "acme" ||
		key.CreatedBy != "alice" || time.Until(key.Expires).Round(time.Hour) != 30*24*time.Hour {
		t.Errorf("made was %+v", key.Grant)
	}
	secret := regexp.MustCompile(`id="secret"[^>]*value="(icp_live_[^"]*)"`).FindStringSubmatch(a.body)
	if secret == nil || w.keys.secrets[secret[1]] != key.ID {
		t.Fatalf("the page shows the secret %q", secret)
	}
	if event, result := w.last(); event.Action != "keys:create" || result.ResourceID != key.ID {
		t.Errorf("on record is %+v %+v", event, result)
	}
	a = w.ask("/ui/keys", nil, w.as(alice()))
	w.want(a, http.StatusOK, "icp_live_"+key.ID+"_…", "active", "pins:delete", "never")
	if strings.Contains(a.body, secret[1]) {
		t.Error("the list shows the secret")
	}

	w.want(w.ask("/ui/keys/"+key.ID+"/rotate", nil, w.as(alice())), http.StatusOK, "Rotate this key", "in 1 day")
	w.want(w.ask("/ui/keys/"+key.ID+"/rotate", url.Values{"hours": {"1"}}, w.as(alice())), http.StatusCreated, "It takes the place of the key", key.ID)
	all := w.keys.list()
	if len(all) != 2 || all[1].RotatedFrom != key.ID || time.Until(all[0].Expires) > time.Hour {
		t.Errorf("after the rotation there are %+v", all)
	}
	w.want(w.ask("/ui/keys/"+key.ID+"/revoke", nil, w.as(alice())), http.StatusOK, "Revoke this key?")
	w.wantTo(w.ask("/ui/keys/"+key.ID+"/revoke", url.Values{}, w.as(alice())), "/ui/keys?done=revoked")
	w.want(w.ask("/ui/keys?done=revoked", nil, w.as(alice())), http.StatusOK, "The key was revoked.", `class="status revoked"`)

	// All pages of the tenant's keys are read for those of one.
	w.keys.perPage = 1
	if a := w.ask("/ui/keys", nil, w.as(alice())); strings.Count(a.body, "icp_live_") != 2 {
		t.Errorf("of two keys one is not listed:\n%s", a.body)
	}
}

// TestKeysRefused: a key is good for no more than who makes it.
func TestKeysRefused(t *testing.T) {
	w := newWorld(t)
	reader := alice()
	reader.Scopes = []string{"keys:*", "pins:list", "pins:read", "status:read"}
	a := w.ask("/ui/keys", nil, w.as(reader))
	if !strings.Contains(a.body, "See pins") || strings.Contains(a.body, "Remove pins") {
		t.Errorf("a reader may choose\n%s", a.body)
	}
	w.want(w.ask("/ui/keys", url.Values{"right": {"remove"}, "days": {"30"}}, w.as(reader)), http.StatusBadRequest, "Choose at least one thing")
	w.want(w.ask("/ui/keys", url.Values{"days": {"30"}}, w.as(alice())), http.StatusBadRequest, "Choose at least one thing")
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"10000"}}, w.as(alice())), http.StatusBadRequest, "Days is not one of those")
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}}, w.as(alice())), http.StatusBadRequest)
	if len(w.keys.list()) != 0 {
		t.Fatal("a key was made")
	}
	w.want(w.ask("/ui/keys", url.Values{"right": {"see", "remove"}, "days": {"30"}}, w.as(alice())), http.StatusCreated)
	key := w.keys.list()[0].ID
	// A session that is good for less does not get a key that is good for more.
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1"}}, w.as(reader)), http.StatusForbidden, "the scope &#34;pins:delete&#34; is not one")
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1000"}}, w.as(alice())), http.StatusBadRequest)
	// A key makes no key: it may be good in some networks only.
	grant := w.keys.list()[0].Grant
	grant.Scopes, grant.Roles = []string{"*"}, []string{"user"}
	_, token, err := w.keys.CreateKey(t.Context(), grant)
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Text()) }
	w.want(w.ask("/ui/keys", url.Values{"right": {"see"}, "days": {"30"}}, bearer), http.StatusForbidden, "a key makes no other here")
	w.want(w.ask("/ui/keys/"+key+"/rotate", url.Values{"hours": {"1"}}, bearer), http.StatusForbidden)
	if len(w.keys.list()) != 2 {
		t.Error("a key was made")
	}
	none := newWorld(t, func(c *web.Config) { c.Keys = nil })
	none.want(none.ask("/ui/keys", nil, none.as(alice())), http.StatusNotFound)
	if a := none.ask("/ui/pins", nil, none.as(alice())); strings.Contains(a.body, "API keys") {
		t.Error("without keys there is a link to them")
	}
}

// TestContrast: texts can be read, in both colour schemes (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	css := string(must(os.ReadFile("style.css")))
	colours := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	light, rest, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "\n}\n")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		has := make(map[string]string)
		for _, found := range colours.FindAllStringSubmatch(text, -1) {
			has[found[1]] = found[2]
		}
		for _, pair := range [][2]string{
			{"text", "ground"}, {"text", "card"}, {"soft", "ground"}, {"soft", "card"}, {"soft", "still-ground"}, {"accent", "ground"}, {"accent", "card"}, {"accent-text", "accent"},
			{"good", "good-ground"}, {"wait", "wait-ground"}, {"bad", "bad-ground"}, {"bad", "card"}, {"card", "bad"}, {"still", "still-ground"}, {"text", "still-ground"},
		} {
			if got := contrast(has[pair[0]], has[pair[1]]); got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f", scheme, pair[0], pair[1], got)
			}
		}
		for _, under := range []string{"ground", "card"} {
			if got := contrast(has["field"], has[under]); got < 3 {
				t.Errorf("%s: the border of fields has a contrast of %.2f on %s", scheme, got, under)
			}
		}
	}
}

// contrast is that of two colours (WCAG 2.2), 0 of what is none.
func contrast(a, b string) float64 {
	light := func(colour string) float64 {
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
			c := float64(n) / 255
			if err != nil {
				return 0
			}
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	if len(a) != 6 || len(b) != 6 {
		return 0
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

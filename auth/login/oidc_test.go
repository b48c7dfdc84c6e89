package login_test

import (
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/login"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const flowCookie = "__Host-pin-login"

// loginPath is where a login begins that returns to a path.
func (w *world) loginPath(path string) string {
	return "/auth/oidc/login?" + url.Values{"issuer": {w.issuer.url}, "return": {path}}.Encode()
}

// begin begins a login and returns the callback to which the issuer sends the browser.
func (w *world) begin(path string) string {
	w.t.Helper()
	a := w.get(w.loginPath(path))
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), w.issuer.url+"/authorize?") {
		w.t.Fatal(a.StatusCode, a.body, a.Header)
	}
	wantCookie(w.t, a, flowCookie, http.SameSiteLaxMode)
	back := w.get(a.Header.Get("Location")).Header.Get("Location")
	if !strings.HasPrefix(back, w.url+"/auth/oidc/callback?") {
		w.t.Fatalf("the issuer sends the browser to %s", back)
	}
	return back
}

func TestOIDC(t *testing.T) {
	w := newWorld(t)
	back := w.begin("/pins?status=pinned")
	a := w.get(back)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/pins?status=pinned" || a.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatal(a.StatusCode, a.body, a.Header)
	}
	wantCookie(t, a, sessionCookie, http.SameSiteLaxMode)
	w.wantLogin("login:OIDCCallback", w.issuer.url+"#8a6f")
	p, _ := w.who("")
	if p.ID != w.issuer.url+"#8a6f" || p.Tenant != "t1" || len(p.Roles) != 1 || p.Roles[0] != "pin-user" || p.Via != principal.MethodJWT || time.Until(p.Expires) > 5*time.Minute {
		t.Errorf("the browser is %+v", p)
	}
	if w.cookie(flowCookie) != "" {
		t.Error("the browser still has the cookie of the login")
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(w.issuer.asked.Get(name)) < 22 {
			t.Errorf("%s is %q", name, w.issuer.asked.Get(name))
		}
	}
}

// TestOIDCOwner: whose subject belongs to a principal is that principal, in its tenant.
func TestOIDCOwner(t *testing.T) {
	w := newWorld(t)
	w.register(w.issuer.url + "#8a6f")
	w.get(w.begin("/"))
	if p, _ := w.who(""); p.ID != "alice" || p.Subject != "8a6f" {
		t.Errorf("the browser is %+v", p)
	}
	other := newWorld(t)
	other.owners[other.issuer.url+"#8a6f"] = principal.Principal{ID: "bob", Tenant: "t2"}
	other.want(other.get(other.begin("/")), 401, authn.InvalidToken)
}

// TestOIDCFactors: a session has what the access token says of factors, and nothing that only
// the ID token says.
func TestOIDCFactors(t *testing.T) {
	for _, in := range []string{"access", "id", ""} {
		w := newWorld(t)
		w.issuer.change(func() {
			w.issuer.spoil = func(id, access map[string]any) {
				if claims := map[string]map[string]any{"id": id, "access": access}[in]; claims != nil {
					claims["amr"] = []string{"pwd", "mfa"}
				}
			}
		})
		w.get(w.begin("/"))
		if p, status := w.who(""); status != 200 || p.Method != principal.MethodSession || p.MFA != (in == "access") {
			t.Errorf("amr in the token %q: %d, %+v", in, status, p)
		}
	}
}

// TestOIDCReplay: neither a callback, nor a code, nor a cookie is good twice.
func TestOIDCReplay(t *testing.T) {
	w := newWorld(t)
	back := w.begin("/")
	cookie := w.cookie(flowCookie)
	w.get(back)
	used, _ := url.Parse(back)
	w.client.Jar = must(cookiejar.New(nil))
	w.want(w.get(back), 401, authn.InvalidToken)
	withCookie := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: flowCookie, Value: value}) }
	}
	w.want(w.callback(back, withCookie(cookie)), 401, authn.InvalidToken)
	w.wantFailed(principal.MethodJWT, authn.InvalidToken)

	// The code of another login, in a login that has begun.
	mine, _ := url.Parse(w.begin("/"))
	q := mine.Query()
	q.Set("code", used.Query().Get("code"))
	mine.RawQuery = q.Encode()
	w.want(w.get(mine.String()), 401, authn.InvalidToken)

	// A code that was not used yet, of another browser: its verifier is another.
	stolen, _ := url.Parse(w.begin("/"))
	w.client.Jar = must(cookiejar.New(nil))
	mine, _ = url.Parse(w.begin("/"))
	q = mine.Query()
	q.Set("code", stolen.Query().Get("code"))
	mine.RawQuery = q.Encode()
	w.want(w.get(mine.String()), 401, authn.InvalidToken)
}

func (w *world) callback(target string, change func(*http.Request)) answer {
	w.t.Helper()
	r := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, target, nil))
	change(r)
	return w.do(r)
}

// TestOIDCOtherBrowser: a callback in a browser that did not begin, or that began another
// login, logs nobody in; nor does a cookie that was changed.
func TestOIDCOtherBrowser(t *testing.T) {
	w := newWorld(t)
	empty := func() { w.client.Jar = must(cookiejar.New(nil)) }
	back := w.begin("/")
	empty()
	w.want(w.get(back), 401, authn.InvalidToken)

	back = w.begin("/")
	empty()
	w.begin("/")
	w.want(w.get(back), 401, authn.InvalidToken)

	empty()
	back = w.begin("/")
	changed := []byte(w.cookie(flowCookie))
	changed[len(changed)/2] ^= 1
	empty()
	w.want(w.callback(back, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: flowCookie, Value: string(changed)}) }), 401, authn.InvalidToken)

	// With the same secret, and another path to return to.
	empty()
	back = w.begin("/")
	text := must(base64.RawURLEncoding.DecodeString(w.cookie(flowCookie)))
	other := strings.Replace(string(text), `"return":"/"`, `"return":"//evil.example"`, 1)
	if other == string(text) {
		t.Fatalf("the cookie is %s", text)
	}
	empty()
	elsewhere := &http.Cookie{Name: flowCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(other))}
	w.want(w.callback(back, func(r *http.Request) { r.AddCookie(elsewhere) }), 401, authn.InvalidToken)

	// A wallet's nonce and handle are no state and no cookie of a login.
	nonce := w.get("/auth/siwe/nonce").read(t, "nonce")
	handle := w.cookie("__Host-pin-siwe")
	w.want(w.callback(w.url+"/auth/oidc/callback?code=x&state="+nonce, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: flowCookie, Value: handle}) }), 401, authn.InvalidToken)
}

func TestOIDCCallbackRefused(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		change func(url.Values)
		status int
		reason string
	}{
		"no state":       {func(q url.Values) { q.Del("state") }, 400, authn.InvalidRequest},
		"two states":     {func(q url.Values) { q.Add("state", "x") }, 400, authn.InvalidRequest},
		"no code":        {func(q url.Values) { q.Del("code") }, 400, authn.InvalidRequest},
		"code and error": {func(q url.Values) { q.Set("error", "access_denied") }, 400, authn.InvalidRequest},
		"another state":  {func(q url.Values) { q.Set("state", "x") }, 401, authn.InvalidToken},
		"another code":   {func(q url.Values) { q.Set("code", "x") }, 401, authn.InvalidToken},
		"another issuer": {func(q url.Values) { q.Set("iss", "https://evil.example") }, 401, authn.InvalidToken},
		"denied":         {func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, 401, authn.InvalidToken},
		"issuer is busy": {func(q url.Values) { q.Del("code"); q.Set("error", "temporarily_unavailable") }, 503, authn.DependencyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			u, _ := url.Parse(w.begin("/"))
			q := u.Query()
			q.Set("error_description", "click-here")
			test.change(q)
			u.RawQuery = q.Encode()
			a := w.get(u.String())
			w.want(a, test.status, test.reason)
			if strings.Contains(a.body, "click-here") {
				t.Error("the answer repeats what came in the URL")
			}
		})
	}
}

// TestOIDCTokens: whatever the two tokens say wrong, nobody is logged in.
func TestOIDCTokens(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(id, access map[string]any){
		"nonce of another login":    func(id, _ map[string]any) { id["nonce"] = "x" },
		"no nonce":                  func(id, _ map[string]any) { delete(id, "nonce") },
		"ID token for another":      func(id, _ map[string]any) { id["aud"] = "other" },
		"ID token to another":       func(id, _ map[string]any) { id["azp"] = "other" },
		"two audiences and no azp":  func(id, _ map[string]any) { id["aud"] = []string{clientID, "other"}; delete(id, "azp") },
		"ID token of another":       func(id, _ map[string]any) { id["iss"] = "https://evil.example" },
		"ID token expired":          func(id, _ map[string]any) { id["exp"] = time.Now().Add(-time.Hour).Unix() },
		"of another access token":   func(id, _ map[string]any) { id["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"subjects differ":           func(id, _ map[string]any) { id["sub"] = "bob" },
		"no subject":                func(id, _ map[string]any) { delete(id, "sub") },
		"access token for another":  func(_, access map[string]any) { access["aud"] = "account" },
		"access token without aud":  func(_, access map[string]any) { delete(access, "aud") },
		"access token of no tenant": func(_, access map[string]any) { delete(access, "tenant") },
		"a tenant not its own":      func(_, access map[string]any) { access["tenant"] = "t3" },
		"an ID token for access":    func(_, access map[string]any) { access["typ"] = "ID" },
		"access token expired":      func(_, access map[string]any) { access["exp"] = time.Now().Add(-time.Hour).Unix() },
		"access token ends now":     func(_, access map[string]any) { access["exp"] = time.Now().Add(-10 * time.Second).Unix() },
	} {
		t.Run(name, func(*testing.T) {
			w.issuer.change(func() { w.issuer.spoil = spoil })
			w.want(w.get(w.begin("/")), 401, authn.InvalidToken)
			w.wantFailed(principal.MethodJWT, authn.InvalidToken)
		})
	}
	w.issuer.change(func() { w.issuer.spoil, w.issuer.key = nil, otherKey() })
	w.want(w.get(w.begin("/")), 401, authn.InvalidToken)
	w.issuer.change(func() { w.issuer.key = issuerKey() })
	if a := w.get(w.begin("/")); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a login with nothing wrong: %d %s", a.StatusCode, a.body)
	}
}

// TestIssuerDown: an issuer that does not answer, or not as it should, refuses nobody.
func TestIssuerDown(t *testing.T) {
	for name, down := range map[string]func(*issuer){
		"tokens":        func(i *issuer) { i.down["/token"] = true },
		"keys":          func(i *issuer) { i.down["/jwks"] = true },
		"we are nobody": func(i *issuer) { i.methods = []string{"none"}; i.answer = unauthorized },
		"no JSON": func(i *issuer) {
			i.answer = func(w http.ResponseWriter) bool { _, _ = w.Write([]byte("<html>")); return true }
		},
		"no ID token": func(i *issuer) {
			i.answer = func(w http.ResponseWriter) bool {
				write(w, http.StatusOK, map[string]string{"access_token": "x", "token_type": "Bearer"})
				return true
			}
		},
		"without end": func(i *issuer) {
			i.answer = func(w http.ResponseWriter) bool {
				for range 2000 {
					_, _ = w.Write([]byte(strings.Repeat(" ", 1024)))
				}
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			back := w.begin("/")
			w.issuer.change(func() { down(w.issuer) })
			w.want(w.get(back), 503, authn.DependencyUnavailable)
			if all := w.recorded(); len(all) > 0 {
				t.Errorf("on record is %+v", all[0])
			}
		})
	}
	w := newWorld(t)
	w.issuer.change(func() { w.issuer.down["/.well-known/openid-configuration"] = true })
	for range 3 {
		w.want(w.get(w.loginPath("/")), 503, authn.DependencyUnavailable)
	}
	if n := w.issuer.fetched["/.well-known/openid-configuration"]; n != 1 {
		t.Errorf("an issuer that is down was asked %d times", n)
	}
}

func unauthorized(w http.ResponseWriter) bool {
	write(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	return true
}

// TestReturn: nobody is sent to another site, whatever the login was asked for.
func TestReturn(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"", "https://evil.example", "//evil.example", `/\evil.example`, "https:evil.example", "/%2fevil.example", "/a/../..//evil", "/auth/oidc/login?issuer=x"} {
		a := w.get(w.loginPath(path))
		w.want(a, 400, authn.InvalidRequest)
		if a.Header.Get("Location") != "" {
			t.Errorf("%q leads to %s", path, a.Header.Get("Location"))
		}
	}
	w.want(w.get("/auth/oidc/login?issuer="+url.QueryEscape(w.issuer.url)+"&return=/&return=//evil"), 400, door.BadRequest)
	w.want(w.get("/auth/oidc/login?return=/"), 400, door.BadRequest)
	w.want(w.get("/auth/oidc/login?issuer=https://evil.example"), 400, authn.InvalidRequest)
	w.want(w.get("/auth/oidc/login?issuer="+url.QueryEscape(w.issuer.url+"/")), 400, authn.InvalidRequest)
	if a := w.get("/auth/oidc/login?issuer=" + url.QueryEscape(w.issuer.url)); a.StatusCode != http.StatusSeeOther {
		t.Errorf("without a path to return to: %d %s", a.StatusCode, a.body)
	}
}

func TestClientSecretInBody(t *testing.T) {
	w := newWorld(t)
	w.issuer.change(func() { w.issuer.methods = []string{"client_secret_post"} })
	if a := w.get(w.begin("/")); a.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestProviders(t *testing.T) {
	w := newWorld(t)
	good := w.issuer.provider()
	for name, change := range map[string]func(*login.Provider){
		"no client":          func(p *login.Provider) { p.ClientID = "" },
		"client not its own": func(p *login.Provider) { p.ClientID = "other" },
		"no algorithms":      func(p *login.Provider) { p.Issuer.Algorithms = nil },
		"http":               func(p *login.Provider) { p.Issuer.AllowHTTP = false },
	} {
		p := good
		change(&p)
		if _, err := login.NewOIDC(w.url, []login.Provider{p}, tokensOf(t, w), nil, w, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := login.NewOIDC(w.url, []login.Provider{good, good}, tokensOf(t, w), nil, w, nil); err == nil {
		t.Error("an issuer is there twice")
	}
	if _, err := login.NewOIDC(w.url+"/", []login.Provider{good}, tokensOf(t, w), nil, w, nil); err == nil {
		t.Error("the gateway has a path")
	}
}

func tokensOf(t *testing.T, w *world) *jwt.Verifier {
	t.Helper()
	return must(jwt.New([]jwt.Issuer{w.issuer.configured()}, nil, nil))
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	w.get(w.begin("/"))
	token := w.cookie(sessionCookie)
	w.set("denylist", true)
	if a := w.post("/auth/logout", ""); a.StatusCode != 503 || w.cookie(sessionCookie) == "" {
		t.Errorf("while the session cannot be revoked: %d, and the cookie is %q", a.StatusCode, w.cookie(sessionCookie))
	}
	w.set("denylist", false)
	w.set("audit", true)
	if a := w.post("/auth/logout", ""); a.StatusCode != 503 || len(w.revoked) != 0 {
		t.Errorf("without a record: %d, and %d sessions are revoked", a.StatusCode, len(w.revoked))
	}
	w.set("audit", false)
	if a := w.post("/auth/logout", ""); a.StatusCode != http.StatusNoContent || w.cookie(sessionCookie) != "" {
		t.Fatalf("%d %s, and the cookie is %q", a.StatusCode, a.body, w.cookie(sessionCookie))
	}
	all := w.recorded()
	last, before := all[len(all)-1], all[len(all)-2]
	if before.Kind != audit.Intent || before.Event.Action != "login:Logout" || before.Event.Resource.Kind != "session" || before.Event.Resource.ID == "" ||
		before.Event.Actor.Principal != w.issuer.url+"#8a6f" || last.Kind != audit.Outcome || last.Result.Verdict != audit.Success {
		t.Errorf("recorded are %+v and %+v", before, last)
	}
	if _, status := w.who(token); status != http.StatusUnauthorized {
		t.Errorf("after the logout the session has the status %d", status)
	}
	for key, until := range w.revoked {
		if !strings.HasPrefix(key, "token:") || time.Until(until) > 20*time.Minute || time.Until(until) < 5*time.Minute {
			t.Errorf("%s is revoked until %v", key, until)
		}
	}
}

// TestBrowsers: who sits before a browser gets pages, and programs do not.
func TestBrowsers(t *testing.T) {
	w := newWorld(t, func(c *login.Config) {
		c.Home = "/ui/login"
		c.Page = func(w http.ResponseWriter, p *door.Problem, _ string) {
			w.WriteHeader(p.Status)
			_, _ = w.Write([]byte("<p>" + p.Reason))
		}
	})
	browser := func(r *http.Request) {
		r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a := w.callback(w.url+"/auth/oidc/callback?state=x&code=y", browser); a.StatusCode != http.StatusUnauthorized || a.body != "<p>"+authn.InvalidToken {
		t.Errorf("a browser is told %d %s", a.StatusCode, a.body)
	}
	w.want(w.get("/auth/oidc/callback?state=x&code=y"), 401, authn.InvalidToken)
	w.get(w.begin("/"))
	if a := w.post("/auth/logout", "", browser); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/ui/login" || w.cookie(sessionCookie) != "" || len(w.revoked) != 1 {
		t.Errorf("a browser that logs out: %d, %v, and the cookie is %q", a.StatusCode, a.Header, w.cookie(sessionCookie))
	}
	if a := w.post("/auth/logout", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("a program that logs out: %d", a.StatusCode)
	}
}

// TestLogoutOfNobody: who has no session, or one that is no longer good, is logged out.
func TestLogoutOfNobody(t *testing.T) {
	w := newWorld(t)
	for _, change := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer a.b.c") },
		func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") },
		func(r *http.Request) { r.AddCookie(&http.Cookie{Name: sessionCookie, Value: "x"}) },
	} {
		if a := w.post("/auth/logout", "", change); a.StatusCode != http.StatusNoContent {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if len(w.revoked) != 0 || len(w.recorded()) != 0 {
		t.Errorf("%v is revoked, and %v on record", w.revoked, w.recorded())
	}
	w.want(w.post("/auth/logout", "", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer x")
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: "x"})
	}), 400, door.BadRequest)
}

// TestLogoutOfBearer: a session that is no cookie ends, too.
func TestLogoutOfBearer(t *testing.T) {
	w := newWorld(t)
	k := edHolder()
	w.register(k.did)
	token := w.post("/auth/did/token", map[string]string{"jws": k.reply(w.challenge(k), t)}).read(t, "access_token")
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	for range 2 {
		if a := w.post("/auth/logout", "", bearer); a.StatusCode != http.StatusNoContent || len(w.revoked) != 1 {
			t.Errorf("%d %s, and %d sessions are revoked", a.StatusCode, a.body, len(w.revoked))
		}
	}
	if _, status := w.who(token); status != http.StatusUnauthorized {
		t.Errorf("after the logout the session has the status %d", status)
	}
}

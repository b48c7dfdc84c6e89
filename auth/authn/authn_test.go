package authn

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/did"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
)

// The rooms that verify are what an Authenticator asks.
var (
	_ Tokens = (*jwt.Verifier)(nil)
	_ Tokens = (*session.Sessions)(nil)
	_ Keys   = (*apikey.Verifier)(nil)

	_ Signatures = (*did.Signatures)(nil)
)

// room stands for all rooms: it says who a credential is of by what it is.
type room struct {
	method principal.Method
	err    error
	asked  []string
}

func (r *room) answer(text string) (principal.Principal, error) {
	r.asked = append(r.asked, text)
	if r.err != nil {
		return principal.Principal{}, r.err
	}
	return principal.Principal{ID: "iss#" + string(r.method), Tenant: "t1", Method: r.method, Credential: "c"}, nil
}

func (r *room) Verify(_ context.Context, text string) (principal.Principal, error) {
	return r.answer(text)
}

type keys struct{ room }

func (k *keys) Verify(_ context.Context, text string, from netip.Addr) (principal.Principal, error) {
	return k.answer(text + " from " + from.String())
}

// signatures stand for those of a DID. Its err comes before anybody is admitted, used after.
type signatures struct {
	did       string
	err, used error
}

func (s *signatures) Verify(_ *http.Request, admit func(string) error) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	if err := admit(s.did); err != nil {
		return "", err
	}
	return s.did, s.used
}

func (s *signatures) Accept() string { return `sig=("@method")` }

type directory struct {
	owners map[string]principal.Principal
	err    error
}

func (d *directory) Owner(_ context.Context, credential string) (principal.Principal, bool, error) {
	p, ok := d.owners[credential]
	return p, ok, d.err
}

// gate is an authenticator with all its rooms.
type gate struct {
	*Authenticator
	tokens, sessions *room
	keys             *keys
	signatures       *signatures
	directory        *directory
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{
		tokens: &room{method: principal.MethodJWT}, sessions: &room{method: principal.MethodSession}, keys: &keys{room{method: principal.MethodAPIKey}},
		signatures: &signatures{did: "did:key:zAlice"},
		directory:  &directory{owners: map[string]principal.Principal{"did:key:zAlice": {ID: "alice", Tenant: "t1", Roles: []string{"pin-user"}, MFA: true}}}, // which is of no key
	}
	owners, err := NewOwners(g.directory, recent.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g.Authenticator, err = New(Config{
		Realm: "ipfs-pinning", Tokens: g.tokens, Sessions: g.sessions, Keys: g.keys, Signatures: g.signatures, Owners: owners, Cookie: "__Host-pin",
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://pins.example.com/pins?cid=x", strings.NewReader("{}"))
	r.RemoteAddr = "192.0.2.7:1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

var (
	encode     = base64.RawURLEncoding.EncodeToString
	aJWT       = encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + ".e30.c2ln"
	aSession   = encode([]byte(`{"alg":"EdDSA","typ":"pin-session+jwt"}`)) + ".e30.c2ln"
	aKey       = "icp_live_x"
	noError    = `Bearer realm="ipfs-pinning"`
	withError  = noError + `, error="%s", error_description="%s"`
	twoMessage = fmt.Sprintf(withError, "invalid_request", "the request has more than one credential")
)

// What a request has, and what comes of it: the method of the principal, or the status.
func TestRequests(t *testing.T) {
	for _, test := range []struct {
		name      string
		headers   []string
		method    principal.Method
		status    int
		reason    string
		challenge string
	}{
		{name: "a token", headers: []string{"Authorization", "Bearer " + aJWT}, method: principal.MethodJWT},
		{name: "an opaque token", headers: []string{"Authorization", "Bearer opaque"}, method: principal.MethodJWT},
		{name: "a session", headers: []string{"Authorization", "Bearer " + aSession}, method: principal.MethodSession},
		{name: "a key", headers: []string{"Authorization", "Bearer " + aKey}, method: principal.MethodAPIKey},
		{name: "bearer", headers: []string{"Authorization", "bearer " + aKey}, method: principal.MethodAPIKey},
		{name: "BEARER", headers: []string{"authorization", "BEARER  " + aKey}, method: principal.MethodAPIKey},
		{name: "padding", headers: []string{"Authorization", "Bearer abc=="}, method: principal.MethodJWT},
		{name: "a signature", headers: []string{"Signature", "sig=:AA==:", "Signature-Input", "sig=()"}, method: principal.MethodDID},
		{name: "half a signature", headers: []string{"Signature-Input", "sig=()"}, method: principal.MethodDID},
		{name: "a cookie", headers: []string{"Cookie", "__Host-pin=abc"}, method: principal.MethodSession},
		{name: "a cookie of a page of ours", headers: []string{"Cookie", "__Host-pin=abc", "Sec-Fetch-Site", "same-origin"}, method: principal.MethodSession},

		{name: "nothing", status: 401, reason: Unauthorized, challenge: noError},
		{name: "who one says one is", headers: []string{"X-Forwarded-User", "alice", "X-Auth-Request-User", "alice", "X-Tenant", "t1", "Remote-User", "alice"}, status: 401, reason: Unauthorized, challenge: noError},
		{name: "Basic", headers: []string{"Authorization", "Basic YTpi"}, status: 401, reason: Unauthorized, challenge: noError},
		{name: "another cookie", headers: []string{"Cookie", "pin=abc"}, status: 401, reason: Unauthorized, challenge: noError},
		{name: "an empty cookie", headers: []string{"Cookie", "__Host-pin="}, status: 401, reason: Unauthorized, challenge: noError},
		{name: "a cookie on a page of another site", headers: []string{"Cookie", "__Host-pin=abc", "Sec-Fetch-Site", "cross-site"}, status: 403, reason: Forbidden},
		{name: "a cookie on a page of a neighbour", headers: []string{"Cookie", "__Host-pin=abc", "Sec-Fetch-Site", "same-site"}, status: 403, reason: Forbidden},
		{name: "a cookie of an old browser", headers: []string{"Cookie", "__Host-pin=abc", "Origin", "https://evil.example"}, status: 403, reason: Forbidden},

		{name: "two headers", headers: []string{"Authorization", "Bearer a", "Authorization", "Bearer a"}, status: 400, reason: InvalidRequest, challenge: twoMessage},
		{name: "two in one header", headers: []string{"Authorization", "Bearer a, Bearer b"}, status: 400, reason: InvalidRequest},
		{name: "a token and a signature", headers: []string{"Authorization", "Bearer a", "Signature", "x"}, status: 400, reason: InvalidRequest, challenge: twoMessage},
		{name: "a token and a cookie", headers: []string{"Authorization", "Bearer a", "Cookie", "__Host-pin=b"}, status: 400, reason: InvalidRequest, challenge: twoMessage},
		{name: "two cookies", headers: []string{"Cookie", "__Host-pin=a; __Host-pin=b"}, status: 400, reason: InvalidRequest, challenge: twoMessage},
		{name: "empty", headers: []string{"Authorization", ""}, status: 400, reason: InvalidRequest},
		{name: "no token", headers: []string{"Authorization", "Bearer"}, status: 400, reason: InvalidRequest},
		{name: "an empty token", headers: []string{"Authorization", "Bearer "}, status: 400, reason: InvalidRequest},
		{name: "no scheme", headers: []string{"Authorization", " Bearer a"}, status: 400, reason: InvalidRequest},
		{name: "a tab", headers: []string{"Authorization", "Bearer\ta"}, status: 400, reason: InvalidRequest},
		{name: "quotes", headers: []string{"Authorization", `Bearer "a"`}, status: 400, reason: InvalidRequest},
		{name: "padding within", headers: []string{"Authorization", `Bearer a=b`}, status: 400, reason: InvalidRequest},
		{name: "only padding", headers: []string{"Authorization", `Bearer ==`}, status: 400, reason: InvalidRequest},
		{name: "not ASCII", headers: []string{"Authorization", "Bearer \u00e9"}, status: 400, reason: InvalidRequest},
		{name: "long", headers: []string{"Authorization", "Bearer " + strings.Repeat("a", 16<<10+1)}, status: 400, reason: InvalidRequest},
	} {
		g := newGate(t)
		p, err := g.Authenticate(request(test.headers...))
		if test.status == 0 {
			if err != nil || p.Method != test.method {
				t.Errorf("%s: %+v, %v", test.name, p, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Status != test.status || e.Reason != test.reason || p.ID != "" {
			t.Errorf("%s: %+v, %#v", test.name, p, err)
			continue
		}
		h := make(http.Header)
		e.SetHeaders(h)
		if test.challenge != "" && h.Get("WWW-Authenticate") != test.challenge || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %q", test.name, h)
		}
		if asked := len(g.tokens.asked) + len(g.keys.asked) + len(g.sessions.asked); asked > 0 {
			t.Errorf("%s: %d rooms were asked", test.name, asked)
		}
	}
}

// A page of another site may read with the cookie what it could not see anyhow; what it
// cannot do is change anything. Its own credentials are not bound to a site.
func TestOrigins(t *testing.T) {
	g := newGate(t)
	get := request("Cookie", "__Host-pin=abc", "Sec-Fetch-Site", "cross-site")
	get.Method = http.MethodGet
	if _, err := g.Authenticate(get); err != nil {
		t.Error(err)
	}
	if _, err := g.Authenticate(request("Authorization", "Bearer a", "Sec-Fetch-Site", "cross-site")); err != nil {
		t.Error(err)
	}
}

func TestTokenInURL(t *testing.T) {
	for _, query := range []string{"access_token=a", "x=1&access_token=", "%61ccess_token=a"} {
		r := request("Authorization", "Bearer "+aJWT)
		r.URL.RawQuery = query
		var e *Error
		if _, err := newGate(t).Authenticate(r); !errors.As(err, &e) || e.Status != 400 || strings.Contains(e.Details, "access_token=a") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// What rooms say, and what clients are told.
func TestAnswers(t *testing.T) {
	secret := errors.New("kid k1 of https://id.example")
	for name, test := range map[string]struct {
		err              error
		status           int
		reason, details  string
		challenge, retry string
	}{
		"refused":     {principal.Refuse("token expired", secret), 401, InvalidToken, "token expired", fmt.Sprintf(withError, "invalid_token", "token expired"), ""},
		"quotes":      {principal.Refuse("claim \"/a\\b\" é\r\nX: y", secret), 401, InvalidToken, "claim \"/a\\b\" é\r\nX: y", fmt.Sprintf(withError, "invalid_token", "claim  /a b     X: y"), ""},
		"malformed":   {principal.RefuseMalformed("it cannot be read", secret), 400, InvalidRequest, "it cannot be read", fmt.Sprintf(withError, "invalid_request", "it cannot be read"), ""},
		"unavailable": {principal.CannotCheck(1500*time.Millisecond, secret), 503, DependencyUnavailable, "credentials cannot be checked now", "", "2"},
		"another":     {secret, 503, DependencyUnavailable, "credentials cannot be checked now", "", "1"},
		"wrapped":     {fmt.Errorf("x: %w", principal.CannotCheck(0, secret)), 503, DependencyUnavailable, "credentials cannot be checked now", "", "1"},
	} {
		g := newGate(t)
		g.tokens.err, g.keys.err, g.sessions.err, g.signatures.err = test.err, test.err, test.err, test.err
		for method, headers := range map[principal.Method][]string{
			principal.MethodJWT: {"Authorization", "Bearer " + aJWT}, principal.MethodAPIKey: {"Authorization", "Bearer " + aKey},
			principal.MethodSession: {"Cookie", "__Host-pin=a"}, principal.MethodDID: {"Signature", "a"},
		} {
			_, err := g.Authenticate(request(headers...))
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, secret) || e.Method != method || e.Status != test.status || e.Reason != test.reason || e.Details != test.details {
				t.Errorf("%s %s: %#v", name, method, err)
				continue
			}
			h := make(http.Header)
			e.SetHeaders(h)
			if strings.TrimRight(h.Get("WWW-Authenticate"), " ") != test.challenge || h.Get("Retry-After") != test.retry || strings.Contains(fmt.Sprint(h), "kid") {
				t.Errorf("%s %s: headers %q", name, method, h)
			}
			if (h.Get("Accept-Signature") != "") != (test.status == 401) {
				t.Errorf("%s %s: headers %q", name, method, h)
			}
		}
	}
}

// A kind that is not configured does not pass, and its headers are not looked at.
func TestKindsThatAreOff(t *testing.T) {
	g := newGate(t)
	on := g.config
	for _, test := range []struct {
		off     func(*Config)
		headers []string
		status  int
	}{
		{func(c *Config) { c.Tokens = nil }, []string{"Authorization", "Bearer " + aJWT}, 401},
		{func(c *Config) { c.Sessions, c.Cookie = nil, "" }, []string{"Authorization", "Bearer " + aSession}, 401},
		{func(c *Config) { c.Keys = nil }, []string{"Authorization", "Bearer " + aKey}, 401},
		{func(c *Config) { c.Signatures = nil }, []string{"Signature", "x"}, 401},
		{func(c *Config) { c.Cookie = "" }, []string{"Cookie", "__Host-pin=abc"}, 401},
		{func(c *Config) { c.Signatures = nil }, []string{"Signature", "x", "Authorization", "Bearer a"}, 0},
		{func(c *Config) { c.Owners, c.Signatures = nil, nil }, []string{"Authorization", "Bearer a"}, 0},
	} {
		config := on
		test.off(&config)
		a, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Authenticate(request(test.headers...))
		var e *Error
		if errors.As(err, &e); (e == nil) != (test.status == 0) || e != nil && e.Status != test.status {
			t.Errorf("%q: %v", test.headers, err)
		}
	}
}

func TestOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		signed, token := []string{"Signature", "x"}, []string{"Authorization", "Bearer " + aJWT}
		p, err := g.Authenticate(request(signed...))
		want := principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{"pin-user"}, Method: principal.MethodDID, Credential: "did:key:zAlice", Subject: "did:key:zAlice"}
		if err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("by a DID: %+v, %v", p, err)
		}
		if p, err = g.Authenticate(request(token...)); err != nil || p.ID != "iss#jwt" {
			t.Errorf("a token of nobody we know: %+v, %v", p, err)
		}
		// The same principal with another credential.
		g.directory.owners["iss#jwt"] = principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{"pin-admin"}}
		time.Sleep(time.Second)
		if p, err = g.Authenticate(request(token...)); err != nil || p.ID != "alice" || p.Method != principal.MethodJWT || p.Roles != nil {
			t.Errorf("a token of alice: %+v, %v", p, err)
		}
		g.directory.owners["iss#jwt"] = principal.Principal{ID: "alice", Tenant: "t2"}
		g.config.Owners.Forget("iss#jwt")
		var e *Error
		if _, err = g.Authenticate(request(token...)); !errors.As(err, &e) || e.Status != 401 {
			t.Errorf("a token of another tenant: %v", err)
		}
		// A DID that was taken from its principal.
		delete(g.directory.owners, "did:key:zAlice")
		time.Sleep(5 * time.Second)
		if _, err = g.Authenticate(request(signed...)); !errors.As(err, &e) || e.Status != 401 || e.Details != "this identity is not registered" {
			t.Errorf("a DID of nobody: %v", err)
		}
		time.Sleep(5 * time.Second)
		g.directory.err = errors.New("down")
		for _, headers := range [][]string{signed, token} {
			if _, err = g.Authenticate(request(headers...)); !errors.As(err, &e) || e.Status != 503 {
				t.Errorf("without a directory: %v", err)
			}
		}
		g.directory.err = nil
		g.directory.owners["did:key:zAlice"] = principal.Principal{ID: "alice"}
		if _, err = g.Authenticate(request(signed...)); !errors.As(err, &e) || e.Status != 503 {
			t.Errorf("an owner without a tenant: %v", err)
		}
	})
}

// A DID's owner is asked for before the nonce is looked at: what comes again is refused to an
// owner, and a stranger hears the same as for what comes first.
func TestUsedSignatures(t *testing.T) {
	g := newGate(t)
	var e *Error
	for _, used := range []error{nil, principal.Refuse("used before", nil)} {
		g.signatures.used = used
		for did, want := range map[string]string{"did:key:zAlice": "used before", "did:key:zStranger": "this identity is not registered"} {
			g.signatures.did = did
			p, err := g.Authenticate(request("Signature", "x"))
			if used == nil && did == "did:key:zAlice" {
				if err != nil || p.ID != "alice" {
					t.Errorf("%s, first: %+v, %v", did, p, err)
				}
				continue
			}
			if !errors.As(err, &e) || e.Status != 401 || e.Details != want || p.ID != "" {
				t.Errorf("%s, used %v: %+v, %v", did, used, p, err)
			}
		}
	}
}

func TestAddress(t *testing.T) {
	g := newGate(t)
	for remote, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[2001:db8::1]:1": "2001:db8::1", "[::ffff:192.0.2.7]:1": "192.0.2.7", "@": "invalid IP", "": "invalid IP",
	} {
		r := request("Authorization", "Bearer "+aKey, "X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.1")
		r.RemoteAddr = remote
		g.keys.asked = nil
		if _, err := g.Authenticate(r); err != nil || g.keys.asked[0] != aKey+" from "+want {
			t.Errorf("%q: %q, %v", remote, g.keys.asked, err)
		}
	}
}

func TestConfig(t *testing.T) {
	g := newGate(t)
	for name, spoil := range map[string]func(*Config){
		"no realm":      func(c *Config) { c.Realm = "" },
		"quoted realm":  func(c *Config) { c.Realm = `a"b` },
		"nothing":       func(c *Config) { *c = Config{Realm: "x"} },
		"no owners":     func(c *Config) { c.Owners = nil },
		"cookie's name": func(c *Config) { c.Cookie = "session" },
		"only a cookie": func(c *Config) { c.Sessions = nil },
	} {
		config := g.config
		spoil(&config)
		if _, err := New(config); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// FuzzBearer feeds headers: what passes is one token and nothing else.
func FuzzBearer(f *testing.F) {
	for _, value := range []string{"Bearer a", "bearer  a==", "Basic YTpi", "Bearer a, Bearer b", " ", "Bearer \x00"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := bearer([]string{value})
		if err != nil {
			var refusal *principal.Refusal
			if malformed := errors.As(err, &refusal) && refusal.Malformed; !malformed && !errors.Is(err, errNone) {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if token == "" || len(token) > 16<<10 || strings.ContainsAny(token, " ,\"\r\n\t") || !strings.HasSuffix(value, token) || !strings.EqualFold(value[:7], "Bearer ") {
			t.Fatalf("%q is %q", value, token)
		}
	})
}

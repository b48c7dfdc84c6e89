package jwt

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

func TestPrincipals(t *testing.T) {
	r := newRealms(t)
	now := time.Now()
	expires := time.Unix(now.Add(5*time.Minute).Unix(), 0).UTC()
	p, err := r.verifier.Verify(t.Context(), draftOf(keycloakClaims(r.a.url, now)).sign())
	if want := (principal.Principal{
		ID: r.a.url + "#8a6f", Tenant: "t1", Roles: []string{"pin-admin", "pin-user"}, Groups: []string{"/ops"}, Scopes: []string{"pins:create", "pins:read"},
		Method: principal.MethodJWT, Credential: "jti-1", Issuer: r.a.url, Subject: "8a6f", Expires: expires,
	}); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("Keycloak's is\n%+v, not\n%+v, %v", p, want, err)
	}
	p, err = r.verifier.Verify(t.Context(), draftOf(auth0Claims(r.b.url, now)).by(otherRSA()).sign())
	if err != nil || p.Tenant != "t3" || p.ID != r.b.url+"#auth0|123" || !reflect.DeepEqual(p.Roles, []string{"pin-user"}) ||
		!reflect.DeepEqual(p.Scopes, []string{"openid", "pins:create", "profile"}) || !strings.HasPrefix(p.Credential, "sha256:") || len(p.Credential) != 39 {
		t.Errorf("Auth0's is %+v, %v", p, err)
	}
}

// An issuer says that there was more than one factor where, and with which words, it is
// configured; what cannot be read says nothing, and is no reason to refuse a token.
func TestFactors(t *testing.T) {
	other := func(i *Issuer) { i.MFA, i.MFAValues = Path{"acr"}, []string{"2", "gold"} }
	for _, test := range []struct {
		name   string
		change func(*Issuer)
		claim  string
		value  any
		want   bool
	}{
		{"no claim", nil, "amr", nil, false},
		{"amr", nil, "amr", []string{"pwd", "otp", "mfa"}, true},
		{"amr, one text", nil, "amr", "mfa", true},
		{"amr without it", nil, "amr", []string{"pwd", "otp"}, false},
		{"amr, nearly", nil, "amr", []string{"MFA", "mfa ", "xmfa", "pwd mfa"}, false},
		{"amr that cannot be read", nil, "amr", map[string]any{"mfa": true}, false},
		{"amr of numbers", nil, "amr", []any{"mfa", 1}, false},
		{"acr, not configured", nil, "acr", "mfa", false},
		{"acr", other, "acr", "gold", true},
		{"another acr", other, "acr", "1", false},
		{"acr of a number", other, "acr", 2, false},
		{"amr in place of acr", other, "amr", []string{"mfa", "gold"}, false},
	} {
		i := &issuer{url: "https://id.example"}
		i.publish(public("k1", rsaKey()))
		config := keycloak(i.url)
		if test.change != nil {
			test.change(&config)
		}
		v := must(New([]Issuer{config}, i.client(), nil))
		p, err := v.Verify(t.Context(), draftOf(keycloakClaims(i.url, time.Now())).with(test.claim, test.value).sign())
		if err != nil || p.MFA != test.want {
			t.Errorf("%s: %v, %v", test.name, p.MFA, err)
		}
	}
}

func TestDenylist(t *testing.T) {
	r := newRealms(t)
	good := draftOf(keycloakClaims(r.a.url, time.Now()))
	if _, err := r.verifier.Verify(t.Context(), good.sign()); err != nil {
		t.Fatal(err)
	}
	asked := r.denylist.asked[0]
	if want := (principal.Token{Issuer: r.a.url, ID: "jti-1", SessionID: "s-1", Principal: r.a.url + "#8a6f", Tenant: "t1", Issued: asked.Issued}); asked != want || asked.Issued.IsZero() {
		t.Errorf("asked for %+v, not %+v", asked, want)
	}
	if _, err := r.verifier.Verify(t.Context(), good.with("iat", nil).sign()); err != nil || !r.denylist.asked[1].Issued.IsZero() {
		t.Errorf("asked for %+v, %v", r.denylist.asked[1], err)
	}
	r.denylist.err = errors.New("database is down")
	if _, err := r.verifier.Verify(t.Context(), good.sign()); outcome(t, err) != "unavailable" {
		t.Errorf("without an answer of the denylist: %v", err)
	}
	n := len(r.denylist.asked)
	if _, err := r.verifier.Verify(t.Context(), good.with("exp", 1).sign()); err == nil || len(r.denylist.asked) != n {
		t.Errorf("the denylist is asked for bad tokens, %v", err)
	}
}

// The edges of the leeway, to the millisecond.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{url: "https://id.example"}
		i.publish(public("k1", rsaKey()))
		v := must(New([]Issuer{keycloak(i.url)}, i.client(), nil))
		now := time.Now().Truncate(time.Second)
		at := func(d time.Duration) float64 { return float64(now.Add(d).UnixMilli()) / 1000 }
		good := draftOf(keycloakClaims(i.url, now))
		for _, test := range []struct {
			claim string
			value float64
			want  string
		}{
			{"exp", at(-Leeway), "token expired"},
			{"exp", at(-Leeway + 10*time.Millisecond), ""},
			{"exp", at(24*time.Hour + Leeway), ""},
			{"exp", at(24*time.Hour + Leeway + time.Second), "token ends more than 24h0m0s from now"},
			{"nbf", at(Leeway), ""},
			{"nbf", at(Leeway + 10*time.Millisecond), "token is not good yet"},
			{"iat", at(Leeway), ""},
			{"iat", at(Leeway + 10*time.Millisecond), "token was issued in the future"},
		} {
			if _, err := v.Verify(t.Context(), good.with(test.claim, test.value).sign()); outcome(t, err) != test.want {
				t.Errorf("%s %f at %d: %v", test.claim, test.value, now.Unix(), err)
			}
		}
	})
}

func TestFixedTenantAndClients(t *testing.T) {
	i := &issuer{url: "https://id.example/"}
	i.publish(public("k1", rsaKey()))
	config := keycloak(i.url)
	config.Tenant, config.Tenants, config.FixedTenant, config.Clients = nil, nil, "t7", []string{"cli"}
	v := must(New([]Issuer{config}, i.client(), nil))
	good := draftOf(keycloakClaims(i.url, time.Now())).with("azp", "cli").with("tenant", "t1")
	if p, err := v.Verify(t.Context(), good.sign()); err != nil || p.Tenant != "t7" {
		t.Errorf("the tenant is %q, %v", p.Tenant, err)
	}
	if _, err := v.Verify(t.Context(), good.with("azp", nil).with("client_id", "cli").sign()); err != nil {
		t.Errorf("with client_id: %v", err)
	}
	for _, bad := range []draft{good.with("azp", "other"), good.with("azp", nil), good.with("azp", "other").with("client_id", "cli"), good.with("azp", []string{"cli"})} {
		if _, err := v.Verify(t.Context(), bad.sign()); outcome(t, err) != "token was issued to another client" {
			t.Errorf("azp %v, client_id %v: %v", bad.claims["azp"], bad.claims["client_id"], err)
		}
	}
}

func TestConfigurationIsRefused(t *testing.T) {
	if _, err := New([]Issuer{keycloak("https://id.example"), auth0("https://id.example/")}, nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := New([]Issuer{keycloak("https://id.example"), keycloak("https://id.example")}, nil, nil); err == nil {
		t.Error("an issuer that is there twice passes")
	}
	if _, err := New(nil, nil, nil); err == nil {
		t.Error("no issuer passes")
	}
	for name, spoil := range map[string]func(*Issuer){
		"http":               func(i *Issuer) { i.URL = "http://id.example" },
		"not absolute":       func(i *Issuer) { i.URL = "id.example" },
		"fragment":           func(i *Issuer) { i.URL = "https://id.example#x" },
		"empty fragment":     func(i *Issuer) { i.URL = "https://id.example#" },
		"query":              func(i *Issuer) { i.URL = "https://id.example?x" },
		"user":               func(i *Issuer) { i.URL = "https://a@id.example" },
		"another scheme":     func(i *Issuer) { i.URL, i.AllowHTTP = "file:///id", true },
		"http keys":          func(i *Issuer) { i.JWKS = "http://id.example/jwks" },
		"no audience":        func(i *Issuer) { i.Audiences = nil },
		"empty audience":     func(i *Issuer) { i.Audiences = []string{""} },
		"no algorithm":       func(i *Issuer) { i.Algorithms = nil },
		"HS256":              func(i *Issuer) { i.Algorithms = []string{"HS256"} },
		"none":               func(i *Issuer) { i.Algorithms = []string{"none"} },
		"no tenant":          func(i *Issuer) { i.Tenant = nil },
		"two kinds":          func(i *Issuer) { i.FixedTenant = "t1" },
		"tenants of none":    func(i *Issuer) { i.Tenants = nil },
		"tenants and any":    func(i *Issuer) { i.AnyTenant = true },
		"empty factor":       func(i *Issuer) { i.MFAValues = []string{""} },
		"empty tenant":       func(i *Issuer) { i.Tenants = []string{""} },
		"negative":           func(i *Issuer) { i.MaxLifetime = -1 },
		"age":                func(i *Issuer) { i.MaxAge = time.Minute },
		"refresh too often":  func(i *Issuer) { i.RefreshAfter = time.Second },
		"tenant on two rows": func(i *Issuer) { i.Tenant, i.Tenants, i.FixedTenant = nil, nil, "a\nb" },
	} {
		i := keycloak("https://id.example")
		spoil(&i)
		if _, err := New([]Issuer{i}, nil, nil); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestParsePath(t *testing.T) {
	for text, want := range map[string]Path{
		"tenant":                          {"tenant"},
		"realm_access.roles":              {"realm_access.roles"},
		"https://pins.example.com/tenant": {"https://pins.example.com/tenant"},
		"/realm_access/roles":             {"realm_access", "roles"},
		"/resource_access/a~1b/~0":        {"resource_access", "a/b", "~"},
		"/~01":                            {"~1"},
		"/":                               {""},
		"":                                nil,
		"/a~":                             nil,
		"/~2":                             nil,
	} {
		if got, err := ParsePath(text); !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, text := range []string{"tenant", "/a/b", "/~0~1", "/~", "https://x/y", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := ParsePath(text)
		if err != nil {
			return
		}
		if again, err := ParsePath(path.String()); err != nil || !reflect.DeepEqual(path, again) {
			t.Fatalf("%q became %q, then %q, %v", text, path, again, err)
		}
	})
}

// FuzzVerify feeds what is no token of ours: nothing passes, nothing panics, and each
// error is of one kind.
func FuzzVerify(f *testing.F) {
	i := &issuer{url: "https://id.example"}
	i.publish(public("k1", rsaKey()))
	v := must(New([]Issuer{keycloak(i.url)}, i.client(), nil))
	good := draftOf(keycloakClaims(i.url, time.Now()))
	f.Add(good.by(otherRSA()).sign())
	f.Add(good.head("alg", "none").by(nil).sign())
	f.Add("..")
	f.Add(encode(`{"alg":"RS256"}`) + "." + encode(`{"iss":"https://id.example"}`) + ".AA")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := v.Verify(t.Context(), token); err == nil {
			t.Fatalf("%q passes as %+v", token, p)
		} else if outcome(t, err) == "unavailable" {
			t.Fatalf("%q cannot be checked: %v", token, err)
		}
	})
}

// FuzzClaims feeds what a trusted issuer may sign: whoever comes of it is acceptable.
func FuzzClaims(f *testing.F) {
	i := keycloak("https://id.example").withDefaults()
	now := time.Now()
	f.Add(must(json.Marshal(keycloakClaims(i.URL, now))))
	f.Add([]byte(`{"aud":["pinning-api"],"exp":1e99,"sub":"x","tenant":"t1"}`))
	f.Add([]byte(`{"realm_access":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		claims := make(map[string]any)
		if json.Unmarshal(text, &claims) != nil {
			return
		}
		p, _, err := i.principal(claims, now)
		if err == nil && (p.Tenant != "t1" && p.Tenant != "t2" || p.Subject == "" || p.Expires.Before(now.Add(-Leeway))) {
			t.Fatalf("%s passes as %+v", text, p)
		}
	})
}

package session

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const gateway = "https://pins.example.com"

func key(id string, seed byte) Key {
	return Key{ID: id, Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

func alice() principal.Principal {
	return principal.Principal{
		ID: "p1", Tenant: "t1", Roles: []string{"pin-user"}, Groups: []string{"ops"}, Scopes: []string{"pins:read"},
		Method: principal.MethodSIWE, Credential: "did:pkh:eip155:1:0xab", Issuer: "i", Subject: "s",
	}
}

func sessions(t *testing.T, change func(*Config)) *Sessions {
	t.Helper()
	config := Config{Gateway: gateway, Keys: []Key{key("k1", 1)}}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func issue(t *testing.T, s *Sessions, p principal.Principal) string {
	t.Helper()
	token, _, err := s.Issue(p)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func says(t *testing.T, s *Sessions, token string) string {
	t.Helper()
	p, err := s.Verify(t.Context(), token)
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	switch {
	case err == nil:
		return ""
	case p.ID != "":
		t.Errorf("with an error comes %+v", p)
	case errors.As(err, &refusal):
		return refusal.Details
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	t.Errorf("%v is of no kind", err)
	return "?"
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessions(t, nil)
		token, expires, err := s.Issue(alice())
		if err != nil || !expires.Equal(time.Now().Add(MaxLifetime)) {
			t.Fatal(expires, err)
		}
		want := alice()
		want.Method, want.Via, want.Expires = principal.MethodSession, principal.MethodSIWE, expires.UTC()
		if p, err := s.Verify(t.Context(), token); err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("got %+v, %v; not %+v", p, err, want)
		}
		several := alice()
		several.MFA = true
		if p, err := s.Verify(t.Context(), issue(t, s, several)); err != nil || !p.MFA {
			t.Errorf("of who has shown more than one factor: %+v, %v", p, err)
		}
		if issue(t, s, alice()) == token {
			t.Error("two sessions have one id")
		}
		time.Sleep(MaxLifetime - time.Nanosecond)
		if got := says(t, s, token); got != "" {
			t.Error(got)
		}
		time.Sleep(time.Nanosecond)
		if got := says(t, s, token); got != "session expired" {
			t.Errorf("got %q", got)
		}
	})
}

// A session ends with its credential, and begets none.
func TestNoLongerThanItsCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessions(t, nil)
		p := alice()
		p.Expires = time.Now().Add(time.Minute)
		token, expires, err := s.Issue(p)
		if err != nil || !expires.Equal(p.Expires) {
			t.Fatal(expires, err)
		}
		verified, err := s.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Issue(verified); err == nil {
			t.Error("a session was made from a session")
		}
		time.Sleep(time.Minute)
		if _, _, err := s.Issue(p); err == nil {
			t.Error("a session was made from what has ended")
		}
		p.Tenant = ""
		if _, _, err := s.Issue(p); err == nil {
			t.Error("a session without a tenant")
		}
		p = alice()
		p.Groups = strings.Split(strings.Repeat("a-long-group ", 300), " ")[:250]
		if _, _, err := s.Issue(p); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("a token that is too large: %v", err)
		}
	})
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		next := key("k2", 2)
		next.From = now.Add(time.Hour)
		both := sessions(t, func(c *Config) { c.Keys = []Key{next, key("k1", 1)} })
		old := sessions(t, nil)
		token := issue(t, both, alice())
		if got := says(t, old, token); got != "" {
			t.Errorf("before the new key begins: %s", got)
		}
		time.Sleep(time.Hour)
		token = issue(t, both, alice())
		if got := says(t, old, token); got != invalid {
			t.Errorf("by the new key, where it is not known: %q", got)
		}
		if got := says(t, both, issue(t, old, alice())); got != "" {
			t.Errorf("by the old key: %s", got)
		}
		ended := key("k1", 1)
		ended.Until = time.Now().Add(time.Minute)
		without := sessions(t, func(c *Config) { c.Keys = []Key{ended, next} })
		token = issue(t, old, alice())
		time.Sleep(time.Minute - time.Nanosecond)
		if got := says(t, without, token); got != "" {
			t.Errorf("by the old key before its end: %s", got)
		}
		time.Sleep(time.Nanosecond)
		if got := says(t, without, token); got != invalid {
			t.Errorf("by the old key after its end: %q", got)
		}
		only := sessions(t, func(c *Config) { c.Keys = []Key{ended} })
		if _, _, err := only.Issue(alice()); err == nil {
			t.Error("a key that has ended signs")
		}
	})
}

type denylist struct {
	err   error
	is    bool
	asked principal.Token
}

func (d *denylist) Denied(_ context.Context, token principal.Token) (bool, error) {
	d.asked = token
	return d.is, d.err
}

func TestDenylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &denylist{}
		s := sessions(t, func(c *Config) { c.Denylist = d })
		token := issue(t, s, alice())
		if got := says(t, s, token); got != "" || d.asked.Principal != "p1" || d.asked.ID == "" || !d.asked.Issued.Equal(time.Now()) || d.asked.Issuer != gateway {
			t.Errorf("%q, asked for %+v", got, d.asked)
		}
		d.is = true
		if got := says(t, s, token); got != "session was revoked" {
			t.Errorf("got %q", got)
		}
		if p, names, err := s.Read(token); err != nil || p.ID != "p1" || names != d.asked {
			t.Errorf("read is a session of %+v, %+v, %v", p, names, err)
		}
		d.err = errors.New("down")
		if got := says(t, s, token); got != "unavailable" {
			t.Errorf("got %q", got)
		}
	})
}

// forge signs by hand.
func forge(header, payload string, key ed25519.PrivateKey) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(ed25519.Sign(key, []byte(input)))
}

func TestForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sessions(t, nil)
		ours := key("k1", 1).Private
		const header = `{"alg":"EdDSA","kid":"k1","typ":"pin-session+jwt"}`
		now := time.Now().Unix()
		good := claims{Issuer: gateway, Audience: gateway, ID: "j", Issued: now, Expires: now + 60, Principal: "p1", Tenant: "t1", Via: principal.MethodDID, Credential: "c"}
		payload := func(change func(*claims)) string {
			c := good
			change(&c)
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		same := payload(func(*claims) {})
		elsewhere := sessions(t, func(c *Config) { c.Gateway = "https://other.example.com" })
		for name, test := range map[string]struct{ token, want string }{
			"good":             {forge(header, same, ours), ""},
			"another key":      {forge(header, same, key("k1", 9).Private), invalid},
			"no type":          {forge(`{"alg":"EdDSA","kid":"k1"}`, same, ours), invalid},
			"type JWT":         {forge(`{"alg":"EdDSA","kid":"k1","typ":"JWT"}`, same, ours), invalid},
			"alg none":         {forge(`{"alg":"none","kid":"k1","typ":"pin-session+jwt"}`, same, ours), invalid},
			"HS256":            {forge(`{"alg":"HS256","kid":"k1","typ":"pin-session+jwt"}`, same, ours), invalid},
			"unknown kid":      {forge(`{"alg":"EdDSA","kid":"k2","typ":"pin-session+jwt"}`, same, ours), invalid},
			"crit":             {forge(`{"alg":"EdDSA","kid":"k1","typ":"pin-session+jwt","crit":["b64"],"b64":false}`, same, ours), invalid},
			"more":             {forge(`{"alg":"EdDSA","kid":"k1","typ":"pin-session+jwt","x":1}`, same, ours), invalid},
			"no JSON":          {forge(header, "x", ours), invalid},
			"empty":            {"", invalid},
			"another issuer":   {forge(header, payload(func(c *claims) { c.Issuer = "x" }), ours), "session is of another gateway"},
			"another audience": {forge(header, payload(func(c *claims) { c.Audience = "x" }), ours), "session is of another gateway"},
			"another gateway":  {issue(t, elsewhere, alice()), "session is of another gateway"},
			"no jti":           {forge(header, payload(func(c *claims) { c.ID = "" }), ours), "session is of another gateway"},
			"no tenant":        {forge(header, payload(func(c *claims) { c.Tenant = "" }), ours), invalid},
			"long":             {forge(header, payload(func(c *claims) { c.Expires = now + 901 }), ours), "session has impossible times"},
			"future":           {forge(header, payload(func(c *claims) { c.Issued, c.Expires = now+61, now+120 }), ours), "session has impossible times"},
			"a clock ahead":    {forge(header, payload(func(c *claims) { c.Issued = now + 60 }), ours), ""},
			"no times":         {forge(header, payload(func(c *claims) { c.Issued, c.Expires = 0, 0 }), ours), "session expired"},
		} {
			if got := says(t, s, test.token); got != test.want {
				t.Errorf("%s: %q, not %q", name, got, test.want)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	for name, config := range map[string]Config{
		"no gateway": {Keys: []Key{key("k1", 1)}},
		"long":       {Gateway: gateway, Lifetime: MaxLifetime + 1, Keys: []Key{key("k1", 1)}},
		"negative":   {Gateway: gateway, Lifetime: -1, Keys: []Key{key("k1", 1)}},
		"no key":     {Gateway: gateway},
		"no id":      {Gateway: gateway, Keys: []Key{key("", 1)}},
		"twice":      {Gateway: gateway, Keys: []Key{key("k1", 1), key("k1", 2)}},
		"short":      {Gateway: gateway, Keys: []Key{{ID: "k1", Private: make([]byte, 32)}}},
		"backwards":  {Gateway: gateway, Keys: []Key{{ID: "k1", Private: key("", 1).Private, From: time.Unix(2, 0), Until: time.Unix(1, 0)}}},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %x", key("k1", 1), key("k1", 1), key("k1", 1), key("k1", 1)); strings.ReplaceAll(text, "session key k1", "") != "   " {
		t.Errorf("it prints %s", text)
	}
}

func FuzzVerify(f *testing.F) {
	s, err := New(Config{Gateway: gateway, Keys: []Key{key("k1", 1)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(forge(`{"alg":"EdDSA","kid":"k1","typ":"pin-session+jwt"}`, `{}`, key("", 9).Private))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if says(t, s, token) != invalid {
			t.Fatalf("%q has a good signature", token)
		}
	})
}

package did

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const gateway = "https://pins.example.com"

// memory is a store of nonces and of what was used.
type memory struct {
	mu     sync.Mutex
	nonces map[string]string
	used   map[string]time.Time
	err    error
}

func newMemory() *memory {
	return &memory{nonces: make(map[string]string), used: make(map[string]time.Time)}
}

func (m *memory) Put(_ context.Context, nonce, did string, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	time.AfterFunc(time.Until(until), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.nonces, nonce)
	})
	m.nonces[nonce] = did
	return m.err
}

func (m *memory) Take(_ context.Context, nonce string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", false, m.err
	}
	did, ok := m.nonces[nonce]
	delete(m.nonces, nonce)
	return did, ok, nil
}

func (m *memory) First(_ context.Context, key string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, ok := m.used[key]; ok && time.Now().Before(last) {
		return false, m.err
	}
	m.used[key] = until
	return true, m.err
}

func compact(one signer, header, claims map[string]any) string {
	var input string
	for _, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			panic(err)
		}
		input += base64.RawURLEncoding.EncodeToString(text) + "."
	}
	input = input[:len(input)-1]
	return input + "." + base64.RawURLEncoding.EncodeToString(one.sign([]byte(input)))
}

// reply answers a challenge, after a change.
func reply(one signer, c Challenge, change func(header, claims map[string]any)) string {
	header := map[string]any{"typ": LoginType, "alg": one.jose}
	claims := map[string]any{"iss": one.DID, "sub": one.DID, "aud": c.Audience, "nonce": c.Nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
	if change != nil {
		change(header, claims)
	}
	return compact(one, header, claims)
}

func TestLogin(t *testing.T) {
	for name, one := range signers(t) {
		synctest.Test(t, func(t *testing.T) {
			login, err := NewLogin(gateway, newMemory())
			if err != nil {
				t.Fatal(err)
			}
			c, err := login.Challenge(t.Context(), one.DID)
			if err != nil || len(c.Nonce) < 20 || c.Audience != gateway || !c.Expires.Equal(time.Now().Add(ChallengeLife)) {
				t.Fatalf("%+v, %v", c, err)
			}
			answer := reply(one, c, nil)
			did, err := login.Verify(t.Context(), answer)
			if err != nil || did != one.DID {
				t.Errorf("%s: %q, %v", name, did, err)
			}
			const unknown = "the challenge is unknown, expired, or was answered"
			if _, err = login.Verify(t.Context(), answer); outcome(t, err) != unknown {
				t.Errorf("%s again: %v", name, err)
			}
			c, _ = login.Challenge(t.Context(), one.DID)
			time.Sleep(ChallengeLife)
			synctest.Wait()
			if _, err = login.Verify(t.Context(), reply(one, c, nil)); outcome(t, err) != unknown {
				t.Errorf("%s late: %v", name, err)
			}
		})
	}
}

// Of many that answer one challenge at a time, one is let in.
func TestLoginOnce(t *testing.T) {
	one := signers(t)["EdDSA"]
	login, err := NewLogin(gateway, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	c, err := login.Challenge(t.Context(), one.DID)
	if err != nil {
		t.Fatal(err)
	}
	answer := reply(one, c, nil)
	var wg sync.WaitGroup
	in := make(chan string, 100)
	for range 100 {
		wg.Go(func() {
			if did, err := login.Verify(t.Context(), answer); err == nil {
				in <- did
			}
		})
	}
	wg.Wait()
	if len(in) != 1 {
		t.Errorf("%d were let in", len(in))
	}
}

func TestLoginRefuses(t *testing.T) {
	all, others := signers(t), signers(t)
	ed, k, p := all["EdDSA"], all["ES256K"], all["ES256"]
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		login, err := NewLogin(gateway, store)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := login.Challenge(t.Context(), ed.DID)
		now := time.Now()
		set := func(name string, value any) func(map[string]any, map[string]any) {
			return func(header, claims map[string]any) {
				in := claims
				switch name {
				case "alg", "typ", "kid", "jwk", "crit", "b64":
					in = header
				}
				if in[name] = value; value == nil {
					delete(in, name)
				}
			}
		}
		for name, answer := range map[string]string{
			"no typ":          reply(ed, c, set("typ", nil)),
			"typ JWT":         reply(ed, c, set("typ", "JWT")),
			"no alg":          reply(ed, c, set("alg", nil)),
			"alg none":        reply(ed, c, set("alg", "none")),
			"alg of another":  reply(ed, c, set("alg", "ES256")),
			"ES256K as ES256": reply(k, c, set("alg", "ES256")),
			"ES256 as ES256K": reply(p, c, set("alg", "ES256K")),
			"kid of another":  reply(ed, c, set("kid", p.URL())),
			"jwk":             reply(ed, c, set("jwk", map[string]any{})),
			"crit":            reply(ed, c, set("crit", []string{"x"})),
			"b64":             reply(ed, c, set("b64", false)),
			"another aud":     reply(ed, c, set("aud", "https://evil.example")),
			"aud array":       reply(ed, c, set("aud", []string{gateway})),
			"no aud":          reply(ed, c, set("aud", nil)),
			"no nonce":        reply(ed, c, set("nonce", nil)),
			"long nonce":      reply(ed, c, set("nonce", string(make([]byte, 129)))),
			"no exp":          reply(ed, c, set("exp", nil)),
			"exp past":        reply(ed, c, set("exp", now.Add(-61*time.Second).Unix())),
			"exp far":         reply(ed, c, set("exp", now.Add(time.Hour).Unix())),
			"exp text":        reply(ed, c, set("exp", "x")),
			"no iat":          reply(ed, c, set("iat", nil)),
			"iat future":      reply(ed, c, set("iat", now.Add(61*time.Second).Unix())),
			"iat past":        reply(ed, c, set("iat", now.Add(-181*time.Second).Unix())),
			"sub of another":  reply(ed, c, set("sub", p.DID)),
			"iss of another":  reply(ed, c, set("iss", p.DID)),
			"both of another": reply(ed, c, func(_, claims map[string]any) {
				claims["iss"], claims["sub"] = others["EdDSA"].DID, others["EdDSA"].DID
			}),
			"iss is no DID":    reply(ed, c, set("iss", "alice")),
			"not a JWS":        "x",
			"two parts":        "a.b",
			"no JSON":          "e30.eA.",
			"a claim twice":    twice(ed),
			"another's answer": compact(others["EdDSA"], map[string]any{"typ": LoginType, "alg": "EdDSA"}, map[string]any{"iss": ed.DID, "sub": ed.DID, "aud": gateway, "nonce": c.Nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}),
		} {
			if _, err := login.Verify(t.Context(), answer); outcome(t, err) != refused {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A challenge is of the one who asked for it.
		stolen := reply(others["EdDSA"], c, nil)
		if did, err := login.Verify(t.Context(), stolen); err == nil {
			t.Errorf("%s answers the challenge of another", did)
		}
		// Nothing but the nonce was wrong above: the challenge was still there.
		c, _ = login.Challenge(t.Context(), ed.DID)
		if _, err := login.Verify(t.Context(), reply(ed, c, set("aud", "x"))); outcome(t, err) != refused {
			t.Error(err)
		}
		if _, err := login.Verify(t.Context(), reply(ed, c, set("kid", ed.URL()))); err != nil {
			t.Errorf("after one that was refused: %v", err)
		}
		store.err = errors.New("down")
		if _, err := login.Challenge(t.Context(), ed.DID); outcome(t, err) != "unavailable" {
			t.Error(err)
		}
		if _, err := login.Verify(t.Context(), reply(ed, c, nil)); outcome(t, err) != "unavailable" {
			t.Error(err)
		}
		if _, err := login.Challenge(t.Context(), "did:web:example.com"); outcome(t, err) == "unavailable" || err == nil {
			t.Error(err)
		}
	})
	for _, bad := range []string{"", "pins.example.com", "https://pins.example.com/", "https://x?y", "ftp://x", "https://x y", `https://x"`, "https://x#y"} {
		if _, err := NewLogin(bad, nil); err == nil {
			t.Errorf("gateway %q passes", bad)
		}
		if _, err := NewSignatures(bad, nil, 0); err == nil {
			t.Errorf("gateway %q passes", bad)
		}
	}
}

// twice says of two gateways that it is for them.
func twice(one signer) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"typ":"`+LoginType+`","alg":"EdDSA"}`)) + "." + encode([]byte(`{"iss":"`+one.DID+`","sub":"`+one.DID+`","aud":"x","aud":"`+gateway+`"}`))
	return input + "." + encode(one.sign([]byte(input)))
}

// Answers that another implementation signed: testdata/made.mjs, with did-jwt 9.0.1 of
// npm.
func TestAnswersOfAnotherImplementation(t *testing.T) {
	read, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Alg, DID, JWS string }
	if err := json.Unmarshal(read, &all); err != nil || len(all) != 3 {
		t.Fatal(len(all), err)
	}
	synctest.Test(t, func(t *testing.T) { // in the year 2000, in which they are good
		store := newMemory()
		login, err := NewLogin(gateway, store)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if err := store.Put(t.Context(), "made-elsewhere", one.DID, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if did, err := login.Verify(t.Context(), one.JWS); err != nil || did != one.DID {
				t.Errorf("%s: %q, %v", one.Alg, did, err)
			}
		}
	})
}

func FuzzLogin(f *testing.F) {
	one := signers(f)["EdDSA"]
	login, err := NewLogin(gateway, newMemory())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply(one, Challenge{Nonce: "n", Audience: gateway}, nil))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, answer string) {
		if did, err := login.Verify(t.Context(), answer); outcome(t, err) == "" || did != "" {
			t.Fatalf("%q is let in as %q", answer, did)
		}
	})
}

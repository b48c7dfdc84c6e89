package apikey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// memory is a store.
type memory struct {
	mu    sync.Mutex
	keys  map[string]Key
	err   error
	asked int
	used  []string
}

func (m *memory) Key(_ context.Context, id string) (Key, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	key, ok := m.keys[id]
	return key, ok, m.err
}

func (m *memory) Used(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used = append(m.used, fmt.Sprintf("%s %d", id, at.Unix()))
	return m.err
}

func (m *memory) put(keys ...Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		m.keys[key.ID] = key
	}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func pepper(t *testing.T, current int, versions ...int) Peppers {
	values := make(map[int][]byte)
	for _, v := range versions {
		values[v] = bytes.Repeat([]byte{byte(v)}, 32)
	}
	p, err := NewPeppers(current, values)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func grant(now time.Time) Grant {
	return Grant{
		Owner: "p1", Tenant: "t1", Roles: []string{"pin-user"}, Scopes: []string{"pins:read", "pins:create", "pins:read"},
		Expires: now.Add(30 * 24 * time.Hour), CreatedBy: "p0",
	}
}

// scene is a store with a key, and a verifier.
type scene struct {
	*memory
	v       *Verifier
	peppers Peppers
	key     Key
	token   Token
}

var home = netip.MustParseAddr("192.0.2.7")

func inBubble(t *testing.T, test func(*testing.T, *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{memory: &memory{keys: make(map[string]Key)}, peppers: pepper(t, 2, 1, 2)}
		var err error
		if s.key, s.token, err = New("live", grant(time.Now()), s.peppers, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.put(s.key)
		if s.v, err = NewVerifier(Config{Env: "live", Peppers: s.peppers, Store: s, RequireExpiry: true}); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

func (s *scene) says(t *testing.T, text string, from netip.Addr) string {
	t.Helper()
	p, err := s.v.Verify(t.Context(), text, from)
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	switch {
	case err == nil:
		if p.Tenant != "t1" || p.ID != "p1" {
			t.Errorf("it is of %+v", p)
		}
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

func (s *scene) expect(t *testing.T, what, text, want string) {
	t.Helper()
	if got := s.says(t, text, home); got != want {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

func TestPrincipal(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		p, err := s.v.Verify(t.Context(), s.token.Text(), home)
		want := principal.Principal{
			ID: "p1", Tenant: "t1", Roles: []string{"pin-user"}, Scopes: []string{"pins:create", "pins:read"},
			Method: principal.MethodAPIKey, Credential: s.token.ID, Expires: s.key.Expires,
		}
		if p.Groups = nil; err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

// What is told, of each thing that may be wrong. Only with the secret one learns why.
func TestRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		wrong := s.token
		wrong.secret = strings.Repeat("0", secretLn)
		unknown := s.token
		unknown.ID = strings.Repeat("0", idLen)
		test := s.token
		test.Env = "test"
		s.expect(t, "good", s.token.Text(), "")
		s.expect(t, "another secret", wrong.Text(), invalid)
		s.expect(t, "unknown id", unknown.Text(), invalid)
		s.expect(t, "another environment", test.Text(), invalid)
		s.expect(t, "not a key", "icp_", invalid)

		ended := s.key
		ended.Revoked = time.Now()
		s.put(ended)
		s.v.Forget(s.key.ID)
		s.expect(t, "revoked", s.token.Text(), "API key was revoked")
		s.expect(t, "revoked, another secret", wrong.Text(), invalid)

		s.put(s.key)
		s.v.Forget(s.key.ID)
		time.Sleep(time.Until(s.key.Expires) - 1)
		s.expect(t, "a moment before its end", s.token.Text(), "")
		time.Sleep(time.Nanosecond)
		s.expect(t, "at its end", s.token.Text(), "API key expired")
		s.expect(t, "expired, another secret", wrong.Text(), invalid)

		endless := s.key
		endless.Expires = time.Time{}
		s.put(endless)
		s.v.Forget(s.key.ID)
		s.expect(t, "endless", s.token.Text(), "API key has no expiry, which this gateway requires")
		s.v.requireExpiry = false
		s.expect(t, "endless where it may be", s.token.Text(), "")
	})
}

// A key of the other environment with the same pepper is refused even when both rows are
// in one store.
func TestOtherEnvironment(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		key, token, err := New("test", grant(time.Now()), s.peppers, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.put(key)
		s.expect(t, "of test", token.Text(), invalid)
	})
}

// Who writes to the store cannot make a secret good for another key.
func TestDigestBelongsToItsRow(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		victim, token, err := New("live", grant(time.Now()), s.peppers, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		victim.Digest = s.key.Digest
		s.put(victim)
		token.secret = s.token.secret
		s.expect(t, "a digest moved", token.Text(), invalid)
		other := s.key
		other.ID = victim.ID
		s.put(other)
		s.v.Forget(victim.ID)
		s.expect(t, "a row moved", token.Text(), invalid)
	})
}

func TestNetworks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		s.key.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
		s.put(s.key)
		for from, want := range map[string]string{
			"192.0.2.7": "", "::ffff:192.0.2.7": "", "2001:db8::1": "", "2001:db8::1%eth0": "",
			"192.0.3.7": "API key may not be used from this address", "::1": "API key may not be used from this address",
			"": "API key may not be used from this address",
		} {
			address, _ := netip.ParseAddr(from)
			if got := s.says(t, s.token.Text(), address); got != want {
				t.Errorf("from %q: %q", from, got)
			}
		}
	})
}

// A revocation is in force within 5 seconds on an instance that remembers the key, and no
// answer of the store is needed more often than that.
func TestRevocation(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		s.expect(t, "good", s.token.Text(), "")
		revoked := s.key
		revoked.Revoked = time.Now()
		s.put(revoked)
		time.Sleep(5*time.Second - time.Nanosecond)
		s.expect(t, "remembered", s.token.Text(), "")
		if s.asked != 1 {
			t.Errorf("the store was asked %d times", s.asked)
		}
		time.Sleep(time.Nanosecond)
		s.expect(t, "5 s after", s.token.Text(), "API key was revoked")
	})
}

// A new key is good on an instance that was asked for it before it was there, after a
// second.
func TestNewKey(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		key, token, _ := New("live", grant(time.Now()), s.peppers, time.Now())
		s.expect(t, "too early", token.Text(), invalid)
		s.put(key)
		time.Sleep(time.Second)
		s.expect(t, "a second after", token.Text(), "")
	})
}

func TestStoreIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		s.expect(t, "good", s.token.Text(), "")
		s.fail(errors.New("down"))
		time.Sleep(5*time.Second - time.Nanosecond)
		s.expect(t, "remembered", s.token.Text(), "")
		time.Sleep(time.Nanosecond)
		s.expect(t, "not known any more", s.token.Text(), "unavailable")
		unknown := newToken("live")
		s.expect(t, "never seen", unknown.Text(), "unavailable")
		s.expect(t, "not a key", "icp_live_x", invalid)
	})
}

// One HMAC is made for each token of the right form, whether its id exists or not.
func TestConstantWork(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		var versions []int
		s.v.digest = func(version int, token Token) [DigestSize]byte {
			versions = append(versions, version)
			return s.peppers.digest(version, token)
		}
		wrong, other := s.token, newToken("test")
		wrong.secret = strings.Repeat("0", secretLn)
		for _, token := range []Token{s.token, newToken("live"), wrong, other} {
			s.says(t, token.Text(), home)
		}
		if !reflect.DeepEqual(versions, []int{2, 2, 2, 2}) {
			t.Errorf("HMACs with peppers %v", versions)
		}
	})
}

func TestPeppers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		old, token, _ := New("live", grant(time.Now()), pepper(t, 1, 1), time.Now())
		s.put(old)
		s.expect(t, "the pepper before", token.Text(), "")
		newer, token3, _ := New("live", grant(time.Now()), pepper(t, 3, 3), time.Now())
		s.put(newer)
		s.expect(t, "a pepper that is not configured", token3.Text(), "unavailable")
	})
	for name, values := range map[string]map[int][]byte{
		"missing": {2: make([]byte, 32)}, "short": {1: make([]byte, 32), 2: make([]byte, 31)}, "none": nil,
	} {
		if _, err := NewPeppers(1, values); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestUses(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		var failed []string
		s.v.uses.failed = func(id string, err error) { failed = append(failed, id) }
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.v.Run(ctx) })
		begin := time.Now().Unix()
		use := func() {
			s.expect(t, "good", s.token.Text(), "")
			synctest.Wait()
		}
		for range 301 { // seconds
			use()
			time.Sleep(time.Second)
		}
		want := []string{fmt.Sprint(s.key.ID, " ", begin), fmt.Sprint(s.key.ID, " ", begin+300)}
		if !reflect.DeepEqual(s.used, want) {
			t.Errorf("noted %q, not %q", s.used, want)
		}
		// What failed is tried at the next use.
		time.Sleep(useEvery - 2*time.Second)
		use()
		time.Sleep(time.Second)
		s.fail(errors.New("down"))
		use()
		s.fail(nil)
		s.used = nil
		use()
		if len(s.used) != 1 || !reflect.DeepEqual(failed, []string{s.key.ID}) {
			t.Errorf("noted %q, failed %q", s.used, failed)
		}
		// Nothing waits for a store that hangs.
		cancel()
		wg.Wait()
		s.used = nil
		for n := range 2 * usesWaiting {
			s.v.uses.note(fmt.Sprint(n), time.Now())
		}
		if len(s.v.uses.waiting) != usesWaiting {
			t.Errorf("%d wait", len(s.v.uses.waiting))
		}
	})
}

func TestRotate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *scene) {
		time.Sleep(24 * time.Hour)
		next, token, before, err := Rotate(s.key, time.Hour, s.peppers, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if next.RotatedFrom != s.key.ID || next.ID == s.key.ID || !next.Expires.Equal(time.Now().Add(30*24*time.Hour)) || next.Owner != "p1" || !next.Revoked.IsZero() {
			t.Errorf("the next is %+v", next)
		}
		s.put(next, before)
		s.expect(t, "new", token.Text(), "")
		s.expect(t, "old", s.token.Text(), "")
		time.Sleep(time.Hour - 1)
		s.expect(t, "old at the end of the overlap", s.token.Text(), "")
		time.Sleep(time.Nanosecond)
		s.expect(t, "old after the overlap", s.token.Text(), "API key expired")
		s.expect(t, "new", token.Text(), "")

		if _, _, _, err := Rotate(before, time.Hour, s.peppers, time.Now()); err == nil {
			t.Error("a key that has ended was rotated")
		}
		if _, _, _, err := Rotate(next, MaxOverlap+1, s.peppers, time.Now()); err == nil {
			t.Error("the overlap has no bound")
		}
		// An overlap does not lengthen a life.
		short := next
		short.Expires = time.Now().Add(time.Minute)
		if _, _, before, err := Rotate(short, time.Hour, s.peppers, time.Now()); err != nil || !before.Expires.Equal(short.Expires) {
			t.Errorf("it ends %v, %v", before.Expires, err)
		}
	})
}

func TestNewIsRefused(t *testing.T) {
	now := time.Now()
	peppers := pepper(t, 1, 1)
	for name, spoil := range map[string]func(*Grant){
		"no owner":   func(g *Grant) { g.Owner = "" },
		"no tenant":  func(g *Grant) { g.Tenant = "" },
		"no scope":   func(g *Grant) { g.Scopes = []string{""} },
		"no maker":   func(g *Grant) { g.CreatedBy = "" },
		"expired":    func(g *Grant) { g.Expires = now },
		"very long":  func(g *Grant) { g.Expires = now.Add(MaxLifetime + 1) },
		"networks":   func(g *Grant) { g.Networks = make([]netip.Prefix, MaxNetworks+1) },
		"no network": func(g *Grant) { g.Networks = make([]netip.Prefix, 1) },
		"control":    func(g *Grant) { g.Tenant = "a\x00b" },
	} {
		g := grant(now)
		spoil(&g)
		if _, _, err := New("live", g, peppers, now); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	for _, env := range []string{"", "Live", "live1", "verylongenv", "li_ve"} {
		if _, _, err := New(env, grant(now), peppers, now); err == nil {
			t.Errorf("environment %q passes", env)
		}
	}
}

// The form is what scanners are told to look for, and nothing prints a secret.
func TestForm(t *testing.T) {
	token := newToken("live")
	if !regexp.MustCompile(`^icp_[a-z]{1,8}_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$`).MatchString(token.Text()) {
		t.Errorf("%s", token.Text())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, token.secret) || !strings.Contains(text, token.ID) {
			t.Errorf("%s prints %s", verb, text)
		}
		if text := fmt.Sprintf(verb, pepper(t, 1, 1)); text != "1 peppers" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	// The checksum of this one was made by Python's zlib: the form is for ever.
	const known = "icp_live_0123456789AB_0000000000000000000000000000000000000000000_19sCra"
	if _, err := Parse(known); err != nil {
		t.Errorf("%v: %s", err, Token{Env: "live", ID: "0123456789AB", secret: strings.Repeat("0", 43)}.Text())
	}
}

// Each change of one character is seen without a look into the store.
func TestTypingErrors(t *testing.T) {
	text := newToken("live").Text()
	for i := range text {
		for _, c := range "0aZ_" {
			changed := text[:i] + string(c) + text[i+1:]
			if _, err := Parse(changed); changed != text && err == nil {
				t.Errorf("%s passes for %s", changed, text)
			}
		}
	}
}

func TestDraw(t *testing.T) {
	seen := make(map[rune]int)
	for range 10_000 {
		for _, c := range draw(62) {
			seen[c]++
		}
	}
	for _, c := range digits {
		if n := seen[c]; n < 9100 || n > 10_900 { // 10,000, and 9 standard deviations
			t.Errorf("%c was drawn %d times", c, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(newToken("live").Text())
	f.Add("icp_live_0123456789AB_0000000000000000000000000000000000000000000_000000")
	f.Add("icp____")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := Parse(text)
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error holds the key: %v", err)
			}
			return
		}
		if token.Text() != text {
			t.Fatalf("%q became %q", text, token.Text())
		}
	})
}

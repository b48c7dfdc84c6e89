package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// scene is an issuer, a verifier of its tokens, and time that passes when told.
type scene struct {
	*issuer
	t *testing.T
	v *Verifier
}

// inScene runs a test in which keys are refreshed after 5 minutes, are of no use after an
// hour, and are fetched at most each 10 seconds.
func inScene(t *testing.T, test func(*testing.T, *scene)) {
	rsaKey() // made outside, where time is real
	otherRSA()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{issuer: &issuer{url: "https://id.example/realms/ipfs"}, t: t}
		s.publish(public("k1", rsaKey()))
		s.v = must(New([]Issuer{keycloak(s.url)}, s.client(), nil))
		test(t, s)
	})
}

// says tells what comes of a token signed now.
func (s *scene) says(kid string, key any) string {
	_, err := s.v.Verify(s.t.Context(), draftOf(keycloakClaims(s.url, time.Now())).head("kid", kid).by(key).sign())
	synctest.Wait() // for what goes on behind
	return outcome(s.t, err)
}

func (s *scene) expect(what, kid string, key any, want string) {
	s.t.Helper()
	if got := s.says(kid, key); got != want {
		s.t.Errorf("%s: %q, not %q", what, got, want)
	}
}

func TestRotation(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.expect("first", "k1", rsaKey(), "")
		s.publish(public("k1", rsaKey()), public("k2", otherRSA()))
		s.expect("new key within the interval", "k2", otherRSA(), invalid)
		time.Sleep(10 * time.Second)
		s.expect("new key", "k2", otherRSA(), "")
		s.expect("old key", "k1", rsaKey(), "")
		if s.fetched() != 2 {
			t.Errorf("%d fetches", s.fetched())
		}
		// The old key is removed: it passes until keys are refreshed, once more while they
		// are, and no more.
		s.publish(public("k2", otherRSA()))
		time.Sleep(5 * time.Minute)
		s.expect("removed key while keys are refreshed", "k1", rsaKey(), "")
		s.expect("removed key", "k1", rsaKey(), invalid)
		s.expect("new key", "k2", otherRSA(), "")
	})
}

// After a long time in which nobody asked, a removed key does not pass even once.
func TestRemovedWhileNobodyAsked(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.expect("first", "k1", rsaKey(), "")
		s.publish(public("k2", otherRSA()))
		time.Sleep(10 * time.Minute)
		s.expect("removed key", "k1", rsaKey(), invalid)
	})
}

// An issuer that publishes no key any more has revoked all.
func TestAllKeysRemoved(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.expect("first", "k1", rsaKey(), "")
		s.replace = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/jwks") {
				fmt.Fprint(w, `{"keys":[]}`)
				return true
			}
			return false
		}
		time.Sleep(10 * time.Minute)
		s.expect("removed key", "k1", rsaKey(), invalid)
	})
}

func TestOutage(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.setDown(true)
		s.expect("down at the start", "k1", rsaKey(), "unavailable")
		s.setDown(false)
		s.expect("up, but asked a moment ago", "k1", rsaKey(), "unavailable")
		time.Sleep(10 * time.Second)
		s.expect("up", "k1", rsaKey(), "")

		s.setDown(true)
		for range 59 {
			time.Sleep(time.Minute)
			s.expect("known key while down", "k1", rsaKey(), "")
		}
		s.expect("unknown key while down", "k2", otherRSA(), "unavailable")
		time.Sleep(time.Minute)
		s.expect("known key, too old", "k1", rsaKey(), "unavailable")
		s.setDown(false)
		time.Sleep(10 * time.Second)
		s.expect("up again", "k1", rsaKey(), "")
	})
}

// An issuer that does not answer holds up nobody whose key is known.
func TestHangs(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.expect("first", "k1", rsaKey(), "")
		s.mu.Lock()
		s.hang = true
		s.mu.Unlock()
		for range 20 {
			time.Sleep(2 * time.Minute)
			begin := time.Now()
			_, err := s.v.Verify(t.Context(), draftOf(keycloakClaims(s.url, begin)).sign())
			if err != nil || time.Since(begin) > 0 {
				t.Fatalf("waited %v: %v", time.Since(begin), err)
			}
			time.Sleep(fetchTimeout)
		}
		// Who waits for keys waits no longer than for an attempt, or than it wants.
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(0)
		_, err := s.v.Verify(ctx, draftOf(keycloakClaims(s.url, begin)).head("kid", "k2").sign())
		if outcome(t, err) != "unavailable" || time.Since(begin) > time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		time.Sleep(fetchTimeout)
		synctest.Wait()
	})
}

// A flood of unknown keys makes few fetches, and known keys go on.
func TestKidFlood(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.expect("first", "k1", rsaKey(), "")
		bad := draftOf(keycloakClaims(s.url, time.Now())).by([]byte{})
		good := draftOf(keycloakClaims(s.url, time.Now())).sign()
		const minute = 60
		for second := range minute {
			var wg sync.WaitGroup
			for n := range 50 {
				wg.Go(func() {
					if _, err := s.v.Verify(t.Context(), bad.head("kid", fmt.Sprint(second, "-", n)).sign()); outcome(t, err) != invalid {
						t.Errorf("unknown key: %v", err)
					}
				})
			}
			wg.Wait()
			if _, err := s.v.Verify(t.Context(), good); err != nil {
				t.Fatalf("known key: %v", err)
			}
			time.Sleep(time.Second)
		}
		if n := s.fetched(); n > 1+minute/10 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

// Whoever comes at once when there are no keys shares one attempt.
func TestSingleFlight(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := s.v.Verify(t.Context(), draftOf(keycloakClaims(s.url, time.Now())).sign()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s.fetched() != 1 {
			t.Errorf("%d fetches", s.fetched())
		}
	})
}

// What an issuer may answer instead of keys. Each leaves the issuer without keys.
func TestAnswersOfIssuers(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"another issuer": onDiscovery(`{"issuer":"https://id.example/realms/ipfs/","jwks_uri":"https://id.example/jwks"}`),
		"keys by http":   onDiscovery(`{"issuer":"https://id.example/realms/ipfs","jwks_uri":"http://id.example/jwks"}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
			return true
		},
		"not JSON":     func(w http.ResponseWriter, r *http.Request) bool { fmt.Fprint(w, "<html>"); return true },
		"endless":      onKeys(`{"keys":[` + strings.Repeat(" ", maxDocument) + `]}`),
		"no keys":      onKeys(`{}`),
		"too many":     onKeys(`{"keys":[` + strings.Repeat(`{},`, maxKeys) + `{}]}`),
		"shared":       onKeys(`{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}`),
		"for secrets":  onKeys(`{"keys":[` + strings.Replace(string(must(public("k1", rsaKey()).MarshalJSON())), `"sig"`, `"enc"`, 1) + `]}`),
		"short RSA":    onKeys(`{"keys":[{"kty":"RSA","kid":"k1","n":"` + strings.Repeat("_", 171) + `","e":"AQAB"}]}`),
		"off the line": onKeys(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}`),
	} {
		inScene(t, func(t *testing.T, s *scene) {
			s.replace = answer
			s.expect(name, "k1", rsaKey(), "unavailable")
		})
	}
	inScene(t, func(t *testing.T, s *scene) {
		s.replace = onDiscovery(`{"issuer":"https://id.example/realms/ipfs","jwks_uri":"https://id.example/jwks"}`)
		s.expect("a document that is good", "k1", rsaKey(), "")
	})
	// What is not understood does not hide the rest.
	inScene(t, func(t *testing.T, s *scene) {
		s.replace = onKeys(`{"keys":[{"kty":"OKP","crv":"X448","kid":"k1","x":"AA"},{"kty":"new"},` + string(must(public("k1", rsaKey()).MarshalJSON())) + `]}`)
		s.expect("one that is good", "k1", rsaKey(), "")
	})
}

func onDiscovery(text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/jwks") {
			return false
		}
		fmt.Fprint(w, text)
		return true
	}
}

func onKeys(text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/jwks") {
			return false
		}
		fmt.Fprint(w, text)
		return true
	}
}

// Two keys and a token that names none: none is tried.
func TestWithoutKid(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		token := draftOf(keycloakClaims(s.url, time.Now())).head("kid", nil)
		if _, err := s.v.Verify(t.Context(), token.sign()); err != nil {
			t.Errorf("one key: %v", err)
		}
		s.publish(public("k1", rsaKey()), public("k2", otherRSA()))
		time.Sleep(10 * time.Minute)
		token = draftOf(keycloakClaims(s.url, time.Now())).head("kid", nil)
		if _, err := s.v.Verify(t.Context(), token.sign()); outcome(t, err) != invalid {
			t.Errorf("two keys: %v", err)
		}
	})
}

func TestCanceled(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.mu.Lock()
		s.hang = true
		s.mu.Unlock()
		_, err := s.v.Verify(ctx, draftOf(keycloakClaims(s.url, time.Now())).sign())
		if outcome(t, err) != "unavailable" || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		time.Sleep(fetchTimeout)
	})
}

// One attempt runs at a time, also where attempts may follow each other sooner than one
// gives up.
func TestOneAttemptAtATime(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		config := keycloak(s.url)
		config.FetchInterval = time.Second
		s.v = must(New([]Issuer{config}, s.client(), nil))
		s.hang = true
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := s.v.Verify(t.Context(), draftOf(keycloakClaims(s.url, time.Now())).sign()); outcome(t, err) != "unavailable" {
					t.Errorf("while it hangs: %v", err)
				}
			})
			time.Sleep(time.Second)
		}
		wg.Wait()
		if s.hung != 1 {
			t.Errorf("%d attempts", s.hung)
		}
	})
}

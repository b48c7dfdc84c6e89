package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// fetchTimeout bounds one attempt to fetch keys, all its requests together.
const fetchTimeout = 5 * time.Second

// keySet has the keys of an issuer. One attempt to fetch them runs at a time, and begins
// no sooner than Issuer.FetchInterval after the one before, whoever asks for what.
type keySet struct {
	issuer Issuer
	fetch  func(context.Context) ([]jose.JSONWebKey, error)

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time     // when the attempt began that found keys; zero before
	begun   time.Time     // when the last attempt began; zero before
	err     error         // of the last attempt that ended
	running chan struct{} // closed when the attempt that runs ends; nil if none runs
}

func newKeySet(issuer Issuer, client *http.Client) *keySet {
	s := source{issuer: issuer.URL, jwks: issuer.JWKS, allowHTTP: issuer.AllowHTTP, client: withoutRedirects(client)}
	return &keySet{issuer: issuer, fetch: s.keys}
}

// find returns the keys for tokens with that kid and algorithm, at least one. It fetches
// keys if it must, and waits for them no longer than ctx. An error is a
// *principal.Refusal or a *principal.Unavailable.
func (s *keySet) find(ctx context.Context, kid, algorithm string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	found := s.known(kid, algorithm)
	age := time.Since(s.fetched)
	var wait chan struct{}
	switch {
	case len(found) == 0:
		wait = s.begin()
	case age >= 2*s.issuer.RefreshAfter && s.err == nil:
		// Nobody has asked for long. Without a wait, a key that was withdrawn long ago
		// would pass once.
		wait = s.begin()
	case age >= s.issuer.RefreshAfter:
		s.begin()
	}
	s.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, principal.CannotCheck(time.Second, ctx.Err())
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.known(kid, algorithm)
	again := s.issuer.FetchInterval - time.Since(s.begun)
	switch {
	case len(found) > 0:
		return found, nil
	case s.err != nil:
		// The key may be one that we could not learn of.
		return nil, principal.CannotCheck(again, fmt.Errorf("keys of %s: %w", s.issuer.URL, s.err))
	case !s.usable():
		return nil, principal.CannotCheck(again, fmt.Errorf("keys of %s are too old", s.issuer.URL))
	}
	return nil, principal.Refuse(invalid, errors.New("it is signed with a key that the issuer does not have"))
}

// begin begins an attempt, unless one runs, and returns what is closed when it ends. Nil
// if it is too soon. The caller holds the lock.
func (s *keySet) begin() chan struct{} {
	now := time.Now()
	if s.running != nil || !s.begun.IsZero() && now.Sub(s.begun) < s.issuer.FetchInterval {
		return s.running
	}
	s.begun = now
	s.running = make(chan struct{})
	go s.attempt(now, s.running)
	return s.running
}

// attempt fetches keys. What it does not get stays as it was. It outlives the request that
// began it, since others wait for it too.
func (s *keySet) attempt(begun time.Time, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.keys, s.fetched = keys, begun
	}
	s.running = nil
	close(done)
}

func (s *keySet) usable() bool {
	return !s.fetched.IsZero() && time.Since(s.fetched) < s.issuer.MaxAge
}

// known returns the keys that are there for a kid and an algorithm. A token without a kid
// has the only key, if there is one only. The caller holds the lock.
func (s *keySet) known(kid, algorithm string) []jose.JSONWebKey {
	if !s.usable() {
		return nil
	}
	var found []jose.JSONWebKey
	for _, key := range s.keys {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == algorithm) && suits(key.Key, algorithm) {
			found = append(found, key)
		}
	}
	if kid == "" && len(found) > 1 {
		return nil
	}
	return found
}

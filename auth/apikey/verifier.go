package apikey

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// Store has the keys. Safe for concurrent use.
type Store interface {
	// Key returns the key of an id, and false if there is none. It reads what was
	// acknowledged to whoever revoked a key (LOCAL_QUORUM where that writes so).
	Key(ctx context.Context, id string) (Key, bool, error)
	// Used notes that a key was used at a moment. The last one counts.
	Used(ctx context.Context, id string, at time.Time) error
}

// Verifier verifies keys. Safe for concurrent use.
type Verifier struct {
	env           string
	peppers       Peppers
	requireExpiry bool
	keys          *recent.Answers[Key]
	uses          *uses
	digest        func(int, Token) [DigestSize]byte // of peppers; tests count
}

// Config is what a Verifier needs.
type Config struct {
	// Env is the environment whose keys pass.
	Env     string
	Peppers Peppers
	Store   Store
	// RequireExpiry refuses keys that do not end.
	RequireExpiry bool
	// Recent are the times for which keys are remembered, which are the promise about
	// revocation. Zero means 5 seconds, and 1 second for ids that do not exist.
	Recent recent.Config
	// Failed is told of uses that could not be noted. May be nil.
	Failed func(id string, err error)
}

// NewVerifier returns a verifier. Its Run notes uses.
func NewVerifier(config Config) (*Verifier, error) {
	if !isEnv(config.Env) {
		return nil, fmt.Errorf("environment %.20q is not 1 to %d lower-case letters", config.Env, maxEnv)
	}
	if config.Store == nil || len(config.Peppers.values) == 0 {
		return nil, errors.New("keys need a store and peppers")
	}
	keys, err := recent.New(config.Store.Key, config.Recent)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	uses, err := newUses(config.Store, config.Failed)
	if err != nil {
		return nil, err
	}
	return &Verifier{
		env: config.Env, peppers: config.Peppers, requireExpiry: config.RequireExpiry, keys: keys,
		uses: uses, digest: config.Peppers.digest,
	}, nil
}

// invalid is what is told to whoever does not have the secret.
const invalid = "API key is not valid"

// Verify returns whose the key is that came from an address. An error is a
// *principal.Refusal or a *principal.Unavailable.
func (v *Verifier) Verify(ctx context.Context, text string, from netip.Addr) (principal.Principal, error) {
	token, err := Parse(text)
	if err != nil {
		return principal.Principal{}, principal.Refuse(invalid, err)
	}
	key, ok, err := v.keys.Get(ctx, token.ID)
	if err != nil {
		return principal.Principal{}, principal.CannotCheck(time.Second, fmt.Errorf("key %s: %w", token.ID, err))
	}
	if err := v.authentic(key, ok, token); err != nil {
		return principal.Principal{}, err
	}
	now := time.Now()
	switch why := key.over(now); {
	case why != "":
		return principal.Principal{}, principal.Refuse(why, nil)
	case v.requireExpiry && key.Expires.IsZero():
		return principal.Principal{}, principal.Refuse("API key has no expiry, which this gateway requires", nil)
	case !key.allows(from):
		return principal.Principal{}, principal.Refuse("API key may not be used from this address", fmt.Errorf("key %s from %v", key.ID, from))
	}
	p := key.principal()
	if err := p.Check(); err != nil {
		return principal.Principal{}, principal.CannotCheck(time.Minute, fmt.Errorf("key %s as it is stored: %w", key.ID, err))
	}
	v.uses.note(key.ID, now)
	return p, nil
}

// authentic returns an error unless the token has the secret of the key, and is of here.
// It does the same work for each token of the right form.
func (v *Verifier) authentic(key Key, ok bool, token Token) error {
	version := v.peppers.current
	if ok {
		version = key.Pepper
	}
	digest := v.digest(version, token)
	same := subtle.ConstantTimeCompare(digest[:], key.Digest[:]) == 1
	switch {
	case !ok:
		return principal.Refuse(invalid, fmt.Errorf("there is no key %s", token.ID))
	case v.peppers.values[version] == nil:
		return principal.CannotCheck(time.Minute, fmt.Errorf("key %s: %w (version %d)", token.ID, errPepper, version))
	case !same:
		return principal.Refuse(invalid, fmt.Errorf("key %s: the secret is wrong", token.ID))
	case token.Env != v.env:
		return principal.Refuse(invalid, fmt.Errorf("key %s is of environment %.20q", token.ID, token.Env))
	}
	return nil
}

// Forget makes the next use of a key look into the store. Call it where a key was revoked.
func (v *Verifier) Forget(id string) { v.keys.Forget(id) }

// Run writes to the store when keys were last used, until ctx ends.
func (v *Verifier) Run(ctx context.Context) { v.uses.run(ctx) }

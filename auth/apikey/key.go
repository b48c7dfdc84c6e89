package apikey

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// Limits of what a key may be.
const (
	MaxLifetime = 366 * 24 * time.Hour
	MaxOverlap  = 30 * 24 * time.Hour
	MaxNetworks = 64
)

// Grant is what a key may do, and for whom.
type Grant struct {
	Owner                 string // the id of the principal
	Tenant                string
	Roles, Groups, Scopes []string
	// Networks are where it may be used from. Empty means anywhere.
	Networks []netip.Prefix
	// Expires is when it ends. Zero means never, which Verifier.RequireExpiry refuses.
	Expires time.Time
	// CreatedBy is the id of the principal who made the key.
	CreatedBy string
}

// Key is a key as the store has it: all but the secret.
type Key struct {
	ID, Env string
	Grant
	// Digest is the HMAC of the secret, with the pepper of version Pepper.
	Digest [DigestSize]byte
	Pepper int
	// Created and Revoked are moments; Revoked is zero unless it was.
	Created, Revoked time.Time
	// RotatedFrom is the id of the key whose place this one takes. May be empty.
	RotatedFrom string
}

// New makes a key, and returns what is stored and what its owner is shown once.
func New(env string, grant Grant, peppers Peppers, now time.Time) (Key, Token, error) {
	grant.Roles, grant.Groups, grant.Scopes = principal.Set(grant.Roles), principal.Set(grant.Groups), principal.Set(grant.Scopes)
	token := newToken(env)
	key := Key{ID: token.ID, Env: env, Grant: grant, Pepper: peppers.current, Created: now}
	if err := key.check(now); err != nil {
		return Key{}, Token{}, fmt.Errorf("key: %w", err)
	}
	key.Digest = peppers.digest(key.Pepper, token)
	return key, token, nil
}

func (k Key) check(now time.Time) error {
	switch {
	case !isEnv(k.Env):
		return fmt.Errorf("environment %.20q is not 1 to %d lower-case letters", k.Env, maxEnv)
	case len(k.Scopes) == 0:
		return errors.New("it has no scope")
	case k.CreatedBy == "":
		return errors.New("nobody made it")
	case len(k.Networks) > MaxNetworks:
		return fmt.Errorf("%d networks are more than %d", len(k.Networks), MaxNetworks)
	case slices.ContainsFunc(k.Networks, func(p netip.Prefix) bool { return !p.IsValid() }):
		return errors.New("a network is not valid")
	case !k.Expires.IsZero() && !k.Expires.After(now):
		return errors.New("it would have expired")
	case k.Expires.After(now.Add(MaxLifetime)):
		return fmt.Errorf("it would be good for more than %v", MaxLifetime)
	}
	return k.principal().Check()
}

// Rotate makes a key that takes the place of one, and returns it, the token of it, and the
// old key as it is to be stored: it ends after the overlap, if it does not end before. The
// new one is good for as long as the old one was at first.
func Rotate(old Key, overlap time.Duration, peppers Peppers, now time.Time) (next Key, token Token, before Key, err error) {
	switch {
	case overlap < 0 || overlap > MaxOverlap:
		return Key{}, Token{}, old, fmt.Errorf("rotate key %s: the overlap %v is not between 0 and %v", old.ID, overlap, MaxOverlap)
	case old.over(now) != "":
		return Key{}, Token{}, old, fmt.Errorf("rotate key %s: it has ended", old.ID)
	}
	grant := old.Grant
	if !grant.Expires.IsZero() {
		grant.Expires = now.Add(old.Expires.Sub(old.Created))
	}
	if next, token, err = New(old.Env, grant, peppers, now); err != nil {
		return Key{}, Token{}, old, fmt.Errorf("rotate key %s: %w", old.ID, err)
	}
	next.RotatedFrom = old.ID
	if end := now.Add(overlap); old.Expires.IsZero() || end.Before(old.Expires) {
		old.Expires = end
	}
	return next, token, old, nil
}

// over says why the key is no longer good at a moment, to whoever has its secret. Empty if
// it is good.
func (k Key) over(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "API key was revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "API key expired"
	}
	return ""
}

// allows tells whether the key may be used from an address.
func (k Key) allows(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return len(k.Networks) == 0 || slices.ContainsFunc(k.Networks, func(p netip.Prefix) bool { return p.Contains(address) })
}

func (k Key) principal() principal.Principal {
	return principal.Principal{
		ID: k.Owner, Tenant: k.Tenant, Roles: principal.Set(k.Roles), Groups: principal.Set(k.Groups), Scopes: principal.Set(k.Scopes),
		Method: principal.MethodAPIKey, Credential: k.ID, Expires: k.Expires,
	}
}

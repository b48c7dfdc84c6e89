// Package session makes and verifies the gateway's own tokens: what a login with a DID, a
// wallet or an OIDC issuer is exchanged for.
//
// Promised: a token that passes was signed with a key of the ring for this gateway, not
// longer ago than MaxLifetime; and it says who had logged in, how, and with which
// credential. It ends no later than the credential did.
//
// An attacker with a stolen token has it for at most MaxLifetime, and until it is on the
// denylist. A session cannot be made from a session, so that nobody stays for ever. No
// other token passes as a session, and a session passes as no other: they have a type of
// their own.
package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	// Type is what the header of a session token says that it is.
	Type = "pin-session+jwt"
	// MaxLifetime bounds a session.
	MaxLifetime = 15 * time.Minute
	// MaxBytes bounds a token, so that it fits into a cookie.
	MaxBytes = 3800
	// skew is by how much the clocks of two instances may differ.
	skew = 60 * time.Second
)

// Config is what sessions need. All instances have the same.
type Config struct {
	// Gateway is the public URL of the gateway: who signs, and for whom.
	Gateway string
	// Lifetime is how long a session is good for. Zero means MaxLifetime.
	Lifetime time.Duration
	Keys     []Key
	// Denylist may be nil.
	Denylist principal.Denylist
}

// Sessions makes and verifies tokens. Safe for concurrent use.
type Sessions struct {
	config Config
	keys   ring
}

// New returns sessions.
func New(config Config) (*Sessions, error) {
	if config.Lifetime == 0 {
		config.Lifetime = MaxLifetime
	}
	switch {
	case config.Gateway == "":
		return nil, errors.New("sessions need the URL of the gateway")
	case config.Lifetime < time.Second || config.Lifetime > MaxLifetime:
		return nil, fmt.Errorf("a session of %v is not between a second and %v", config.Lifetime, MaxLifetime)
	}
	keys, err := newRing(config.Keys)
	if err != nil {
		return nil, err
	}
	return &Sessions{config: config, keys: keys}, nil
}

// claims are what a token says.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`

	Principal  string           `json:"sub"`
	Tenant     string           `json:"tenant"`
	Roles      []string         `json:"roles,omitempty"`
	Groups     []string         `json:"groups,omitempty"`
	Scopes     []string         `json:"scopes,omitempty"`
	Via        principal.Method `json:"via"`
	MFA        bool             `json:"mfa,omitempty"`
	Credential string           `json:"cred"`
	VouchedBy  string           `json:"vouched_by,omitempty"`
	VouchedFor string           `json:"vouched_for,omitempty"`
}

// Issue returns a token for a principal that has just proved itself, and when it ends.
func (s *Sessions) Issue(p principal.Principal) (string, time.Time, error) {
	now := time.Now()
	expires := now.Add(s.config.Lifetime)
	if !p.Expires.IsZero() && p.Expires.Before(expires) {
		expires = p.Expires
	}
	expires = expires.Truncate(time.Second)
	switch err := p.Check(); {
	case err != nil:
		return "", time.Time{}, fmt.Errorf("session: %w", err)
	case p.Method == principal.MethodSession:
		return "", time.Time{}, errors.New("a session cannot be made from a session")
	case !expires.After(now):
		return "", time.Time{}, errors.New("session: the credential ends now")
	}
	payload, err := json.Marshal(claims{
		Issuer: s.config.Gateway, Audience: s.config.Gateway, ID: rand.Text(), Issued: now.Unix(), Expires: expires.Unix(),
		Principal: p.ID, Tenant: p.Tenant, Roles: p.Roles, Groups: p.Groups, Scopes: p.Scopes,
		Via: p.Method, MFA: p.MFA, Credential: p.Credential, VouchedBy: p.Issuer, VouchedFor: p.Subject,
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("session: %w", err)
	}
	token, err := s.keys.sign(payload, now)
	switch {
	case err != nil:
		return "", time.Time{}, fmt.Errorf("session: %w", err)
	case len(token) > MaxBytes:
		return "", time.Time{}, fmt.Errorf("session: the token has %d bytes, more than %d: the principal has too many roles, groups or scopes", len(token), MaxBytes)
	}
	return token, expires, nil
}

// invalid is what is told of a token before its signature was good.
const invalid = "session is not valid"

// Verify returns whose the session is. An error is a *principal.Refusal or a
// *principal.Unavailable.
func (s *Sessions) Verify(ctx context.Context, token string) (principal.Principal, error) {
	p, names, err := s.Read(token)
	if err != nil || s.config.Denylist == nil {
		return p, err
	}
	denied, err := s.config.Denylist.Denied(ctx, names)
	switch {
	case err != nil:
		return principal.Principal{}, principal.CannotCheck(time.Second, fmt.Errorf("denylist: %w", err))
	case denied:
		return principal.Principal{}, principal.Refuse("session was revoked", nil)
	}
	return p, nil
}

// Read is Verify without the denylist: for who ends a session. It also returns what the
// denylist knows the session by. An error is a *principal.Refusal.
func (s *Sessions) Read(token string) (principal.Principal, principal.Token, error) {
	payload, err := s.signed(token)
	if err != nil {
		return principal.Principal{}, principal.Token{}, principal.Refuse(invalid, err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return principal.Principal{}, principal.Token{}, principal.Refuse(invalid, err)
	}
	now := time.Now()
	issued, expires := time.Unix(c.Issued, 0).UTC(), time.Unix(c.Expires, 0).UTC()
	switch {
	case c.Issuer != s.config.Gateway || c.Audience != s.config.Gateway || c.ID == "":
		return principal.Principal{}, principal.Token{}, principal.Refuse("session is of another gateway", nil)
	case issued.After(now.Add(skew)) || expires.After(issued.Add(MaxLifetime)):
		return principal.Principal{}, principal.Token{}, principal.Refuse("session has impossible times", nil)
	case !now.Before(expires):
		return principal.Principal{}, principal.Token{}, principal.Refuse("session expired", nil)
	}
	p := principal.Principal{
		ID: c.Principal, Tenant: c.Tenant, Roles: c.Roles, Groups: c.Groups, Scopes: c.Scopes,
		Method: principal.MethodSession, Via: c.Via, MFA: c.MFA, Credential: c.Credential, Issuer: c.VouchedBy, Subject: c.VouchedFor, Expires: expires,
	}
	if err := p.Check(); err != nil {
		return principal.Principal{}, principal.Token{}, principal.Refuse(invalid, err)
	}
	return p, principal.Token{Issuer: c.Issuer, ID: c.ID, SessionID: c.ID, Principal: p.ID, Tenant: p.Tenant, Issued: issued}, nil
}

// signed returns the claims of a token that a key of the ring has signed.
func (s *Sessions) signed(token string) ([]byte, error) {
	header, err := jwt.Header(token)
	if err != nil {
		return nil, err
	}
	if names := slices.Sorted(maps.Keys(header)); !slices.Equal(names, []string{"alg", "kid", "typ"}) || header["typ"] != Type {
		return nil, fmt.Errorf("the header %.200q is not that of a session", names)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	key, ok := s.keys.public(jws.Signatures[0].Protected.KeyID, time.Now())
	if !ok {
		return nil, errors.New("the key is not in the ring, or no longer")
	}
	return jws.Verify(key)
}

// Package denylist says which tokens were revoked before their time: one token, all of a
// session of an issuer, or all that a principal has from before some moment.
//
// Promised: a revocation that is in the store is in force on every instance within 5
// seconds. While the store does not answer, what is remembered is told until it is that
// old, and then nobody knows: the token cannot be checked.
//
// An attacker cannot avoid it by leaving claims out: a token without an id falls with its
// principal's, and one that does not say when it was issued counts as issued before all.
package denylist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// Age is how old an answer of the store may be, whichever it is: the promise.
const Age = 5 * time.Second

// Store has the revocations. Safe for concurrent use.
type Store interface {
	// Revoked returns false if a key was not revoked. Otherwise, of a PrincipalKey, it
	// returns the moment before which tokens were issued that are revoked; of the other
	// keys, it does not matter. Whoever writes such a moment because something was stolen
	// takes one a minute ahead: the clock of an issuer may be. Rows may go when the last
	// token they are about has ended.
	Revoked(ctx context.Context, key string) (before time.Time, ok bool, err error)
}

// TokenKey is the key in the store of one token: its issuer and its claim jti.
func TokenKey(issuer, id string) string { return key("token", issuer, id) }

// SessionKey is the key of a session: its issuer and the claim sid of its tokens.
func SessionKey(issuer, id string) string { return key("session", issuer, id) }

// PrincipalKey is the key of all tokens of a principal of a tenant. Who runs a tenant revokes
// nobody of another one, whatever their ids are.
func PrincipalKey(tenant, id string) string { return key("principal", tenant, id) }

// key is of one length, whatever a token says.
func key(kind, of, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q", kind, of, id))
	return kind + ":" + hex.EncodeToString(sum[:])
}

// Denylist is a principal.Denylist. Safe for concurrent use.
type Denylist struct {
	answers *recent.Answers[time.Time]
}

// New returns a denylist that remembers up to size answers of each kind; zero means as
// many as recent does.
func New(store Store, size int) (*Denylist, error) {
	answers, err := recent.New(store.Revoked, recent.Config{Positive: Age, Negative: Age, Size: size})
	if err != nil {
		return nil, fmt.Errorf("denylist: %w", err)
	}
	return &Denylist{answers: answers}, nil
}

// Denied tells whether a token was revoked.
func (d *Denylist) Denied(ctx context.Context, token principal.Token) (bool, error) {
	own := PrincipalKey(token.Tenant, token.Principal)
	keys := []string{own}
	if token.ID != "" {
		keys = append(keys, TokenKey(token.Issuer, token.ID))
	}
	if token.SessionID != "" {
		keys = append(keys, SessionKey(token.Issuer, token.SessionID))
	}
	for _, key := range keys {
		before, ok, err := d.answers.Get(ctx, key)
		if err != nil {
			return false, fmt.Errorf("%s: %w", key, err)
		}
		// Times of issue are in seconds: the token may be from before within its second.
		if ok && (key != own || token.Issued.Before(before.Truncate(time.Second).Add(time.Second))) {
			return true, nil
		}
	}
	return false, nil
}

// Forget makes the next look at a key ask the store. Call it where it was written.
func (d *Denylist) Forget(key string) { d.answers.Forget(key) }

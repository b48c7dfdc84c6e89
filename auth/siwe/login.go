package siwe

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	// NonceLife is how long a nonce may be used.
	NonceLife = 5 * time.Minute
	// skew is by how much the client's clock may differ from ours.
	skew = 60 * time.Second
)

// Nonces remember nonces, for all instances. Safe for concurrent use.
type Nonces interface {
	// Put remembers a nonce and whom it was given to, until a moment.
	Put(ctx context.Context, nonce, client string, until time.Time) error
	// Take takes a nonce away and returns to whom it was given, and false if it is not
	// there. Of those who take one nonce at a time, one gets it.
	Take(ctx context.Context, nonce string) (client string, ok bool, err error)
}

// Login is who a client shows with a signed text that it holds the key of an address.
// Safe for concurrent use.
type Login struct {
	scheme, domain string
	chains         []uint64
	nonces         Nonces
}

// NewLogin returns the login of the gateway with that public URL, for accounts on some
// chains.
func NewLogin(gateway string, chains []uint64, nonces Nonces) (*Login, error) {
	u, err := url.Parse(gateway)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return nil, fmt.Errorf("%.200q is not the URL of a gateway", gateway)
	case len(chains) == 0:
		return nil, errors.New("no chain is allowed")
	}
	return &Login{scheme: u.Scheme, domain: u.Host, chains: slices.Clone(chains), nonces: nonces}, nil
}

// Nonce is what a text must have, and what the client that asked for it is known by.
type Nonce struct {
	Nonce string
	// Handle is for the client alone, as an HttpOnly cookie: it is shown with the text.
	Handle  string
	Expires time.Time
}

// Nonce returns a nonce for whoever asks: its callers limit how often an address does. An
// error is a *principal.Unavailable.
func (l *Login) Nonce(ctx context.Context) (Nonce, error) {
	n := Nonce{Nonce: rand.Text(), Handle: rand.Text(), Expires: time.Now().Add(NonceLife).UTC().Truncate(time.Second)}
	if err := l.nonces.Put(ctx, n.Nonce, digest(n.Handle), n.Expires); err != nil {
		return Nonce{}, principal.CannotCheck(time.Second, fmt.Errorf("nonce: %w", err))
	}
	return n, nil
}

// Text returns a text with a nonce for an account on a chain, which its wallet is to sign. The
// address may have a checksum or not. An error is a *principal.Refusal.
func (l *Login) Text(nonce Nonce, address string, chain uint64) (string, error) {
	m := Message{
		Domain: l.domain, Address: checksummed(address), Statement: "Log in to the pinning service.", URI: l.scheme + "://" + l.domain,
		ChainID: chain, Nonce: nonce.Nonce, IssuedAt: time.Now().UTC().Truncate(time.Second),
	}
	if m.Address == "" {
		return "", principal.RefuseMalformed("the address is not one of Ethereum", nil)
	}
	if err := l.check(m, m.IssuedAt); err != nil {
		return "", principal.RefuseMalformed("the login is not possible: "+err.Error(), nil)
	}
	return m.String(), nil
}

// digest is what is stored of a handle.
func digest(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return hex.EncodeToString(sum[:])
}

// Proof is what a signed text proves.
type Proof struct {
	// DID is did:pkh:eip155:<chain>:<address>.
	DID string
	// Expires is when the text says that it ends. Zero if it does not say.
	Expires time.Time
}

// Verify returns who signed a text that the client with the handle sends. An error is a
// *principal.Refusal or a *principal.Unavailable. What is refused for anything but its
// nonce leaves the nonce to be used.
func (l *Login) Verify(ctx context.Context, text, signature, handle string) (Proof, error) {
	m, err := Parse(text)
	if err != nil {
		return Proof{}, principal.RefuseMalformed("the message cannot be read: "+err.Error(), nil)
	}
	raw, err := parseSignature(signature)
	if err != nil {
		return Proof{}, principal.RefuseMalformed(err.Error(), nil)
	}
	if err := l.check(m, time.Now()); err != nil {
		return Proof{}, principal.Refuse("the message is not acceptable: "+err.Error(), nil)
	}
	address, err := signer(text, raw)
	if err != nil || address != m.Address {
		return Proof{}, principal.Refuse("the signature is not of the address in the message", err)
	}
	client, ok, err := l.nonces.Take(ctx, m.Nonce)
	switch {
	case err != nil:
		return Proof{}, principal.CannotCheck(time.Second, fmt.Errorf("nonce: %w", err))
	case !ok || subtle.ConstantTimeCompare([]byte(client), []byte(digest(handle))) != 1:
		return Proof{}, principal.Refuse("the nonce is unknown, expired, was used, or was given to another client", nil)
	}
	return Proof{DID: fmt.Sprintf("did:pkh:eip155:%d:%s", m.ChainID, m.Address), Expires: m.ExpirationTime}, nil
}

// check returns an error for a text that is not for us and now.
func (l *Login) check(m Message, now time.Time) error {
	uri, err := url.Parse(m.URI)
	switch {
	case m.Domain != l.domain || m.Scheme != "" && m.Scheme != l.scheme:
		return errors.New("it is for another domain")
	case err != nil || uri.Scheme != l.scheme || uri.Host != l.domain || uri.User != nil:
		return errors.New("its URI is of another site")
	case !slices.Contains(l.chains, m.ChainID):
		return fmt.Errorf("chain %d is not allowed", m.ChainID)
	case m.IssuedAt.Before(now.Add(-NonceLife-skew)) || m.IssuedAt.After(now.Add(skew)):
		return errors.New("it was not issued a moment ago")
	case !m.ExpirationTime.IsZero() && !now.Before(m.ExpirationTime):
		return errors.New("it expired")
	case m.NotBefore.After(now.Add(skew)):
		return errors.New("it is not good yet")
	}
	return nil
}

// Package jwt verifies bearer tokens of OIDC issuers: whose a token is, or why it is
// refused, or that it cannot be checked now.
//
// Promised, of every token that passes: one of the configured issuers signed it, with one
// of the asymmetric algorithms pinned for that issuer and a key that the issuer publishes
// for it; it is an access token for us, now; and it names a tenant for which this issuer
// may speak.
//
// An attacker who has tokens of other issuers, other audiences or other kinds (ID tokens,
// tokens bound to a key), or who writes tokens, cannot become anybody. Whoever sends
// tokens with keys that nobody knows makes us ask the issuer at most once per
// Issuer.FetchInterval, and cannot keep tokens with known keys from passing. Nothing that a
// token says is followed: no URL and no key in its header.
//
// While an issuer does not answer, its known keys go on until they are Issuer.MaxAge old.
// After that its tokens cannot be checked (*principal.Unavailable). A key that an issuer no
// longer publishes is good for at most twice Issuer.RefreshAfter more, and MaxAge if the
// issuer does not answer.
package jwt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// MaxBytes bounds a token.
const MaxBytes = 16 << 10

// Leeway is by how much our clock and the issuer's may differ.
const Leeway = 60 * time.Second

// Verifier verifies tokens of some issuers. Safe for concurrent use.
type Verifier struct {
	issuers    map[string]*trusted // by URL
	algorithms []jose.SignatureAlgorithm
	denylist   principal.Denylist
}

// trusted is an issuer with its keys.
type trusted struct {
	Issuer
	keys *keySet
}

// New returns a verifier of tokens of the issuers, all of whose mistakes it reports
// together. It asks no issuer yet. The client is used for requests to issuers, with
// redirects refused; nil means http.DefaultClient. The denylist may be nil.
func New(issuers []Issuer, client *http.Client, denylist principal.Denylist) (*Verifier, error) {
	v := &Verifier{issuers: make(map[string]*trusted), denylist: denylist}
	var problems []error
	for _, issuer := range issuers {
		issuer = issuer.withDefaults()
		if err := issuer.check(); err != nil {
			problems = append(problems, fmt.Errorf("issuer %.200q: %w", issuer.URL, err))
		}
		if v.issuers[issuer.URL] != nil {
			problems = append(problems, fmt.Errorf("issuer %.200q is there twice", issuer.URL))
		}
		v.issuers[issuer.URL] = &trusted{Issuer: issuer, keys: newKeySet(issuer, client)}
		for _, name := range issuer.Algorithms {
			v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(name))
		}
	}
	if len(issuers) == 0 {
		problems = append(problems, errors.New("there is no issuer"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify returns whose the token is. An error is a *principal.Refusal or a
// *principal.Unavailable. Its principal has the issuer and the subject, joined by "#", as
// its id.
func (v *Verifier) Verify(ctx context.Context, token string) (principal.Principal, error) {
	issuer, payload, err := v.signed(ctx, token)
	if err != nil {
		return principal.Principal{}, err
	}
	claims := make(map[string]any)
	if err := json.Unmarshal(payload, &claims); err != nil {
		return principal.Principal{}, principal.Refuse(invalid, fmt.Errorf("claims: %w", err))
	}
	p, issued, err := issuer.principal(claims, time.Now())
	if err != nil {
		return principal.Principal{}, err
	}
	if p.Credential == "" {
		sum := sha256.Sum256(payload)
		p.Credential = "sha256:" + hex.EncodeToString(sum[:16])
	}
	if err := p.Check(); err != nil {
		return principal.Principal{}, principal.Refuse("claims of the token are not acceptable", err)
	}
	return p, v.denied(ctx, claims, p, issued)
}

// invalid is what is told of a token before its signature was good.
const invalid = "token is not valid"

// signed returns who signed the token, and its claims.
func (v *Verifier) signed(ctx context.Context, token string) (*trusted, []byte, error) {
	if err := checkHeader(token); err != nil {
		return nil, nil, principal.Refuse(invalid, err)
	}
	jws, err := jose.ParseSignedCompact(token, v.algorithms)
	if err != nil {
		return nil, nil, principal.Refuse(invalid, err)
	}
	var says struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &says); err != nil {
		return nil, nil, principal.Refuse(invalid, fmt.Errorf("claims: %w", err))
	}
	issuer := v.issuers[says.Issuer]
	if issuer == nil {
		return nil, nil, principal.Refuse(invalid, fmt.Errorf("issuer %.200q is not trusted", says.Issuer))
	}
	header := jws.Signatures[0].Protected
	if !slices.Contains(issuer.Algorithms, header.Algorithm) {
		return nil, nil, principal.Refuse(invalid, fmt.Errorf("%s may not sign with %.20q", issuer.URL, header.Algorithm))
	}
	keys, err := issuer.keys.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range keys {
		if payload, err := jws.Verify(key.Key); err == nil {
			return issuer, payload, nil
		}
	}
	return nil, nil, principal.Refuse(invalid, errors.New("the signature is wrong"))
}

// headers are the parameters that the header of a token may have. Of those, only alg, kid
// and typ mean anything here. What is not listed is refused: crit and b64, which change
// how a signature is made; jwk, jku, x5u and x5c, which offer keys.
var headers = []string{"alg", "kid", "typ", "cty", "x5t", "x5t#S256"} //nolint:gochecknoglobals // a constant list

// types are the types of access tokens, in lower case.
var types = []string{"", "jwt", "at+jwt", "application/at+jwt"} //nolint:gochecknoglobals // a constant list

// checkHeader returns an error if the header is not that of an access token.
func checkHeader(token string) error {
	header, err := Header(token)
	if err != nil {
		return err
	}
	for name := range header {
		if !slices.Contains(headers, name) {
			return fmt.Errorf("header has %.50q", name)
		}
	}
	typ, ok := header["typ"].(string)
	if _, there := header["typ"]; there != ok || !slices.Contains(types, strings.ToLower(typ)) {
		return fmt.Errorf("header says that it is %.50q", fmt.Sprint(header["typ"]))
	}
	return nil
}

// denied asks the denylist.
func (v *Verifier) denied(ctx context.Context, claims map[string]any, p principal.Principal, issued time.Time) error {
	if v.denylist == nil {
		return nil
	}
	id, _ := claims["jti"].(string)
	session, _ := claims["sid"].(string)
	denied, err := v.denylist.Denied(ctx, principal.Token{Issuer: p.Issuer, ID: id, SessionID: session, Principal: p.ID, Tenant: p.Tenant, Issued: issued})
	switch {
	case err != nil:
		return principal.CannotCheck(time.Second, fmt.Errorf("denylist: %w", err))
	case denied:
		return principal.Refuse("token was revoked", nil)
	}
	return nil
}

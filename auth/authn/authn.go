// Package authn tells who an HTTP request comes from: it finds the one credential that a
// request has, has it verified by the room for its kind, and turns what comes of that into
// the answer that a client gets.
//
// Promised: a principal is returned for a request with one good credential in the place
// where its kind belongs, and for no other. A credential that is bad is 401, two are 400,
// and one that cannot be checked now is 503, never 401. What a client is told holds no
// secret and no reason why a credential failed that only its owner should learn.
//
// An attacker gains nothing by sending several credentials, by headers that say who
// somebody is (none is read), or by a credential in the URL, where it would be logged.
// A page of another site cannot act with the session cookie of who looks at it.
package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/forwarded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
)

// Tokens verifies bearer tokens. jwt.Verifier and session.Sessions do.
type Tokens interface {
	Verify(ctx context.Context, token string) (principal.Principal, error)
}

// Keys verifies API keys. apikey.Verifier does.
type Keys interface {
	Verify(ctx context.Context, key string, from netip.Addr) (principal.Principal, error)
}

// Signatures verifies requests that are signed. did.Signatures does.
type Signatures interface {
	// Verify returns the DID that signed the request. It may read the body, and then
	// leaves one that is the same. It asks admit before it remembers anything of the
	// request, once the DID has signed it, and returns an error of admit as it is.
	Verify(r *http.Request, admit func(did string) error) (string, error)
	// Accept returns what the header Accept-Signature asks for.
	Accept() string
}

// Config says which credentials pass. A kind that is nil does not.
type Config struct {
	// Realm is named in challenges.
	Realm      string
	Tokens     Tokens
	Sessions   Tokens
	Keys       Keys
	Signatures Signatures
	// Owners says to whom credentials belong. Needed for Signatures; for tokens, those that
	// it does not know are of the principal that they name.
	Owners *Owners
	// Cookie is the name of the cookie with a session. Empty means that no cookie is read.
	Cookie string
	// Address returns where a request comes from. Nil means the address of the connection:
	// not so behind a proxy.
	Address func(*http.Request) netip.Addr
}

// Authenticator tells who requests come from. Safe for concurrent use.
type Authenticator struct {
	config Config
	origin *http.CrossOriginProtection
}

// New returns an authenticator.
func New(config Config) (*Authenticator, error) {
	switch {
	case config.Realm == "" || quotable(config.Realm) != config.Realm:
		return nil, fmt.Errorf("realm %.100q is not printable ASCII without quotes and backslashes", config.Realm)
	case config.Tokens == nil && config.Sessions == nil && config.Keys == nil && config.Signatures == nil:
		return nil, errors.New("no kind of credential would pass")
	case config.Signatures != nil && config.Owners == nil:
		return nil, errors.New("signatures need to know whose DIDs are")
	case config.Cookie != "" && (config.Sessions == nil || !strings.HasPrefix(config.Cookie, "__Host-")):
		return nil, errors.New("a cookie needs sessions, and a name that begins with __Host-")
	}
	if config.Address == nil {
		config.Address = forwarded.Proxies(nil).Address
	}
	return &Authenticator{config: config, origin: http.NewCrossOriginProtection()}, nil
}

// Authenticate returns who the request comes from. An error is an *Error.
func (a *Authenticator) Authenticate(r *http.Request) (principal.Principal, error) {
	found, err := a.find(r)
	if err != nil {
		return principal.Principal{}, a.explain(found, err)
	}
	p, err := a.verify(r, found)
	if err != nil {
		return principal.Principal{}, a.explain(found, err)
	}
	return p, nil
}

// credential is what a request has.
type credential struct {
	method principal.Method
	text   string
	cookie bool
}

// The ways in which a request may have no credential that can be looked at.
var (
	errNone    = errors.New("there is no credential")
	errOrigin  = errors.New("a page of another site uses the session cookie")
	errSeveral = principal.RefuseMalformed("the request has more than one credential", nil)
	errInURL   = principal.RefuseMalformed("credentials are not taken from the URL: use the header Authorization, and replace this one", nil)
)

// find returns the one credential of a request.
func (a *Authenticator) find(r *http.Request) (credential, error) {
	var all []credential
	if values := r.Header["Authorization"]; len(values) > 0 {
		text, err := bearer(values)
		if err != nil {
			return credential{}, err
		}
		all = append(all, credential{method: kind(text), text: text})
	}
	if a.config.Signatures != nil && (len(r.Header["Signature"]) > 0 || len(r.Header["Signature-Input"]) > 0) {
		all = append(all, credential{method: principal.MethodDID})
	}
	if a.config.Cookie != "" {
		for _, cookie := range r.CookiesNamed(a.config.Cookie) {
			if cookie.Value != "" {
				all = append(all, credential{method: principal.MethodSession, text: cookie.Value, cookie: true})
			}
		}
	}
	switch {
	case r.URL.Query().Has("access_token"):
		return credential{}, errInURL
	case len(all) > 1:
		return credential{}, errSeveral
	case len(all) == 0:
		return credential{}, errNone
	}
	return all[0], nil
}

// kind tells whom to ask about a bearer token. It proves nothing: whoever is asked accepts
// its own kind only.
func kind(text string) principal.Method {
	if strings.HasPrefix(text, apikey.Prefix) {
		return principal.MethodAPIKey
	}
	if header, err := jwt.Header(text); err == nil && header["typ"] == session.Type {
		return principal.MethodSession
	}
	return principal.MethodJWT
}

func (a *Authenticator) verify(r *http.Request, found credential) (principal.Principal, error) {
	var p principal.Principal
	err := principal.Refuse("credentials of this kind are not accepted here", nil)
	switch {
	case found.cookie && a.origin.Check(r) != nil:
		return p, errOrigin
	case found.method == principal.MethodAPIKey && a.config.Keys != nil:
		return a.config.Keys.Verify(r.Context(), found.text, a.config.Address(r))
	case found.method == principal.MethodSession && a.config.Sessions != nil:
		return a.config.Sessions.Verify(r.Context(), found.text)
	case found.method == principal.MethodJWT && a.config.Tokens != nil:
		if p, err = a.config.Tokens.Verify(r.Context(), found.text); err == nil {
			return a.config.Owners.OfToken(r.Context(), p)
		}
	case found.method == principal.MethodDID && a.config.Signatures != nil:
		_, err = a.config.Signatures.Verify(r, func(did string) error {
			var err error
			p, err = a.config.Owners.OfProof(r.Context(), principal.MethodDID, did)
			return err
		})
		if err == nil {
			return p, nil
		}
	}
	return principal.Principal{}, err
}

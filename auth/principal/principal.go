// Package principal says who a request comes from, in the same words for every kind of
// credential. It knows no credential and no HTTP.
//
// Promised: a Principal that passes Check has an id and a tenant, names the credential
// that proved it and never holds a secret. There is no principal without a tenant: what
// has none is refused, not given "all tenants".
package principal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Method is the kind of credential that proved a principal.
type Method string

// The methods.
const (
	MethodJWT     Method = "jwt"     // a token of an OIDC issuer
	MethodAPIKey  Method = "apikey"  // a key that this gateway handed out
	MethodDID     Method = "did"     // a signature by the key of a did:key
	MethodSIWE    Method = "siwe"    // a text signed by a wallet
	MethodSession Method = "session" // a token of this gateway, after one of the others
)

// Limits of what a principal may hold. They bound what reaches policies and audit
// records, whoever wrote the credential.
const (
	MaxText  = 512 // bytes of each text
	MaxItems = 256 // roles, groups and scopes, each
)

// Principal is who a request comes from. One principal may have many credentials: pins
// belong to ID and Tenant, never to a credential.
type Principal struct {
	// ID is the same for all credentials of one principal.
	ID string
	// Tenant is whose objects the principal may see at all.
	Tenant string
	// Roles, Groups and Scopes are sorted and without doubles. For policies, Roles are
	// what the principal is, Scopes what this credential was given at most.
	Roles, Groups, Scopes []string
	// Method is how the principal proved itself in this request.
	Method Method
	// Via is the method that a session began with. Empty for the other methods.
	Via Method
	// MFA tells whether an issuer says that more than one factor was shown. A session has what
	// the token had that it began with.
	MFA bool
	// Credential is the id of what was shown: of a key, a DID, a token. Never the secret.
	Credential string
	// Issuer and Subject are who vouches for the principal, and as whom. Empty for keys.
	Issuer, Subject string
	// Expires is when the credential ends. Zero means that it does not end by itself.
	Expires time.Time
}

// Check returns what is wrong with a principal that is complete in all but one thing, or
// nil. Whoever makes a principal calls it last.
func (p Principal) Check() error {
	switch p.Method {
	case MethodJWT, MethodAPIKey, MethodDID, MethodSIWE, MethodSession:
	default:
		return fmt.Errorf("method %.20q is unknown", p.Method)
	}
	switch {
	case p.ID == "":
		return errors.New("the principal has no id")
	case p.Tenant == "":
		return errors.New("the principal has no tenant")
	case p.Credential == "":
		return errors.New("the principal has no credential")
	}
	for _, text := range []string{p.ID, p.Tenant, p.Credential, p.Issuer, p.Subject} {
		if err := CheckText(text); err != nil {
			return err
		}
	}
	for _, list := range [][]string{p.Roles, p.Groups, p.Scopes} {
		if len(list) > MaxItems {
			return fmt.Errorf("%d roles, groups or scopes are more than %d", len(list), MaxItems)
		}
		for _, text := range list {
			if err := CheckText(text); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckText returns an error for a text that must not stand for anybody: too long, not
// UTF-8, or with characters that do not show, which let two names look alike in a log.
func CheckText(text string) error {
	switch {
	case len(text) > MaxText:
		return fmt.Errorf("%d bytes are more than %d", len(text), MaxText)
	case !utf8.ValidString(text):
		return errors.New("a name is not UTF-8")
	case strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return fmt.Errorf("%.100q has characters that do not show", text)
	}
	return nil
}

// Set returns the texts sorted, each once and none empty: what Roles, Groups and Scopes
// hold. It does not change what it is given.
func Set(texts []string) []string {
	set := slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text == "" })
	slices.Sort(set)
	return slices.Compact(set)
}

package jwt

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// Issuer is whom we trust to say who somebody is, and how far.
type Issuer struct {
	// URL is the claim iss of its tokens, to the byte: with the slash at the end if there
	// is one there.
	URL string
	// Audiences are what the claim aud must hold one of. At least one.
	Audiences []string
	// Algorithms it may sign with. At least one, all asymmetric.
	Algorithms []string
	// Clients are the parties, by claim azp or client_id, that tokens may have been issued
	// to. Empty means any.
	Clients []string

	// Tenant is where its tokens name the tenant. A token that names none is refused.
	Tenant Path
	// FixedTenant is the tenant of all its tokens, in place of Tenant.
	FixedTenant string
	// Tenants are those that it may name, so that the issuer of one tenant cannot make
	// principals of another. AnyTenant is for an issuer that is trusted for all.
	Tenants   []string
	AnyTenant bool
	// Roles, Groups and Scopes are where its tokens have them: an array of texts, or one
	// text, which is split at spaces for scopes. All that are there count.
	Roles, Groups, Scopes []Path
	// MFA is where its tokens say how their subject logged in: an array of texts, or one text.
	// Nil means the claim amr (RFC 8176).
	MFA Path
	// MFAValues are the texts of which one there says that it was by more than one factor.
	// Empty means "mfa".
	MFAValues []string

	// MaxLifetime is how far in the future a token may end. Zero means 24 hours.
	MaxLifetime time.Duration

	// JWKS is the URL of its keys. Empty means that discovery tells.
	JWKS string
	// RefreshAfter is the age of keys at which they are fetched again. Zero means 5 minutes.
	RefreshAfter time.Duration
	// MaxAge is the age of keys at which they are of no use. Zero means an hour.
	MaxAge time.Duration
	// FetchInterval is the least time between two attempts to fetch keys. Zero means 10
	// seconds.
	FetchInterval time.Duration
	// AllowHTTP lets URL and JWKS be http. For development only: who is between us and
	// the issuer is then the issuer.
	AllowHTTP bool
}

// asymmetric are the algorithms that may be pinned. With an algorithm of shared secrets,
// whoever can verify can sign.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} //nolint:gochecknoglobals // a constant list

func (i Issuer) withDefaults() Issuer {
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&i.MaxLifetime, 24 * time.Hour}, {&i.RefreshAfter, 5 * time.Minute},
		{&i.MaxAge, time.Hour}, {&i.FetchInterval, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if i.MFA == nil {
		i.MFA = Path{"amr"}
	}
	if len(i.MFAValues) == 0 {
		i.MFAValues = []string{"mfa"}
	}
	return i
}

// check returns all that is wrong.
func (i Issuer) check() error {
	var problems []error
	complain := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	problems = append(problems, checkURL(i.URL, i.AllowHTTP))
	complain(strings.Contains(i.URL, "?"), "an issuer has no query")
	if i.JWKS != "" {
		problems = append(problems, checkURL(i.JWKS, i.AllowHTTP))
	}
	complain(len(i.Audiences) == 0 || slices.Contains(i.Audiences, ""), "audiences are missing or empty")
	complain(len(i.Algorithms) == 0, "algorithms are missing")
	for _, name := range i.Algorithms {
		complain(!slices.Contains(asymmetric, name), "algorithm %.20q is not one of %v", name, asymmetric)
	}
	complain((len(i.Tenant) == 0) == (i.FixedTenant == ""), "either the claim of the tenant or a fixed tenant is needed")
	complain(i.FixedTenant == "" && i.AnyTenant == (len(i.Tenants) > 0), "either the tenants that it may name or any tenant is needed")
	complain(slices.Contains(i.Tenants, ""), "a tenant is empty")
	complain(slices.Contains(i.MFAValues, ""), "a value of more than one factor is empty")
	if err := principal.CheckText(i.FixedTenant); err != nil {
		problems = append(problems, fmt.Errorf("fixed tenant: %w", err))
	}
	complain(i.MaxLifetime < 0 || i.FetchInterval < 0, "a duration is negative")
	complain(i.RefreshAfter < i.FetchInterval, "keys would be refreshed after %v, more often than each %v", i.RefreshAfter, i.FetchInterval)
	complain(i.MaxAge < 2*i.RefreshAfter, "the greatest age of keys is %v, less than twice the %v after which they are refreshed", i.MaxAge, i.RefreshAfter)
	return errors.Join(problems...)
}

// checkURL returns an error for what cannot be the URL of an issuer or of its keys.
func checkURL(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%.200q is not a URL: %w", text, err)
	case u.Host == "" || u.User != nil || strings.Contains(text, "#") || u.Opaque != "":
		return fmt.Errorf("%.200q is not an absolute URL without user and fragment", text)
	case u.Scheme != "https" && (u.Scheme != "http" || !allowHTTP):
		return fmt.Errorf("%.200q is not https", text)
	case len(text) > principal.MaxText/2:
		return fmt.Errorf("%.200q is longer than %d bytes", text, principal.MaxText/2)
	}
	return nil
}

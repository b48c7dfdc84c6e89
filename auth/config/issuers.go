package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
)

// checkIssuers checks what a person gets wrong by itself, and leaves the rest to the room
// that verifies tokens.
func (c Config) checkIssuers(p *Problems) {
	seen := make(map[string]bool)
	for i, issuer := range c.Issuers {
		before := len(*p)
		add := func(field, format string, args ...any) {
			p.Add(fmt.Sprintf("issuers[%d].%s", i, field), format, args...)
		}
		u, err := url.Parse(issuer.URL)
		switch {
		case err != nil || u.Host == "":
			add("url", "is not a URL: write what its tokens have as iss")
		case u.User != nil:
			add("url", "has a user or a password in it: remove it")
		case seen[issuer.URL]:
			add("url", "%.200q is there twice: keep one of them", issuer.URL)
		}
		seen[issuer.URL] = true
		if keys, err := url.Parse(issuer.JWKSURL); err != nil || keys.User != nil {
			add("jwks_url", "is not a URL without a user: correct it, or remove it so that the issuer tells")
		}
		if issuer.AllowHTTP && c.Environment == Live {
			add("allow_http", "is true, so that who is between could say who anybody is: use https://, or environment %q", Test)
		}
		if len(issuer.Audiences) == 0 {
			add("audiences", "is empty: name what its tokens for this gateway have as aud")
		}
		if slices.Contains(issuer.MFAValues, "") {
			add("mfa_values", "has an empty text: name what says that there was more than one factor, or remove it")
		}
		issuer.checkTenants(add)
		issuer.checkLogin(add)
		trusted, err := issuer.trusted(add)
		if err != nil || len(*p) > before {
			continue
		}
		if _, err := jwt.New([]jwt.Issuer{trusted}, nil, nil); err != nil {
			text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), fmt.Sprintf("issuer %.200q: ", issuer.URL)), "\n", ", ")
			p.AddAt("issuers", i, "%s", text)
		}
	}
}

// checkTenants checks which tenants an issuer may speak for.
func (issuer Issuer) checkTenants(add func(field, format string, args ...any)) {
	switch {
	case issuer.TenantClaim == "" && issuer.FixedTenant == "":
		add("tenant_claim", "is empty: name the claim with the tenant, or set fixed_tenant")
	case issuer.TenantClaim != "" && issuer.FixedTenant != "":
		add("fixed_tenant", "is set beside tenant_claim: keep one of them")
	case issuer.FixedTenant != "" && (issuer.AnyTenant || len(issuer.Tenants) > 0):
		add("fixed_tenant", "is set beside tenants or any_tenant: remove those")
	case issuer.TenantClaim != "" && !issuer.AnyTenant && len(issuer.Tenants) == 0:
		add("tenants", "is empty: name those that it may speak for, or set any_tenant if it is trusted with all")
	case issuer.AnyTenant && len(issuer.Tenants) > 0:
		add("any_tenant", "is true beside tenants: keep one of them")
	}
}

// checkLogin checks how browsers log in at an issuer.
func (issuer Issuer) checkLogin(add func(field, format string, args ...any)) {
	if issuer.LoginClient == "" {
		for _, other := range []struct {
			field string
			set   bool
		}{
			{"login_secret_file", issuer.LoginSecretFile != ""}, {"login_scopes", len(issuer.LoginScopes) > 0}, {"login_audience", issuer.LoginAudience != ""},
		} {
			if other.set {
				add(other.field, "is set and login_client is empty: set both, or remove it")
			}
		}
		return
	}
	if len(issuer.Clients) > 0 && !slices.Contains(issuer.Clients, issuer.LoginClient) {
		add("clients", "has no %.100q, so that the tokens of its logins would be refused: add it", issuer.LoginClient)
	}
	loginScope := regexp.MustCompile(`^[!#-\[\]-~]{1,200}$`) // RFC 6749, section 3.3
	for i, scope := range issuer.LoginScopes {
		if !loginScope.MatchString(scope) {
			add(fmt.Sprintf("login_scopes[%d]", i), "%.100q is not the name of a scope: write each as one of the list", scope)
		}
	}
}

// TrustedIssuers returns the issuers as their tokens are verified by, of a configuration
// that is valid.
func (c Config) TrustedIssuers() ([]jwt.Issuer, error) {
	var all []jwt.Issuer
	for i, issuer := range c.Issuers {
		var p Problems
		trusted, err := issuer.trusted(func(field, format string, args ...any) {
			p.Add(fmt.Sprintf("issuers[%d].%s", i, field), format, args...)
		})
		if err != nil {
			return nil, p.Err()
		}
		all = append(all, trusted)
	}
	return all, nil
}

// trusted calls add for each path that cannot be read, and then returns an error.
func (issuer Issuer) trusted(add func(field, format string, args ...any)) (jwt.Issuer, error) {
	var failed error
	path := func(field, text string) jwt.Path {
		p, err := jwt.ParsePath(text)
		if err != nil {
			add(field, "%.100q is not the name of a claim or a path to one: %v", text, err)
			failed = err
		}
		return p
	}
	paths := func(field string, texts []string) (all []jwt.Path) {
		for _, text := range texts {
			all = append(all, path(field, text))
		}
		return all
	}
	out := jwt.Issuer{
		URL: issuer.URL, Audiences: issuer.Audiences, Algorithms: issuer.Algorithms, Clients: issuer.Clients,
		FixedTenant: issuer.FixedTenant, Tenants: issuer.Tenants, AnyTenant: issuer.AnyTenant,
		Roles: paths("roles_claims", issuer.RolesClaims), Groups: paths("groups_claims", issuer.GroupsClaims),
		Scopes: paths("scopes_claims", issuer.ScopesClaims), MaxLifetime: time.Duration(issuer.MaxLifetime),
		JWKS: issuer.JWKSURL, RefreshAfter: time.Duration(issuer.RefreshAfter), MaxAge: time.Duration(issuer.MaxAge),
		MFAValues: issuer.MFAValues,
		AllowHTTP: issuer.AllowHTTP,
	}
	if issuer.MFAClaim != "" {
		out.MFA = path("mfa_claim", issuer.MFAClaim)
	}
	if issuer.TenantClaim != "" {
		out.Tenant = path("tenant_claim", issuer.TenantClaim)
	}
	if len(out.Algorithms) == 0 {
		out.Algorithms = []string{"RS256"}
	}
	return out, failed
}

package jwt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// principal returns whose the claims of a token are at a moment, and when the token was
// issued. An error is a *principal.Refusal.
func (i Issuer) principal(claims map[string]any, now time.Time) (principal.Principal, time.Time, error) {
	p := principal.Principal{Method: principal.MethodJWT, Issuer: i.URL}
	var issued time.Time
	for _, step := range []func() error{
		func() error { return i.checkAudience(claims) },
		func() error { return checkKind(claims) },
		func() (err error) { p.Expires, issued, err = i.checkTimes(claims, now); return err },
		func() (err error) { p.Subject, err = subject(claims); return err },
		func() (err error) { p.Tenant, err = i.tenant(claims); return err },
		func() (err error) { p.Roles, err = collect(claims, i.Roles, false); return err },
		func() (err error) { p.Groups, err = collect(claims, i.Groups, false); return err },
		func() (err error) { p.Scopes, err = collect(claims, i.Scopes, true); return err },
	} {
		if err := step(); err != nil {
			return principal.Principal{}, time.Time{}, principal.Refuse(err.Error(), nil)
		}
	}
	// Neither an issuer's URL nor a joint may come from a subject: a URL has no "#".
	p.ID = i.URL + "#" + p.Subject
	p.Credential, _ = claims["jti"].(string)
	p.MFA = i.factors(claims)
	return p, issued, nil
}

func (i Issuer) checkAudience(claims map[string]any) error {
	audiences, ok := asTexts(claims["aud"])
	if !ok || !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.Audiences, a) }) {
		return errors.New("token is for another audience")
	}
	if len(i.Clients) == 0 {
		return nil
	}
	party, ok := claims["azp"]
	if !ok {
		party = claims["client_id"]
	}
	if client, ok := party.(string); !ok || !slices.Contains(i.Clients, client) {
		return errors.New("token was issued to another client")
	}
	return nil
}

// checkKind refuses what is signed by the issuer but is no access token of a bearer.
func checkKind(claims map[string]any) error {
	if typ, ok := claims["typ"]; ok {
		// Keycloak says in the claims what others say in the header.
		if text, ok := typ.(string); !ok || !strings.EqualFold(text, "Bearer") {
			return errors.New("token is not an access token")
		}
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, ok := claims[name]; ok {
			return errors.New("token is an ID token, not an access token")
		}
	}
	if _, ok := claims["events"]; ok {
		return errors.New("token is an event, not an access token")
	}
	if _, ok := claims["cnf"]; ok {
		return errors.New("token is bound to a key, which is not supported")
	}
	return nil
}

func (i Issuer) checkTimes(claims map[string]any, now time.Time) (expires, issued time.Time, err error) {
	expires, err = moment(claims, "exp")
	if err != nil {
		return expires, issued, err
	}
	issued, err = moment(claims, "iat")
	if err != nil {
		return expires, issued, err
	}
	begins, err := moment(claims, "nbf")
	switch {
	case err != nil:
		return expires, issued, err
	case expires.IsZero():
		err = errors.New("token has no exp")
	case !now.Before(expires.Add(Leeway)):
		err = errors.New("token expired")
	case expires.After(now.Add(i.MaxLifetime + Leeway)):
		err = fmt.Errorf("token ends more than %v from now", i.MaxLifetime)
	case begins.After(now.Add(Leeway)):
		err = errors.New("token is not good yet")
	case issued.After(now.Add(Leeway)):
		err = errors.New("token was issued in the future")
	}
	return expires, issued, err
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// moment returns a claim that is a NumericDate (RFC 7519), and zero if it is missing.
func moment(claims map[string]any, name string) (time.Time, error) {
	value, ok := claims[name]
	if !ok {
		return time.Time{}, nil
	}
	seconds, ok := value.(float64)
	if !ok || !(seconds > 0 && seconds <= maxSeconds) {
		return time.Time{}, fmt.Errorf("%s of the token is not a time", name)
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
}

func subject(claims map[string]any) (string, error) {
	sub, _ := claims["sub"].(string)
	if sub == "" || len(sub) > 255 {
		return "", errors.New("token has no sub of 1 to 255 bytes")
	}
	return sub, nil
}

func (i Issuer) tenant(claims map[string]any) (string, error) {
	if i.FixedTenant != "" {
		return i.FixedTenant, nil
	}
	tenant, err := i.Tenant.text(claims)
	switch {
	case err != nil:
		return "", err
	case tenant == "":
		return "", errors.New("token names no tenant")
	case !i.AnyTenant && !slices.Contains(i.Tenants, tenant):
		return "", errors.New("issuer may not name this tenant")
	}
	return tenant, nil
}

// factors tells whether a token says that its subject has shown more than one factor. What
// cannot be read says so of nobody, and the token is good for what needs none.
func (i Issuer) factors(claims map[string]any) bool {
	texts, err := i.MFA.texts(claims)
	return err == nil && slices.ContainsFunc(texts, func(text string) bool { return slices.Contains(i.MFAValues, text) })
}

// collect returns the texts at all of the paths. Split says that spaces separate.
func collect(claims map[string]any, paths []Path, split bool) ([]string, error) {
	var all []string
	for _, path := range paths {
		texts, err := path.texts(claims)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			if split {
				all = append(all, strings.Fields(text)...)
			} else {
				all = append(all, text)
			}
		}
	}
	return principal.Set(all), nil
}

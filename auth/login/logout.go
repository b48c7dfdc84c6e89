package login

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// logout ends the session of a request, in a cookie or as a bearer token. No session, and
// one that has ended, is no error. While the session cannot be refused from now on, the
// cookie stays, and the answer is 503: nobody is told that he has left who has not.
func (l *Login) logout(w http.ResponseWriter, c *door.Call) error {
	token, err := l.held(c.Request)
	if err != nil {
		return err
	}
	p, names, err := l.config.Sessions.Read(token)
	if err == nil {
		c.Principal = p
		key := denylist.TokenKey(names.Issuer, names.ID)
		// The clocks of other instances may be behind.
		until := p.Expires.Add(time.Minute)
		err := c.DoOwn(http.StatusNoContent, audit.Resource{Kind: "session", ID: names.ID, Tenant: p.Tenant, Owner: p.ID}, func(ctx context.Context) error {
			if err := l.config.Revocations.Revoke(ctx, key, until); err != nil {
				return fmt.Errorf("revoking a session: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	clearCookie(w, l.config.Cookie, http.SameSiteLaxMode)
	if l.config.Home != "" && byBrowser(c.Request) {
		redirect(w, l.config.Home)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// held returns the session that a request has, and "" if it has none.
func (l *Login) held(r *http.Request) (string, error) {
	var all []string
	for _, cookie := range r.CookiesNamed(l.config.Cookie) {
		all = append(all, cookie.Value)
	}
	for _, value := range r.Header["Authorization"] {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			all = append(all, token)
		}
	}
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	}
	return "", door.Invalid("the request has more than one session")
}

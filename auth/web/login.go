package web

import (
	"net/http"
	"net/url"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// issuerView is a link to the login at an issuer.
type issuerView struct{ Name, URL string }

type loginView struct {
	Issuers []issuerView
	Wallet  bool
	// Ended says that a session is no longer good.
	Ended bool
}

func (p *Pages) login(w http.ResponseWriter, c *door.Call) error {
	view := loginView{Wallet: p.config.Wallet, Ended: c.Request.URL.Query().Has("ended")}
	for _, issuer := range p.config.Issuers {
		name := issuer
		if u, err := url.Parse(issuer); err == nil && u.Host != "" {
			name = u.Host
		}
		view.Issuers = append(view.Issuers, issuerView{name, "/auth/oidc/login?" + url.Values{"issuer": {issuer}, "return": {Home}}.Encode()})
	}
	if p.config.Wallet {
		w.Header().Set("Content-Security-Policy", policy+"; connect-src 'self'")
	}
	return p.show(w, http.StatusOK, "login", page{Title: "Log in", Body: view})
}

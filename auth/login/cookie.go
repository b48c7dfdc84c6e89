package login

import (
	"net/http"
	"time"
)

// The cookies beside that of a session: of a login at an issuer, and of a wallet's nonce.
const (
	flowCookie   = "__Host-pin-login"
	handleCookie = "__Host-pin-siwe"
)

// setCookie sets a cookie for this host alone, which no script can read.
func setCookie(w http.ResponseWriter, name, value string, expires time.Time, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: site,
		MaxAge: max(1, int(time.Until(expires)/time.Second)),
	})
}

func clearCookie(w http.ResponseWriter, name string, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", Secure: true, HttpOnly: true, SameSite: site, MaxAge: -1})
}

// readCookie returns the value of a cookie, and "" if there is none or more than one, which
// a browser never sends of a name that begins with __Host-.
func readCookie(r *http.Request, name string) string {
	if cookies := r.CookiesNamed(name); len(cookies) == 1 {
		return cookies[0].Value
	}
	return ""
}

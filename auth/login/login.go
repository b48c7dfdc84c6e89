package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/did"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
)

// Revocations are what ends sessions before their time. Safe for concurrent use.
type Revocations interface {
	// Revoke has a key of the room denylist refused by all instances, within 5 seconds. The
	// key may be forgotten after a moment.
	Revoke(ctx context.Context, key string, until time.Time) error
}

// Config is what logins need. A kind of proof that is nil is not served: 404.
type Config struct {
	// Door leads the requests. Its limit on failures counts the proofs that do not pass, too.
	Door *door.Door
	// Gateway is the public URL, without a slash at the end.
	Gateway     string
	Sessions    *session.Sessions
	Revocations Revocations
	// Cookie is the name of the cookie with a session, as in authn.Config.
	Cookie string
	// Attempts limits how often a network begins or ends a login. Nil means no limit.
	Attempts door.Rates

	DID  *did.Login
	SIWE *siwe.Login
	// Owners says to whom DIDs and wallets belong. Needed for these.
	Owners *authn.Owners
	OIDC   *OIDC

	// Home is the path of a page to which a browser is sent that has logged out, and Page
	// writes errors for browsers: those that accept text/html. Empty and nil mean that there
	// are no pages.
	Home string
	Page door.Form
}

// Login serves logins. Safe for concurrent use.
type Login struct {
	config Config
	origin *http.CrossOriginProtection
	// programs and browsers differ in how errors are written for them.
	programs, browsers http.Handler
}

// New returns logins.
func New(config Config) (*Login, error) {
	err := checkGateway(config.Gateway)
	switch {
	case err != nil:
		return nil, err
	case config.Door == nil || config.Sessions == nil || config.Revocations == nil:
		return nil, errors.New("logins need a door, sessions and revocations")
	case !strings.HasPrefix(config.Cookie, "__Host-") || config.Cookie == flowCookie || config.Cookie == handleCookie:
		return nil, fmt.Errorf("the cookie of a session has a name that begins with __Host- and is not %s or %s", flowCookie, handleCookie)
	case (config.DID != nil || config.SIWE != nil) && config.Owners == nil:
		return nil, errors.New("logins with DIDs and wallets need to know whose these are")
	}
	l := &Login{config: config, origin: http.NewCrossOriginProtection()}
	if err := l.origin.AddTrustedOrigin(config.Gateway); err != nil {
		return nil, fmt.Errorf("the gateway's origin: %w", err)
	}
	api := door.API{Name: "login", Table: routes.Login(), Form: door.ProblemJSON, Serve: map[string]door.Serve{
		"DIDChallenge": l.serve(config.DID != nil, principal.MethodDID, l.didChallenge),
		"DIDToken":     l.serve(config.DID != nil, principal.MethodDID, l.didToken),
		"SIWENonce":    l.serve(config.SIWE != nil, principal.MethodSIWE, l.siweNonce),
		"SIWEVerify":   l.serve(config.SIWE != nil, principal.MethodSIWE, l.siweVerify),
		"OIDCLogin":    l.serve(config.OIDC != nil, principal.MethodJWT, l.oidcLogin),
		"OIDCCallback": l.serve(config.OIDC != nil, principal.MethodJWT, l.oidcCallback),
		"Logout":       l.serve(true, principal.MethodSession, l.logout),
	}}
	if l.programs, err = config.Door.Handler(api); err != nil {
		return nil, err
	}
	if config.Page != nil {
		api.Form = config.Page
	}
	l.browsers, err = config.Door.Handler(api)
	return l, err
}

// byBrowser tells whether a person waits for the answer to a request, with no script
// between: browsers name text/html then, and in no other case.
func byBrowser(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// checkGateway returns an error for what is not the URL of a gateway: an origin.
func checkGateway(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != text || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%.200q is not the URL of a gateway, without a path", text)
	}
	return nil
}

// Handler returns what serves the routes of routes.Login.
func (l *Login) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if byBrowser(r) {
			l.browsers.ServeHTTP(w, r)
			return
		}
		l.programs.ServeHTTP(w, r)
	})
}

// serve does what all routes have in common: nobody asks too often, and no page of another
// site asks for anything but GET, by which nothing begins that its browser does not end.
func (l *Login) serve(served bool, method principal.Method, serve door.Serve) door.Serve {
	return func(w http.ResponseWriter, c *door.Call) error {
		if !served {
			return door.Missing()
		}
		w.Header().Set("Cache-Control", "no-store")
		if err := c.Limit(l.config.Attempts); err != nil {
			return err
		}
		if err := l.origin.Check(c.Request); err != nil {
			return c.Refused(method, &authn.Error{
				Status: http.StatusForbidden, Reason: authn.Forbidden, Details: "the request comes from another site", Method: method, Err: err,
			})
		}
		return serve(w, c)
	}
}

// session returns a session for a principal that has just proved itself, which is on record
// then.
func (l *Login) session(c *door.Call, p principal.Principal) (string, time.Time, error) {
	if !p.Expires.IsZero() && time.Until(p.Expires) < time.Second {
		return "", time.Time{}, c.Refused(p.Method, principal.Refuse("what was proved ends now", nil))
	}
	token, expires, err := l.config.Sessions.Issue(p)
	if err != nil {
		return "", time.Time{}, &door.Problem{
			Status: http.StatusInternalServerError, Reason: door.Internal, Err: err,
			Details: "no session can be made for this principal: tell who runs the gateway the id of this request",
		}
	}
	return token, expires, c.Proved(p)
}

// tokens is the answer with a session (RFC 6749, section 5.1).
type tokens struct {
	AccessToken string `json:"access_token,omitempty"` // not if a cookie has it
	TokenType   string `json:"token_type,omitempty"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

// answer answers with a session for a principal that has just proved itself.
func (l *Login) answer(w http.ResponseWriter, c *door.Call, p principal.Principal, cookie bool) error {
	token, expires, err := l.session(c, p)
	if err != nil {
		return err
	}
	body := tokens{ExpiresIn: int64(time.Until(expires) / time.Second)}
	if cookie {
		setCookie(w, l.config.Cookie, token, expires, http.SameSiteLaxMode)
	} else {
		body.AccessToken, body.TokenType = token, "Bearer"
	}
	door.WriteJSON(w, http.StatusOK, "application/json", body)
	return nil
}

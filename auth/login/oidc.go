package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// flowLife is how long somebody may take to log in at an issuer.
const flowLife = 10 * time.Minute

// States remember logins that have begun, for all instances. Safe for concurrent use.
type States interface {
	// Put remembers a state and the browser that it was given to, until a moment.
	Put(ctx context.Context, state, browser string, until time.Time) error
	// Take takes a state away and returns to whom it was given, and false if it is not
	// there. Of those who take one state at a time, one gets it.
	Take(ctx context.Context, state string) (browser string, ok bool, err error)
}

// OIDC is the login of browsers at issuers: the authorization code flow of OpenID Connect,
// with PKCE. Safe for concurrent use.
type OIDC struct {
	providers map[string]*provider // by the URL of the issuer
	tokens    authn.Tokens
	owners    *authn.Owners
	states    States
}

// NewOIDC returns the login of the gateway with that public URL at some issuers, all of
// whose mistakes it reports together. It asks no issuer yet. The tokens verify the access
// tokens of these issuers, and the owners, which may be nil, say to whom their subjects
// belong: the same as for requests. The client is used for requests to issuers, with
// redirects refused and at most 5 seconds for each; nil means http.DefaultClient.
func NewOIDC(gateway string, providers []Provider, tokens authn.Tokens, owners *authn.Owners, states States, client *http.Client) (*OIDC, error) {
	o := &OIDC{providers: make(map[string]*provider), tokens: tokens, owners: owners, states: states}
	problems := []error{checkGateway(gateway)}
	for _, p := range providers {
		if err := p.check(); err != nil {
			problems = append(problems, fmt.Errorf("login at %.200q: %w", p.Issuer.URL, err))
		}
		if o.providers[p.Issuer.URL] != nil {
			problems = append(problems, fmt.Errorf("login at %.200q is there twice", p.Issuer.URL))
		}
		o.providers[p.Issuer.URL] = newProvider(p, gateway+"/auth/oidc/callback", client)
	}
	if len(providers) == 0 || tokens == nil || states == nil {
		problems = append(problems, errors.New("a login at issuers needs issuers, what verifies their tokens, and states"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return o, nil
}

// flow is a login that has begun: what the browser keeps in a cookie. The store has only a
// digest of it, so that neither it nor the URL of a callback is of use without the other.
type flow struct {
	// Secret is what the nonce and the verifier of PKCE are derived from.
	Secret string `json:"secret"`
	Issuer string `json:"issuer"`
	Return string `json:"return"`
}

// nonce is in the ID token of this login alone.
func (f flow) nonce() string { return f.derive("nonce") }

// verifier shows the issuer that who has the code began the login (RFC 7636).
func (f flow) verifier() string { return f.derive("verifier") }

func (f flow) derive(what string) string {
	sum := sha256.Sum256([]byte(what + " " + f.Secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// digest is what is stored of a cookie. No wallet's handle has the same.
func digest(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return "oidc " + base64.RawURLEncoding.EncodeToString(sum[:])
}

// begin returns where the browser is to go, and what it keeps. The path is one to return to.
func (o *OIDC) begin(ctx context.Context, issuer, path string) (target, cookie string, until time.Time, err error) {
	p := o.providers[issuer]
	if p == nil {
		return "", "", until, principal.RefuseMalformed("nobody logs in at this issuer", nil)
	}
	if err := local(path); err != nil {
		return "", "", until, principal.RefuseMalformed("the path to return to is not acceptable: "+err.Error(), nil)
	}
	known, err := p.discover(ctx)
	if err != nil {
		return "", "", until, principal.CannotCheck(time.Second, fmt.Errorf("discovery of %s: %w", issuer, err))
	}
	f := flow{Secret: rand.Text() + rand.Text(), Issuer: issuer, Return: path}
	text, err := json.Marshal(f)
	if err != nil {
		return "", "", until, fmt.Errorf("login: %w", err)
	}
	state, cookie, until := rand.Text(), base64.RawURLEncoding.EncodeToString(text), time.Now().Add(flowLife)
	if err := o.states.Put(ctx, state, digest(cookie), until); err != nil {
		return "", "", until, principal.CannotCheck(time.Second, fmt.Errorf("state: %w", err))
	}
	return p.authorize(known, state, f), cookie, until, nil
}

// end returns who has logged in, and where the browser is to go.
func (o *OIDC) end(ctx context.Context, query url.Values, cookie string) (who principal.Principal, path string, err error) {
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(query[name]) > 1 {
			return who, "", principal.RefuseMalformed("a parameter is there twice", nil)
		}
	}
	if query.Get("state") == "" || query.Has("code") == query.Has("error") {
		return who, "", principal.RefuseMalformed("a state is needed, and either a code or an error", nil)
	}
	if cookie == "" {
		return who, "", principal.Refuse("no login has begun in this browser, or too long ago: begin again", nil)
	}
	browser, ok, err := o.states.Take(ctx, query.Get("state"))
	switch {
	case err != nil:
		return who, "", principal.CannotCheck(time.Second, fmt.Errorf("state: %w", err))
	case !ok || subtle.ConstantTimeCompare([]byte(browser), []byte(digest(cookie))) != 1:
		return who, "", principal.Refuse("the login has ended, or began in another browser or too long ago: begin again", nil)
	}
	// The cookie is one of ours from here on.
	var f flow
	text, err := base64.RawURLEncoding.DecodeString(cookie)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	p := o.providers[f.Issuer]
	switch {
	case err != nil || p == nil:
		return who, "", principal.Refuse("the login began under another configuration: begin again", err)
	case query.Has("iss") && query.Get("iss") != f.Issuer:
		// RFC 9207: the code may be of an honest issuer, and would go to another.
		return who, "", principal.Refuse("the answer is of another issuer than was asked", nil)
	case query.Has("error"):
		return who, "", failed(query.Get("error"))
	}
	access, subject, err := p.exchange(ctx, query.Get("code"), f)
	if err != nil {
		return who, "", err
	}
	if who, err = o.tokens.Verify(ctx, access); err != nil {
		return who, "", err
	}
	if who.Issuer != f.Issuer || who.Subject != subject {
		return who, "", principal.Refuse("the two tokens of the issuer are not of the same subject", nil)
	}
	who, err = o.owners.OfToken(ctx, who)
	return who, f.Return, err
}

// failed is what is told of an error that the issuer reports (RFC 6749, section 4.1.2.1).
// The issuer's own words may be anybody's: they came in a URL.
func failed(code string) error {
	switch code {
	case "server_error", "temporarily_unavailable":
		return principal.CannotCheck(time.Second, fmt.Errorf("the issuer says %s", code))
	}
	return principal.Refuse("the issuer did not log you in", fmt.Errorf("it says %.100q", code))
}

func (l *Login) oidcLogin(w http.ResponseWriter, c *door.Call) error {
	query := c.Request.URL.Query()
	if len(query["issuer"]) != 1 || len(query["return"]) > 1 {
		return door.Invalid("one issuer is needed, and at most one path to return to")
	}
	path := "/"
	if query.Has("return") {
		path = query.Get("return")
	}
	target, cookie, until, err := l.config.OIDC.begin(c.Request.Context(), query.Get("issuer"), path)
	if err != nil {
		return c.Refused(principal.MethodJWT, err)
	}
	setCookie(w, flowCookie, cookie, until, http.SameSiteLaxMode)
	redirect(w, target)
	return nil
}

func (l *Login) oidcCallback(w http.ResponseWriter, c *door.Call) error {
	cookie := readCookie(c.Request, flowCookie)
	clearCookie(w, flowCookie, http.SameSiteLaxMode)
	p, path, err := l.config.OIDC.end(c.Request.Context(), c.Request.URL.Query(), cookie)
	if err != nil {
		return c.Refused(principal.MethodJWT, err)
	}
	token, expires, err := l.session(c, p)
	if err != nil {
		return err
	}
	setCookie(w, l.config.Cookie, token, expires, http.SameSiteLaxMode)
	redirect(w, path)
	return nil
}

// redirect sends a browser elsewhere, without telling there where it comes from: the URL of
// a callback has a code.
func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}

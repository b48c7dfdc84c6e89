package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
)

const (
	// discoveredFor is how long an issuer is not asked again where its endpoints are, and
	// undiscoveredFor how long if it did not say.
	discoveredFor   = time.Hour
	undiscoveredFor = 5 * time.Second
	// requestTimeout bounds each request to an issuer.
	requestTimeout = 5 * time.Second
	// maxDocument bounds what an issuer may send, in bytes.
	maxDocument = 512 << 10
)

// Provider is an issuer at which browsers log in.
type Provider struct {
	// Issuer is the one whose access tokens are verified, as the room jwt has it. Its
	// algorithms are those of its ID tokens, too.
	Issuer jwt.Issuer
	// ClientID is what the gateway is known by there. If Issuer.Clients lists any, it is one.
	ClientID string
	// ClientSecret may be empty: the gateway is a public client then. It goes to nobody but
	// the issuer.
	ClientSecret string
	// Scopes are asked for, beside openid.
	Scopes []string
	// Audience is asked for at issuers that give tokens for whom they are told to, as Auth0
	// does. Empty at others.
	Audience string
}

// Format writes where one logs in, whatever the verb: not the secret.
func (p Provider) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "login at %s", p.Issuer.URL) }

// check returns all that is wrong with what the room jwt does not check.
func (p Provider) check() error {
	var problems []error
	if p.ClientID == "" {
		problems = append(problems, errors.New("the id of the client is missing"))
	}
	if len(p.Issuer.Clients) > 0 && !slices.Contains(p.Issuer.Clients, p.ClientID) {
		problems = append(problems, fmt.Errorf("tokens that are issued to %.100q would be refused: it is not a client of the issuer", p.ClientID))
	}
	if len(p.Issuer.Algorithms) == 0 {
		problems = append(problems, errors.New("algorithms are missing"))
	}
	return errors.Join(append(problems, checkEndpoint(p.Issuer.URL, p.Issuer.AllowHTTP))...)
}

// checkEndpoint returns an error for a URL to which no secret may go.
func checkEndpoint(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !allowHTTP) {
		return fmt.Errorf("%.200q is not an https URL", text)
	}
	return nil
}

// provider is a Provider with what it says about itself.
type provider struct {
	Provider
	callback string
	client   *http.Client

	mu     sync.Mutex // held while the issuer is asked: the others wait for the answer
	known  *discovered
	err    error     // of the last time that it was asked
	asked  time.Time // when that was; zero before
	retain time.Duration
}

// discovered is what an issuer says about itself. It does not change.
type discovered struct {
	oauth oauth2.Config
	keys  *oidc.RemoteKeySet
}

func newProvider(p Provider, callback string, client *http.Client) *provider {
	if client == nil {
		client = http.DefaultClient
	}
	ours := *client
	ours.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ours.Timeout = requestTimeout
	if ours.Transport == nil {
		ours.Transport = http.DefaultTransport
	}
	ours.Transport = bounded{ours.Transport}
	return &provider{Provider: p, callback: callback, client: &ours}
}

// bounded lets nobody send us more than maxDocument.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxDocument), response.Body}
	}
	return response, err
}

// discover returns what the issuer says about itself, asking it at most once per
// discoveredFor, or undiscoveredFor while it does not answer. What it said before stays in
// force then.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked.IsZero() || time.Since(p.asked) >= p.retain {
		// Others wait for the answer: it must not end with the request of this client.
		known, err := p.ask(oidc.ClientContext(context.WithoutCancel(ctx), p.client))
		p.asked, p.err, p.retain = time.Now(), err, undiscoveredFor
		if err == nil {
			p.known, p.retain = known, discoveredFor
		}
	}
	if p.known == nil {
		return nil, p.err
	}
	return p.known, nil
}

// ask asks the issuer (OpenID Connect Discovery 1.0, section 4).
func (p *provider) ask(ctx context.Context) (*discovered, error) {
	found, err := oidc.NewProvider(ctx, p.Issuer.URL)
	if err != nil {
		return nil, brief(err)
	}
	var more struct {
		JWKS    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := found.Endpoint()
	for _, text := range []string{endpoint.AuthURL, endpoint.TokenURL, more.JWKS} {
		if err := checkEndpoint(text, p.Issuer.AllowHTTP); err != nil {
			return nil, err
		}
	}
	// Said, since to try both ways would show the code twice.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &discovered{
		oauth: oauth2.Config{
			ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint,
			RedirectURL: p.callback, Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
		},
		keys: oidc.NewRemoteKeySet(ctx, more.JWKS),
	}, nil
}

// brief returns an error with the beginning of its text: go-oidc repeats all that an issuer
// sent, which may be a page.
func brief(err error) error { return fmt.Errorf("%.300s", err.Error()) }

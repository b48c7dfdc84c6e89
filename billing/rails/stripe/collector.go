package stripe

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// Name is that of the rail, in journals and payments.
const Name = "stripe"

// Options are what a Collector needs.
type Options struct {
	// KeyFile has the API key, best a restricted one.
	KeyFile string
	// URL is asked in place of Stripe, for tests. Empty means Stripe. Other machines are
	// asked over TLS only.
	URL string
	// Timeout is how long an attempt may take. Zero means 30 seconds.
	Timeout time.Duration
	Journal rails.Journal
}

// Collector is a rails.Crediter. Safe for concurrent use.
type Collector struct {
	client  *sdk.Client
	backend sdk.Backend
	key     string // left out of errors
	live    bool
	journal rails.Journal
}

var _ rails.Crediter = (*Collector)(nil)

// retries is how often the SDK repeats a request that got no answer, after half a second
// and a second, with the same idempotency key. What is answered is not repeated here: the
// caller does, later.
const retries = 2

// New returns a collector. It asks Stripe nothing yet.
func New(o Options) (*Collector, error) {
	if o.Journal == nil {
		return nil, errors.New("stripe needs a journal")
	}
	if o.URL == "" {
		o.URL = sdk.APIURL
	}
	if err := checkURL(o.URL); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	key, err := readSecret(o.KeyFile, "key for Stripe", "rk_test_", "rk_live_", "sk_test_", "sk_live_")
	if err != nil {
		return nil, err
	}
	config := &sdk.BackendConfig{
		EnableTelemetry: sdk.Bool(false),
		HTTPClient: &http.Client{
			Timeout:       o.Timeout,
			Transport:     unnamed{http.DefaultTransport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		// What goes wrong is returned, once, and without what the SDK adds to it.
		LeveledLogger:     &sdk.LeveledLogger{Level: sdk.LevelNull},
		MaxNetworkRetries: sdk.Int64(retries),
		URL:               sdk.String(o.URL),
	}
	backend := sdk.GetBackendWithConfig(sdk.APIBackend, config)
	backends := &sdk.Backends{API: backend, Connect: backend, Uploads: backend, MeterEvents: backend}
	return &Collector{
		client:  sdk.NewClient(key, sdk.WithBackends(backends)),
		backend: backend,
		key:     key,
		live:    strings.HasPrefix(key[1:], "k_live_"),
		journal: o.Journal,
	}, nil
}

// Name implements rails.Collector.
func (c *Collector) Name() string { return Name }

// Format writes nothing of the key, whatever the verb.
func (c *Collector) Format(f fmt.State, _ rune) { fmt.Fprint(f, "collector through Stripe") }

// checkURL lets the key go out in clear text to this machine only.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("the URL of Stripe is none, or has a user in it")
	}
	host := u.Hostname()
	if u.Scheme != "https" && (u.Scheme != "http" || host != "127.0.0.1" && host != "::1" && host != "localhost") {
		return fmt.Errorf("%s is not https, and not on this machine", u.Redacted())
	}
	return nil
}

// unnamed keeps what the SDK says of this machine, as its name, from being sent.
type unnamed struct{ next http.RoundTripper }

func (u unnamed) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Header.Del("X-Stripe-Client-User-Agent")
	return u.next.RoundTrip(out)
}

package door

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/forwarded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/limits"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

var logger = logging.Logger("gateway")

// Authenticator tells who requests come from. authn.Authenticator does.
type Authenticator interface {
	Authenticate(r *http.Request) (principal.Principal, error)
}

// Decider says what is allowed. authz.Authorizer does.
type Decider interface {
	Decide(r authz.Request) authz.Decision
}

// Rates limit how often something is done by one key. limits.Rates does.
type Rates interface {
	// Take counts one use. It returns false, and when it is worth another try, if there
	// were too many.
	Take(key string) (retryAfter time.Duration, ok bool)
}

// Tenants say which tenants may work, and how much of its quota one has used.
type Tenants interface {
	// Active returns false for a tenant that does not exist or is disabled. What it says is
	// not older than 5 seconds.
	Active(ctx context.Context, tenant string) (bool, error)
	// QuotaUsed is the part of the quota that is used, in percent, of pins or of bytes,
	// whichever is more; 0 without a quota.
	QuotaUsed(ctx context.Context, tenant string) (int64, error)
}

// Seen is what came of a request, for metrics.
type Seen struct {
	// API and Route are names of ours, never texts of a client.
	API, Route string
	// Method is how the principal proved itself, empty if it did not.
	Method principal.Method
	Status int
	Reason string // empty for a success
	// Refused is why a credential was refused, a code, empty if none was; Tried is its kind.
	// Status and Reason may tell of something else, as of too many of those.
	Refused string
	Tried   principal.Method
	Took    time.Duration
}

// Config is what a Door needs. Fields that may be nil say so.
type Config struct {
	Authenticator Authenticator
	Decider       Decider
	Recorder      *audit.Recorder
	Tenants       Tenants
	// Principals and PerTenant limit requests, Failures networks whose credentials are
	// refused. Nil means no limit.
	Principals, PerTenant, Failures Rates
	// RecordReads has reads recorded that are allowed. Denials always are.
	RecordReads bool
	// Address returns where a request comes from. Nil means the address of the connection.
	Address func(*http.Request) netip.Addr
	// TLS tells whether the client has an encrypted connection. Nil means that to here.
	TLS func(*http.Request) bool
	// Observe is told of each request. May be nil.
	Observe func(Seen)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Door leads requests to what serves them. Safe for concurrent use.
type Door struct {
	config Config
}

// New returns a door.
func New(config Config) (*Door, error) {
	if config.Authenticator == nil || config.Decider == nil || config.Recorder == nil || config.Tenants == nil {
		return nil, errors.New("a door needs an authenticator, a decider, a recorder and tenants")
	}
	if config.Address == nil {
		config.Address = forwarded.Proxies(nil).Address
	}
	if config.TLS == nil {
		config.TLS = func(r *http.Request) bool { return r.TLS != nil }
	}
	if config.Observe == nil {
		config.Observe = func(Seen) {}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Door{config: config}, nil
}

// Serve answers a request whose route is matched. An error is written in the form of the
// API, unless an answer has begun: then the connection is cut, so that nobody takes a part
// for the whole.
type Serve func(w http.ResponseWriter, c *Call) error

// API is a table of routes with what serves them.
type API struct {
	// Name is that of the API in metrics and records.
	Name  string
	Table *routes.Table
	// Serve has an entry for each route of the table that is not refused, by its name.
	Serve map[string]Serve
	Form  Form
}

// Handler returns what answers the requests of an API.
func (d *Door) Handler(api API) (http.Handler, error) {
	for _, route := range api.Table.Routes() {
		if _, has := api.Serve[route.Name]; has == (route.Does == routes.Refuse) {
			return nil, fmt.Errorf("%s: the route %s is refused or served, and one of them only", api.Name, route.Name)
		}
	}
	if len(api.Serve) > len(api.Table.Routes()) {
		return nil, fmt.Errorf("%s: something is served that is no route", api.Name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, &api) }), nil
}

// serve answers one request.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, api *API) {
	began := d.config.Now()
	c := &Call{door: d, api: api, Request: r, ID: rand.Text(), Address: d.config.Address(r)}
	c.pace = newPace(w, r)
	defer c.pace.end()
	out := &answer{ResponseWriter: w, pace: c.pace}
	out.Header().Set("X-Request-Id", c.ID)
	defer func() {
		reason := ""
		if c.problem != nil {
			reason = c.problem.Reason
		}
		d.config.Observe(Seen{
			API: api.Name, Route: c.Route.Name, Method: c.Principal.Method, Status: out.status, Reason: reason,
			Refused: c.refused, Tried: c.tried, Took: d.config.Now().Sub(began),
		})
	}()
	err := d.lead(out, c)
	if err == nil {
		return
	}
	c.problem = problemOf(err)
	if c.problem.Status >= http.StatusInternalServerError {
		logger.Warnf("request %s, %s %s: %s", c.ID, r.Method, c.Route.Pattern, c.problem)
	}
	if out.status != 0 {
		panic(http.ErrAbortHandler) // net/http cuts the connection
	}
	c.problem.setHeaders(out.Header())
	api.Form(out, c.problem, c.ID)
}

// lead takes a request through the door. A panic of what serves it is an error.
func (d *Door) lead(w http.ResponseWriter, c *Call) (err error) {
	defer func() {
		if failure := recover(); failure != nil {
			if failure == http.ErrAbortHandler { //nolint:errorlint // net/http says so
				panic(failure)
			}
			logger.Errorf("request %s: panic: %v\n%s", c.ID, failure, debug.Stack())
			err = &Problem{Status: http.StatusInternalServerError, Reason: Internal, Details: "the gateway has a fault: tell who runs it the id of this request"}
		}
	}()
	route, err := c.api.Table.Match(c.Request)
	if err != nil {
		return notMatched(err)
	}
	c.Route = route
	if route.Class == routes.Open {
		return c.api.Serve[route.Name](w, c)
	}
	if err := d.admit(c); err != nil {
		return err
	}
	if route.Does == routes.Refuse {
		return c.refuse()
	}
	return c.api.Serve[route.Name](w, c)
}

// notMatched is the Problem of a request without a route.
func notMatched(err error) *Problem {
	var method *routes.MethodError
	switch {
	case errors.As(err, &method):
		return &Problem{Status: http.StatusMethodNotAllowed, Reason: MethodNotAllowed, Details: method.Error(), Allow: method.Allow}
	case errors.Is(err, routes.ErrMalformed):
		return Invalid("%s", err)
	}
	return Missing()
}

// admit finds out who asks, and whether that principal may ask now.
func (d *Door) admit(c *Call) error {
	p, err := d.config.Authenticator.Authenticate(c.Request)
	if err != nil {
		return d.failed(c, err)
	}
	c.Principal = p
	return d.let(c)
}

// let tells whether the principal of a call may ask now.
func (d *Door) let(c *Call) error {
	p := c.Principal
	// Before anything is recorded: a tenant that is disabled must not fill the records.
	if err := limit(d.config.Principals, p.Tenant+" "+p.ID); err != nil {
		return err
	}
	if err := limit(d.config.PerTenant, p.Tenant); err != nil {
		return err
	}
	active, err := d.config.Tenants.Active(c.Request.Context(), p.Tenant)
	switch {
	case err != nil:
		return Unavailable(fmt.Errorf("looking whether the tenant may work: %w", err))
	case !active:
		return c.deny(&Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: "the tenant does not exist or is disabled"},
			audit.Decision{Reason: "the tenant does not exist or is disabled"}, audit.Resource{})
	}
	return nil
}

// limit counts a use by a key, and returns the Problem of too many. Nil rates limit
// nothing.
func limit(rates Rates, key string) error {
	if rates == nil {
		return nil
	}
	if wait, ok := rates.Take(key); !ok {
		return tooOften(wait)
	}
	return nil
}

func tooOften(wait time.Duration) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Reason: RateLimited, Details: "too many requests: wait as long as Retry-After says", RetryAfter: max(wait, time.Second)}
}

// failed records that a credential was refused. One that cannot be checked was not.
func (d *Door) failed(c *Call, err error) error {
	var refused *authn.Error
	if !errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError {
		return err
	}
	c.refused, c.tried = refused.Reason, refused.Method
	attempt := audit.Attempt{IP: c.Address, Method: string(refused.Method), Reason: refused.Reason}
	if err := d.config.Recorder.Failed(c.Request.Context(), attempt); err != nil {
		logger.Errorf("request %s: a refused credential is not on record: %s", c.ID, err)
	}
	if d.config.Failures == nil {
		return err
	}
	if wait, ok := d.config.Failures.Take(limits.Network(c.Address)); !ok {
		return tooOften(wait)
	}
	return err
}

// answer remembers whether an answer has begun.
type answer struct {
	http.ResponseWriter
	status int
	pace   *pace
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.pace.write()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(text []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.pace.write()
	return a.ResponseWriter.Write(text)
}

// FlushError sends what there is, which begins the answer.
func (a *answer) FlushError() error {
	a.pace.write()
	err := http.NewResponseController(a.ResponseWriter).Flush()
	if err == nil && a.status == 0 {
		a.status = http.StatusOK
	}
	return err
}

// Unwrap lets http.ResponseController set deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

var logger = logging.Logger("billing")

// Day is a day of an owner.
type Day struct {
	// Day is in days since 1970.
	Day int64
	// Usage is what it is known to be by now. That of a day that is not over is until now.
	Usage usage.Day
	// Closed says that it is closed, and Version how often it was recomputed since.
	Closed  bool
	Version int64
}

// Usage tells what owners have used.
type Usage interface {
	// Days calls f with each day of an owner from one to another, both included, up to today.
	// An error of f ends it.
	Days(ctx context.Context, owner string, from, to int64, f func(Day) error) error
	// Month adds up what is closed of a month, as 202612.
	Month(ctx context.Context, owner string, month int) (closing.MonthUsage, error)
}

// Prices says by which plans an owner is billed.
type Prices interface {
	Schedule(ctx context.Context, owner string) (plan.Schedule, error)
}

// Invoices has documents that were issued.
type Invoices interface {
	// Documents returns those of an owner, the last ones first.
	Documents(ctx context.Context, owner string) ([]invoice.Copy, error)
	// Document returns the one with a number, and false if there is none.
	Document(ctx context.Context, number string) (invoice.Copy, bool, error)
}

// Happening is something that was told of an owner.
type Happening struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
	Data any       `json:"data,omitempty"`
}

// Happenings has what was told of owners.
type Happenings interface {
	// Happenings returns up to n that come after one, or from the newest on if that is empty.
	Happenings(ctx context.Context, owner, after string, n int) ([]Happening, error)
}

// Status is how far billing is.
type Status struct {
	// ClosedUntil is the end of the last day that is closed everywhere.
	ClosedUntil time.Time `json:"closed_until"`
	// Waiting is how many events of claims are not counted, and Oldest when the oldest came.
	Waiting uint64    `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Problem says why Waiting is not known.
	Problem string `json:"problem,omitempty"`
}

// Config is what an API answers with. Prices, Invoices and Happenings may be nil: then there is
// nothing of theirs.
type Config struct {
	// Token is that of the gateway, OperatorToken that of operators. Empty is nobody's.
	Token, OperatorToken string

	Ledger     *ledger.Store
	Policy     claim.Policy
	Usage      Usage
	Prices     Prices
	Invoices   Invoices
	Happenings Happenings
	Status     func(context.Context) (Status, error)
	// Observe is called with each request that was answered. It may be nil.
	Observe func(route string, status int, took time.Duration)
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
}

// API answers requests. It is safe for concurrent use.
type API struct {
	config Config
	mux    *http.ServeMux
	now    func() time.Time
}

// New returns an API.
func New(config Config) (*API, error) {
	if config.Token == "" || config.Ledger == nil || config.Usage == nil || config.Status == nil {
		return nil, errors.New("an API of billing needs a token, a ledger, the usage and a status")
	}
	a := &API{config: config, mux: http.NewServeMux(), now: config.Now}
	if a.now == nil {
		a.now = time.Now
	}
	for _, r := range a.routes() {
		a.mux.Handle(r.method+" "+r.path, a.serve(r))
	}
	a.mux.Handle("/", a.serve(route{name: "none", open: true, answer: func(http.ResponseWriter, *call) error { return missing("there is no such path, or not by this method") }}))
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// route is a path and what is answered there.
type route struct {
	method, path, name string
	// open is for everybody, operators for operators, and else an owner is named.
	open, operators bool
	answer          func(http.ResponseWriter, *call) error
}

func (a *API) routes() []route {
	return []route{
		{method: "GET", path: "/usage", name: "usage", answer: a.usage},
		{method: "GET", path: "/accrued", name: "accrued", answer: a.accrued},
		{method: "GET", path: "/estimate", name: "estimate", answer: a.estimate},
		{method: "GET", path: "/pins", name: "pins", answer: a.pins},
		{method: "GET", path: "/invoices", name: "invoices", answer: a.invoices},
		{method: "GET", path: "/invoices/{number}", name: "invoice", answer: a.invoice},
		{method: "GET", path: "/events", name: "events", answer: a.happenings},
		{method: "GET", path: "/owners", name: "owners", operators: true, answer: a.owners},
		{method: "GET", path: "/quarantine", name: "quarantine", operators: true, answer: a.quarantine},
		{method: "POST", path: "/quarantine/{day}/{id}", name: "resolve", operators: true, answer: a.resolve},
		{method: "GET", path: "/unsized", name: "unsized", operators: true, answer: a.unsized},
		{method: "GET", path: "/status", name: "status", operators: true, answer: a.status},
		{method: "GET", path: "/openapi.json", name: "openapi", open: true, answer: document},
	}
}

// call is a request of somebody who may ask.
type call struct {
	*http.Request
	owner string
	query url.Values
}

// serve finds out who asks, and for whom.
func (a *API) serve(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		begun := time.Now()
		seen := &recorder{ResponseWriter: w, status: http.StatusOK}
		id := request.Header.Get("X-Request-Id")
		if len(id) > 100 || id == "" || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
			id = uuid.NewString()
		}
		seen.Header().Set("X-Request-Id", id)
		seen.Header().Set("X-Content-Type-Options", "nosniff")
		seen.Header().Set("Cache-Control", "no-store")
		c, err := a.admit(r, request)
		if err == nil {
			err = r.answer(seen, c)
		}
		if err != nil {
			a.refuse(seen, request, id, err)
		}
		if a.config.Observe != nil {
			a.config.Observe(r.name, seen.status, time.Since(begun))
		}
	})
}

// admit returns a request that may be answered.
func (a *API) admit(r route, request *http.Request) (*call, error) {
	c := &call{Request: request}
	if r.open {
		return c, nil
	}
	var err error
	if c.query, err = url.ParseQuery(request.URL.RawQuery); err != nil {
		return nil, invalid("the query cannot be read: %v", err)
	}
	for name, values := range c.query {
		if len(values) > 1 {
			return nil, invalid("%.100q is there more than once", name)
		}
	}
	token, ok := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	operator, gateway := same(token, a.config.OperatorToken), same(token, a.config.Token)
	switch {
	case !ok || !operator && !gateway:
		return nil, &problem{status: http.StatusUnauthorized, reason: "UNAUTHORIZED", detail: "this is for the gateway and for operators: send the token of one of them (Authorization: Bearer)"}
	case r.operators && !operator:
		return nil, &problem{status: http.StatusForbidden, reason: "ACCESS_DENIED", detail: "this is for operators: send their token"}
	case r.operators:
		return c, nil
	}
	c.owner, err = url.PathUnescape(request.Header.Get("Billing-Owner"))
	if err != nil || !validOwner(c.owner) || len(request.Header.Values("Billing-Owner")) != 1 {
		return nil, invalid("the header Billing-Owner does not name an owner: send the id of one tenant, percent-encoded")
	}
	return c, nil
}

// same compares a token with the one that is right, in a time that tells nothing of it. Empty is
// nobody's.
func same(token, right string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(right))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && right != ""
}

// maxOwner bounds the id of an owner, in bytes, as package claim does.
const maxOwner = 512

func validOwner(owner string) bool {
	return owner != "" && len(owner) <= maxOwner && utf8.ValidString(owner) && !strings.ContainsFunc(owner, func(r rune) bool { return !unicode.IsPrint(r) })
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

package door

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/problemjson"
)

// The reasons of a Problem, beside those of authn: codes that programs may rely on. They
// are the same in all APIs of the gateway.
const (
	BadRequest          = "BAD_REQUEST"
	InsufficientScope   = "INSUFFICIENT_SCOPE"
	NotFound            = "NOT_FOUND"
	MethodNotAllowed    = "METHOD_NOT_ALLOWED"
	InsufficientFunds   = "INSUFFICIENT_FUNDS"
	AlreadyExists       = "ALREADY_EXISTS"
	Changed             = "CHANGED"
	RevisionRequired    = "REVISION_REQUIRED"
	TooLarge            = "TOO_LARGE"
	UnsupportedType     = "UNSUPPORTED_MEDIA_TYPE"
	RateLimited         = "RATE_LIMITED"
	AuditUnavailable    = "AUDIT_UNAVAILABLE"
	UpstreamUnavailable = "UPSTREAM_UNAVAILABLE"
	UpstreamTimeout     = "UPSTREAM_TIMEOUT"
	Internal            = "INTERNAL"
)

// Problem is why a request is not answered as its client wished.
type Problem struct {
	Status  int    // of HTTP
	Reason  string // a code
	Details string // for people: what is wrong and what to do
	// RetryAfter is when it is worth another try. Zero means that no time helps.
	RetryAfter time.Duration
	// Allow are the methods that a path has, for 405.
	Allow []string
	// Err is for the log and the record, not for the client.
	Err error

	headers func(http.Header)
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Err == nil {
		return p.Reason + ": " + p.Details
	}
	return fmt.Sprintf("%s: %s: %v", p.Reason, p.Details, p.Err)
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// open tells whether what was asked for may have been done nevertheless: what it needs gave
// no answer, or none that can be used.
func (p *Problem) open() bool {
	switch p.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Invalid returns a Problem of what the client sent.
func Invalid(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Reason: BadRequest, Details: fmt.Sprintf(format, args...)}
}

// Missing returns the Problem of an object that is not there, or not for this principal.
func Missing() *Problem {
	return &Problem{Status: http.StatusNotFound, Reason: NotFound, Details: "there is no such object"}
}

// Unavailable returns the Problem of something that is needed and does not answer.
func Unavailable(err error) *Problem {
	return &Problem{
		Status: http.StatusServiceUnavailable, Reason: authn.DependencyUnavailable,
		Details: "something that the gateway needs does not answer now: try again", RetryAfter: time.Second, Err: err,
	}
}

// problemOf returns an error as a Problem. What no room has named is a failure of
// something behind.
func problemOf(err error) *Problem {
	var p *Problem
	var auth *authn.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &auth):
		return &Problem{
			Status: auth.Status, Reason: auth.Reason, Details: auth.Details, RetryAfter: auth.RetryAfter, Err: auth.Err, headers: auth.SetHeaders,
		}
	}
	return Unavailable(err)
}

// setHeaders sets what belongs to the answer whatever API it is of.
func (p *Problem) setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	if p.headers != nil {
		p.headers(h)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if len(p.Allow) > 0 {
		h.Set("Allow", strings.Join(p.Allow, ", "))
	}
}

// Form writes a Problem as the clients of one API expect it. The headers but
// Content-Type are set, and id is that of the request.
type Form func(w http.ResponseWriter, p *Problem, id string)

// ProblemJSON is the Form of the APIs that are our own (RFC 9457). The member reason has the
// same code as in the other APIs, and the type is made of it. The instance is the id of the
// request, which is also in requestId.
func ProblemJSON(w http.ResponseWriter, p *Problem, id string) {
	said(problemjson.Problem{Program: "pin-gateway", Status: p.Status, Reason: p.Reason, Detail: p.Details, ID: id}.Write(w))
}

// WriteJSON answers with a value as JSON.
func WriteJSON(w http.ResponseWriter, status int, contentType string, value any) {
	said(problemjson.WriteJSON(w, status, contentType, value))
}

// said logs that a client was not answered, who may have left.
func said(err error) {
	switch {
	case errors.Is(err, problemjson.ErrEncoding):
		logger.Error(err)
	case err != nil:
		logger.Debug(err)
	}
}

package authn

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// The reasons of an Error: codes that programs may rely on.
const (
	Unauthorized          = "UNAUTHORIZED"
	InvalidToken          = "INVALID_TOKEN"
	InvalidRequest        = "INVALID_REQUEST"
	Forbidden             = "FORBIDDEN"
	DependencyUnavailable = "DEPENDENCY_UNAVAILABLE"
)

// Error is why there is no principal, as a client is told.
type Error struct {
	Status  int    // of HTTP
	Reason  string // a code, above
	Details string // for people
	// Method is the kind of credential that was shown. Empty if there was none.
	Method principal.Method
	// RetryAfter is when it is worth another try. Zero means that no time helps.
	RetryAfter time.Duration
	// Err is what the audit is told.
	Err error

	challenge, accept string
}

// Error returns what the audit is told.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }

// Unwrap returns what the audit is told.
func (e *Error) Unwrap() error { return e.Err }

// SetHeaders sets the headers of the answer: WWW-Authenticate, Accept-Signature and
// Retry-After, as far as they belong to it, and that it is not to be stored.
func (e *Error) SetHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	if e.challenge != "" {
		h.Set("WWW-Authenticate", e.challenge)
	}
	if e.accept != "" {
		h.Set("Accept-Signature", e.accept)
	}
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}

// explain turns an error of a room into what the client is told.
func (a *Authenticator) explain(found credential, err error) *Error {
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	e := &Error{Method: found.method, Err: err}
	switch {
	case errors.Is(err, errNone):
		e.Status, e.Reason, e.Details = http.StatusUnauthorized, Unauthorized, "a credential is needed"
		e.challenge = a.challenge("", "")
	case errors.Is(err, errOrigin):
		e.Status, e.Reason, e.Details = http.StatusForbidden, Forbidden, "the request comes from another site"
	case errors.As(err, &refusal) && refusal.Malformed:
		e.Status, e.Reason, e.Details = http.StatusBadRequest, InvalidRequest, refusal.Details
		e.challenge = a.challenge("invalid_request", refusal.Details)
	case errors.As(err, &refusal):
		e.Status, e.Reason, e.Details = http.StatusUnauthorized, InvalidToken, refusal.Details
		e.challenge = a.challenge("invalid_token", refusal.Details)
	case errors.As(err, &unavailable):
		e.Status, e.Reason, e.Details = http.StatusServiceUnavailable, DependencyUnavailable, "credentials cannot be checked now"
		e.RetryAfter = unavailable.RetryAfter
	default:
		// A room that says neither is not known to have looked at the credential.
		e.Status, e.Reason, e.Details = http.StatusServiceUnavailable, DependencyUnavailable, "credentials cannot be checked now"
		e.RetryAfter = time.Second
	}
	if e.Status == http.StatusUnauthorized && a.config.Signatures != nil {
		e.accept = a.config.Signatures.Accept()
	}
	return e
}

// challenge returns a challenge (RFC 6750, section 3). One without an error is for a
// request that had no credential.
func (a *Authenticator) challenge(code, description string) string {
	text := fmt.Sprintf(`Bearer realm="%s"`, a.config.Realm)
	if code != "" {
		text += fmt.Sprintf(`, error="%s", error_description="%s"`, code, quotable(description))
	}
	return text
}

package door

import (
	"context"
	"errors"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/limits"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// What follows is for routes that are open: on these, whatever serves them finds out who
// asks, if anybody needs to be.

// Limit counts a request by the network that it comes from, whoever asks. It returns the
// Problem of too many. Nil rates limit nothing.
func (c *Call) Limit(rates Rates) error { return limit(rates, limits.Network(c.Address)) }

// Refused returns what the client is told of a proof that does not pass: an error of a room
// for credentials, or an *authn.Error. Unless the proof could not be checked, it is on
// record as a failed authentication, and counts as one.
func (c *Call) Refused(method principal.Method, err error) error {
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	told := &authn.Error{Method: method, Err: err}
	switch {
	case errors.As(err, &told):
	case errors.As(err, &refusal) && refusal.Malformed:
		told.Status, told.Reason, told.Details = http.StatusBadRequest, authn.InvalidRequest, refusal.Details
	case errors.As(err, &refusal):
		told.Status, told.Reason, told.Details = http.StatusUnauthorized, authn.InvalidToken, refusal.Details
	case errors.As(err, &unavailable):
		p := Unavailable(err)
		p.RetryAfter = unavailable.RetryAfter
		return p
	default:
		return Unavailable(err)
	}
	p := problemOf(c.door.failed(c, told))
	if p.Status == http.StatusUnauthorized {
		p.headers = func(h http.Header) { h.Set("WWW-Authenticate", `Bearer error="invalid_token"`) }
	}
	return p
}

// Proved makes a principal that has just proved itself that of the call. When it returns
// nil, the principal may ask now, and that it has proved itself is on record: before that,
// it gets nothing for its proof.
func (c *Call) Proved(p principal.Principal) error {
	c.Principal = p
	if err := c.door.let(c); err != nil {
		return err
	}
	event := c.event(audit.Decision{Allowed: true, Reason: "the proof is good"}, audit.Resource{})
	if err := c.door.config.Recorder.Done(c.Request.Context(), event, audit.Result{Verdict: audit.Success}); err != nil {
		return auditFailed(err)
	}
	return nil
}

// DoOwn is Do of something that everybody may do with what is its own, so that no policy is
// asked: to end a session.
func (c *Call) DoOwn(status int, resource audit.Resource, do func(ctx context.Context) error) error {
	return c.perform(status, audit.Decision{Allowed: true, Reason: "it is its own"}, resource, func(ctx context.Context) (string, error) { return "", do(ctx) })
}

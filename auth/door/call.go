package door

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// Call is one request on its way. It is of one goroutine.
type Call struct {
	Request *http.Request
	Route   routes.Route
	// Principal is who asks. Zero on routes that are open.
	Principal principal.Principal
	Address   netip.Addr
	// ID names the request, for the client, the log and the records.
	ID string

	// Answered is the status of an answer that is not the gateway's own. What serves a call sets
	// it in Do: the record says it, whatever Do's function returns.
	Answered int

	door    *Door
	api     *API
	pace    *pace
	problem *Problem
	// Why a credential was refused, if one was, and its kind.
	refused string
	tried   principal.Method
}

// Step is one thing that is decided about: an action of authz, and what it is done to.
type Step struct {
	Action   string
	Resource authz.Resource
	// Record is what is on record in place of the resource. It may be zero: for what policies
	// know less exactly, as a tenant's credential.
	Record audit.Resource
}

func (s Step) recorded() audit.Resource {
	if s.Record != (audit.Resource{}) {
		return s.Record
	}
	return resourceOf(s.Resource)
}

// Allow returns nil if the route's action is allowed on a resource, and else the Problem
// that the client is told. A denial is recorded, and what is allowed if reads are.
func (c *Call) Allow(resource authz.Resource) error {
	_, err := c.decide([]Step{{Action: c.Route.Action, Resource: resource}})
	if err != nil || !c.door.config.RecordReads {
		return err
	}
	event := c.event(audit.Decision{Allowed: true}, resourceOf(resource))
	if err := c.door.config.Recorder.Done(c.Request.Context(), event, audit.Result{Verdict: audit.Success}); err != nil {
		return auditFailed(err)
	}
	return nil
}

// May returns nil if all steps are allowed, and else the Problem that the client is told. A
// denial is recorded. It is for what is done by several calls of Do, if none is to be done
// unless all are allowed.
func (c *Call) May(steps []Step) error {
	_, err := c.decide(steps)
	return err
}

// Do does something that changes what is stored. All steps must be allowed; the intent is
// on record before do is called, and what came of it after. do is called with a context
// that does not end when the client leaves, and returns the id of what it made, if it
// made something. The status is what the client is told of a success. Of an error after which
// it is open whether it was done, the record says so.
func (c *Call) Do(status int, steps []Step, do func(ctx context.Context) (made string, err error)) error {
	decision, err := c.decide(steps)
	if err != nil {
		return err
	}
	return c.perform(status, decision, recorded(steps), do)
}

// perform does what was decided, with the intent on record before and the outcome after.
func (c *Call) perform(status int, decision audit.Decision, resource audit.Resource, do func(ctx context.Context) (made string, err error)) error {
	ctx := context.WithoutCancel(c.Request.Context())
	pending, err := c.door.config.Recorder.Begin(ctx, c.event(decision, resource))
	if err != nil {
		return auditFailed(err)
	}
	result := audit.Result{Verdict: audit.Failure, Status: http.StatusInternalServerError, Reason: Internal} // of a panic
	defer func() {
		if failed := pending.End(ctx, result); failed != nil {
			// It was done: the client must not be told that it was not.
			logger.Errorf("request %s: what came of it is not on record: %s", c.ID, failed)
		}
	}()
	made, err := do(ctx)
	switch {
	case c.Answered != 0: // that is what came of it, also if the client did not get all of it
		result = audit.Result{Verdict: audit.Success, Status: c.Answered, ResourceID: made}
		if c.Answered >= http.StatusBadRequest {
			result.Verdict = audit.Failure
		}
	case err != nil:
		p := problemOf(err)
		result = audit.Result{Verdict: audit.Failure, Status: p.Status, Reason: p.Reason}
		if p.open() {
			result.Verdict = audit.Unknown
		}
	default:
		result = audit.Result{Verdict: audit.Success, Status: status, ResourceID: made}
	}
	return err
}

// recorded is what steps are done to: what the last is about, by the id of the first. A pin
// that is replaced is on record with what it becomes.
func recorded(steps []Step) audit.Resource {
	resource := steps[len(steps)-1].recorded()
	if resource.ID == "" {
		resource.ID = steps[0].recorded().ID
	}
	return resource
}

// auditFailed is the Problem of a request that nobody may do because it cannot be recorded.
func auditFailed(err error) *Problem {
	p := Unavailable(err)
	p.Reason, p.Details = AuditUnavailable, "the audit log cannot be written, so that nothing may be changed: try again"
	return p
}

// decide returns what was decided about all steps, and records a denial.
func (c *Call) decide(steps []Step) (audit.Decision, error) {
	used, err := c.door.config.Tenants.QuotaUsed(c.Request.Context(), c.Principal.Tenant)
	if err != nil {
		return audit.Decision{}, Unavailable(err)
	}
	p := c.Principal
	method := p.Method
	if method == principal.MethodSession {
		method = p.Via
	}
	all := audit.Decision{Allowed: true}
	for _, step := range steps {
		decision := c.door.config.Decider.Decide(authz.Request{
			Principal: authz.Principal{ID: p.ID, Tenant: p.Tenant, Roles: p.Roles, Method: string(method), MFA: p.MFA, Scopes: p.Scopes},
			Action:    step.Action,
			Resource:  step.Resource,
			Context:   authz.Context{IP: c.Address, Time: c.door.config.Now(), TLS: c.door.config.TLS(c.Request), QuotaUsed: used},
		})
		all.Policies, all.Version, all.Reason = append(all.Policies, decision.Policies...), decision.Version, decision.Reason()
		if !decision.Allowed {
			all.Allowed = false
			return all, c.deny(denied(decision, step.Action), all, step.recorded())
		}
	}
	return all, nil
}

// scopeGuard is the id of the policy on scopes.
const scopeGuard = "guard-scope"

// denied is the Problem of a denial: of what is hidden the same as of what is not there.
func denied(d authz.Decision, action string) *Problem {
	if d.Hidden {
		return Missing()
	}
	p := &Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: "this is not allowed: " + d.Reason()}
	switch {
	case slices.Contains(d.Policies, scopeGuard):
		p.Reason, p.Details = InsufficientScope, "the credential lacks the scope "+action
		p.headers = func(h http.Header) {
			h.Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, action))
		}
	case len(d.Policies) == 0 && d.Refused == "" && len(d.Errors) == 0:
		p.Details = "this is not allowed to you: nothing permits " + action
	}
	return p
}

// deny records a denial and returns its Problem. That the record could not be written
// changes nothing for the client: nothing was done.
func (c *Call) deny(p *Problem, decision audit.Decision, resource audit.Resource) error {
	decision.Allowed = false
	result := audit.Result{Verdict: audit.Denied, Status: p.Status, Reason: p.Reason}
	if err := c.door.config.Recorder.Done(c.Request.Context(), c.event(decision, resource), result); err != nil {
		logger.Errorf("request %s: a denial is not on record: %s", c.ID, err)
	}
	return p
}

// refuse answers a route that is for nobody.
func (c *Call) refuse() error {
	p := &Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: c.Route.Why}
	return c.deny(p, audit.Decision{Reason: "the route is refused to everybody"}, audit.Resource{})
}

// event is what is recorded of the call.
func (c *Call) event(decision audit.Decision, resource audit.Resource) audit.Event {
	p, r := c.Principal, c.Request
	action := c.Route.Action
	if action == "" {
		action = c.api.Name + ":" + c.Route.Name
	}
	return audit.Event{
		Actor: audit.Actor{
			Principal: p.ID, Tenant: p.Tenant, Method: string(p.Method), Credential: p.Credential, Issuer: p.Issuer, Subject: p.Subject,
			IP: c.Address.String(), UserAgent: r.UserAgent(), TLS: c.door.config.TLS(r),
		},
		Action: action, Resource: resource, Decision: decision,
		HTTP:      audit.HTTP{Method: r.Method, Route: c.Route.Pattern},
		RequestID: c.ID, Traceparent: r.Header.Get("Traceparent"),
	}
}

// resourceOf is what is recorded of a resource.
func resourceOf(resource authz.Resource) audit.Resource {
	switch of := resource.(type) {
	case authz.Pin:
		return audit.Resource{Kind: "pin", ID: of.ID, Tenant: of.Tenant, Owner: of.Owner, CID: of.CID, Name: of.Name}
	case authz.Tenant:
		return audit.Resource{Kind: "tenant", ID: string(of), Tenant: string(of)}
	case authz.Key:
		return audit.Resource{Kind: "key", ID: of.ID, Tenant: of.Tenant, Owner: of.Owner}
	case authz.Cluster:
		return audit.Resource{Kind: "cluster"}
	}
	return audit.Resource{}
}

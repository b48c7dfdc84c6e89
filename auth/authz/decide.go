package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// Decision is the answer to a Request.
type Decision struct {
	Allowed bool `json:"allowed"`
	// Policies are the ids of the policies that decided, sorted: those that forbid if
	// any does, else those that permit. Without any nothing was permitted.
	Policies []string `json:"policies,omitempty"`
	// Errors are the policies that could not be evaluated. Then Allowed is false.
	Errors []PolicyError `json:"errors,omitempty"`
	// Refused says why the request was not evaluated, "" if it was.
	Refused string `json:"refused,omitempty"`
	// Hidden: the client must not learn whether the resource exists (404, not 403).
	Hidden bool `json:"hidden,omitempty"`
	// Version is that of the Set.
	Version string `json:"version"`
}

// PolicyError says why a policy could not be evaluated.
type PolicyError struct {
	Policy  string `json:"policy"`
	Message string `json:"message"`
}

// Reason says in one line why it was decided so, for logs and records: it names
// policies, not for clients of other tenants.
func (d Decision) Reason() string {
	switch {
	case d.Refused != "":
		return "not evaluated: " + d.Refused
	case len(d.Errors) > 0:
		return fmt.Sprintf("the policy %s could not be evaluated: %s", d.Errors[0].Policy, d.Errors[0].Message)
	case d.Allowed:
		return "permitted by " + strings.Join(d.Policies, ", ")
	case len(d.Policies) > 0:
		return "forbidden by " + strings.Join(d.Policies, ", ")
	}
	return "no policy permits it"
}

// Decide answers a request. It never fails: what cannot be answered is denied.
func (s *Set) Decide(r Request) Decision {
	d := Decision{Version: s.version}
	request, entities, err := s.request(&r)
	if err != nil {
		d.Refused = err.Error()
		return d
	}
	allowed, diagnostic := cedar.Authorize(s.actions[r.Action].policies, entities, request)
	for _, e := range diagnostic.Errors {
		d.Errors = append(d.Errors, PolicyError{string(e.PolicyID), e.Message})
	}
	for _, reason := range diagnostic.Reasons {
		d.Policies = append(d.Policies, string(reason.PolicyID))
		d.Hidden = d.Hidden || !bool(allowed) && s.byID[reason.PolicyID].parsed.Annotations()["hide"] == "yes"
	}
	if d.Allowed = bool(allowed); d.Allowed && len(d.Errors) > 0 {
		d.Allowed, d.Policies = false, nil
	}
	return d
}

// request checks a request and makes Cedar's of it.
func (s *Set) request(r *Request) (cedar.Request, *entities, error) {
	a, known := s.actions[r.Action]
	if !known {
		return cedar.Request{}, nil, fmt.Errorf("there is no action %.40q", r.Action)
	}
	if err := r.check(); err != nil {
		return cedar.Request{}, nil, err
	}
	request, entities := r.request(s.fixed)
	if !slices.Contains(a.resources, request.Resource.Type) {
		return cedar.Request{}, nil, fmt.Errorf("%s is not done to a %s", r.Action, request.Resource.Type)
	}
	return request, entities, nil
}

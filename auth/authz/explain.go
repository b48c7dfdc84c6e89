package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Explanation says how a decision came about. It is for operators: it has what
// policies say, and what they are called.
type Explanation struct {
	Decision Decision `json:"decision"`
	// Policies are those that concern the principal, the action and the resource: those
	// that decided first, then by id.
	Policies []PolicyExplanation `json:"policies"`
}

// PolicyExplanation says what one policy made of a request.
type PolicyExplanation struct {
	ID     string `json:"id"`
	Effect string `json:"effect"` // permit or forbid
	// Why is the policy's @why.
	Why  string `json:"why,omitempty"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Decided: the decision is this policy's, maybe with others.
	Decided bool `json:"decided"`
	// Matched: all its conditions hold. A permit that matched does not decide where
	// something forbids.
	Matched    bool        `json:"matched"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// Condition is a when or unless of a policy.
type Condition struct {
	Text string `json:"text"`
	// Holds: it lets the policy match; for an unless, its body is false.
	Holds bool `json:"holds"`
	// Error says why it could not be evaluated.
	Error string `json:"error,omitempty"`
}

// Explain answers a request as Decide does, and says why.
func (s *Set) Explain(r Request) Explanation {
	x := Explanation{Decision: s.Decide(r)}
	request, entities, err := s.request(&r)
	if err != nil {
		return x
	}
	env := eval.Env{
		Entities: entities, Principal: request.Principal, Action: request.Action,
		Resource: request.Resource, Context: request.Context,
	}
	for _, p := range s.policies {
		tree := (*ast.Policy)(p.parsed.AST())
		if !holds(&ast.Policy{Principal: tree.Principal, Action: tree.Action, Resource: tree.Resource}, env).Holds {
			continue
		}
		annotations := p.parsed.Annotations()
		e := PolicyExplanation{
			ID: string(p.id), Effect: "forbid", Why: string(annotations["why"]),
			File: p.parsed.Position().Filename, Line: p.parsed.Position().Line, Matched: true,
			Decided: slices.Contains(x.Decision.Policies, string(p.id)),
		}
		if p.parsed.Effect() == cedar.Permit {
			e.Effect = "permit"
		}
		for _, condition := range tree.Conditions {
			c := holds(withoutScope(condition), env)
			e.Matched = e.Matched && c.Holds
			e.Conditions = append(e.Conditions, c)
		}
		x.Policies = append(x.Policies, e)
	}
	slices.SortStableFunc(x.Policies, func(a, b PolicyExplanation) int {
		switch {
		case a.Decided == b.Decided:
			return 0
		case a.Decided:
			return -1
		}
		return 1
	})
	return x
}

// withoutScope is a policy of one condition.
func withoutScope(c ast.ConditionType) *ast.Policy {
	p := ast.Permit()
	p.Conditions = []ast.ConditionType{c}
	return p
}

// holds evaluates a policy by itself.
func holds(p *ast.Policy, env eval.Env) Condition {
	c := Condition{Text: conditionText(p)}
	value, err := eval.Eval(eval.PolicyToNode(p).AsIsNode(), env)
	if err != nil {
		c.Error = err.Error()
		return c
	}
	c.Holds = value == types.True
	return c
}

// conditionText is the one condition of a policy as it is written.
func conditionText(p *ast.Policy) string {
	if len(p.Conditions) != 1 {
		return ""
	}
	_, text, _ := strings.Cut(string(cedar.NewPolicyFromAST((*cedarast.Policy)(p)).MarshalCedar()), ")")
	return strings.TrimSuffix(strings.TrimSpace(text), ";")
}

// String is the explanation for a terminal.
func (x Explanation) String() string {
	var b strings.Builder
	verdict := "denied"
	switch {
	case x.Decision.Allowed:
		verdict = "allowed"
	case x.Decision.Hidden:
		verdict = "denied and hidden"
	}
	fmt.Fprintf(&b, "%s: %s\npolicies %s\n", verdict, x.Decision.Reason(), x.Decision.Version)
	for _, p := range x.Policies {
		state := "does not match"
		switch {
		case p.Decided:
			state = "decided"
		case p.Matched:
			state = "matches, and is outweighed"
		}
		fmt.Fprintf(&b, "\n%s %s (%s:%d): %s\n", p.Effect, p.ID, p.File, p.Line, state)
		if p.Why != "" {
			fmt.Fprintf(&b, "  %s\n", p.Why)
		}
		for _, c := range p.Conditions {
			result := "does not hold"
			switch {
			case c.Error != "":
				result = "cannot be evaluated: " + c.Error
			case c.Holds:
				result = "holds"
			}
			fmt.Fprintf(&b, "  %s: %s\n", strings.ReplaceAll(c.Text, "\n", "\n  "), result)
		}
	}
	return b.String()
}

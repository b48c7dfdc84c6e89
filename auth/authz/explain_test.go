package authz

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func find(x Explanation, id string) *PolicyExplanation {
	for i := range x.Policies {
		if x.Policies[i].ID == id {
			return &x.Policies[i]
		}
	}
	return nil
}

func TestExplain(t *testing.T) {
	s := newSet(t, readFiles(t, "examples/attributes.cedar")...)
	held := hers()
	held.Meta = map[string]string{"legal-hold": "case 7"}
	x := s.Explain(Request{ursula(), "pins:delete", held, calmContext()})
	if x.Decision.Allowed || x.Policies[0].ID != "example-legal-hold" || !x.Policies[0].Decided {
		t.Fatalf("%+v", x)
	}
	if p := find(x, "user-changes-own"); p == nil || !p.Matched || p.Decided {
		t.Errorf("a permit that is outweighed: %+v", p)
	}
	if p := find(x, "guard-tenant"); p == nil || p.Matched || len(p.Conditions) != 1 || p.Conditions[0].Holds {
		t.Errorf("a guard that does not match: %+v", p)
	}
	for _, id := range []string{"viewer-reads", "admin-changes-pins", "example-size"} {
		if p := find(x, id); p != nil {
			t.Errorf("%s does not concern the request", id)
		}
	}
	text := x.String()
	for _, want := range []string{
		"denied: forbidden by example-legal-hold",
		"forbid example-legal-hold (attributes.cedar:", ": decided",
		"what is on legal hold is neither replaced nor deleted",
		`resource.getTag("legal-hold")`, "permit user-changes-own", "matches, and is outweighed", "does not match",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestParseRequest(t *testing.T) {
	r, err := ParseRequest([]byte(`{"principal": {"id": "ursula", "tenant": "t1", "roles": ["user"], "method": "jwt", "scopes": ["*"]},
		"action": "pins:delete", "resource": {"pin": {"id": "r1", "tenant": "t1", "owner": "ursula"}}}`))
	if err != nil || !reflect.DeepEqual(r, deleteHers()) {
		t.Errorf("%+v %v", r, err)
	}
	for _, text := range []string{``, `{}`, `{"resource": {"tenant": "t1"}} {}`, `{"who": 1, "resource": {"tenant": "t1"}}`, `{"resource": {}}`} {
		if _, err := ParseRequest([]byte(text)); err == nil {
			t.Errorf("%s is a request", text)
		}
	}
}

func TestExplainAllowedRefusedAndFailed(t *testing.T) {
	s := newSet(t, own(`@id("overflow") forbid (principal, action == Action::"pins:delete", resource)
		when { resource has size && resource.size * 4 > 100 };`))
	if x := s.Explain(deleteHers()); !x.Decision.Allowed || x.Policies[0].ID != "user-changes-own" {
		t.Errorf("%+v", x)
	}
	r := deleteHers()
	r.Action = "nothing"
	if x := s.Explain(r); x.Decision.Refused == "" || len(x.Policies) > 0 {
		t.Errorf("%+v", x)
	}
	pin, size := hers(), int64(math.MaxInt64)
	pin.Size = &size
	r = deleteHers()
	r.Resource = pin
	x := s.Explain(r)
	if p := find(x, "overflow"); p == nil || len(p.Conditions) != 1 || p.Conditions[0].Error == "" || !strings.Contains(x.String(), "cannot be evaluated") {
		t.Errorf("%+v", x)
	}
}

package authz

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

func readFiles(t testing.TB, names ...string) []File {
	t.Helper()
	var files []File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{filepath.Base(name), text})
	}
	return files
}

func newSet(t testing.TB, own ...File) *Set {
	t.Helper()
	s, err := NewSet(own, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func own(text string) File { return File{"own.cedar", []byte(text)} }

// ursula and hers are what the tests below change one thing of.
func ursula() Principal {
	return Principal{ID: "ursula", Tenant: "t1", Roles: []string{"user"}, Method: "jwt", Scopes: []string{AllScopes}}
}

func hers() Pin { return Pin{ID: "r1", Tenant: "t1", Owner: "ursula"} }

func deleteHers() Request {
	return Request{ursula(), "pins:delete", hers(), calmContext()}
}

// The embedded policies and the examples do what their tests say, and each has one.
func TestPoliciesAreTested(t *testing.T) {
	for _, names := range [][]string{
		{"testdata/roles.tests.json"},
		{"examples/attributes.cedar", "examples/attributes.tests.json"},
	} {
		s := newSet(t, readFiles(t, names...)...)
		untested := slices.DeleteFunc(s.untested(), func(id string) bool {
			return strings.HasPrefix(names[0], "examples/") && !strings.HasPrefix(id, "example-")
		})
		if len(untested) > 0 {
			t.Errorf("%s: no test is decided by %q", names, untested)
		}
	}
}

// A set is refused, and the error names file, line and policy.
func TestRefusedPolicies(t *testing.T) {
	tests := func(text string) File { return File{"own.tests.json", []byte(text)} }
	const principal = `"principals": {"u": {"id": "u", "tenant": "t1"}}, "resources": {"t": {"tenant": "t1"}}`
	for name, test := range map[string]struct {
		file File
		want string
	}{
		"syntax":            {own("permit (principal"), "own.cedar"},
		"no id":             {own("\npermit (principal, action, resource);"), "own.cedar:2: the policy has no @id"},
		"id twice":          {own(`@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);`), `another policy "a"`},
		"id of ours":        {own(`@id("guard-tenant") permit (principal, action, resource);`), `another policy "guard-tenant"`},
		"unknown attribute": {own(`@id("a") forbid (principal, action, resource) when { principal.tennant == Tenant::"t1" };`), `own.cedar:1: the policy "a"`},
		"unknown action":    {own(`@id("a") permit (principal, action == Action::"pins:remove", resource);`), `"a"`},
		"unknown type":      {own(`@id("a") permit (principal is Person, action, resource);`), `"a"`},
		"type mismatch":     {own(`@id("a") forbid (principal, action, resource) when { context.quotaUsed > "9" };`), `"a"`},
		"optional, unasked": {own(`@id("a") forbid (principal, action == Action::"pins:create", resource) when { resource.size > 9 };`), `"a"`},
		"tag, unasked":      {own(`@id("a") forbid (principal, action == Action::"pins:create", resource) when { resource.getTag("x") == "y" };`), `"a"`},
		"wrong resource":    {own(`@id("a") forbid (principal, action == Action::"pins:list", resource) when { resource.owner == principal };`), `"a"`},
		"too deep":          {own(`@id("a") permit (principal, action, resource) when { ` + strings.Repeat("(", 1<<16) + `true` + strings.Repeat(")", 1<<16) + ` };`), "deep"},
		"too deep, hidden":  {own(`@id("a") @b("))))))))))))))))))))` + strings.Repeat(")", 200) + `") permit (principal, action, resource) when { ` + strings.Repeat("(", 200) + `true` + strings.Repeat(")", 200) + ` };`), "deep"},
		"too deep, escaped": {own(`@id("a") @b("\"))))))))))))))))))))` + strings.Repeat(")", 200) + `") permit (principal, action, resource) when { ` + strings.Repeat("(", 200) + `true` + strings.Repeat(")", 200) + ` };`), "deep"},
		"too large":         {own("//" + strings.Repeat(" ", MaxFile)), "bytes, more than"},
		"another extension": {File{"own.txt", nil}, "ends neither in"},

		"test fails":           {tests(`{` + principal + `, "cases": [{"name": "n", "principal": "u", "action": "pins:list", "resource": "t", "expect": "allow", "policies": []}]}`), "own.tests.json: n: expected allow by no policy, but it is deny: forbidden by guard-scope"},
		"test by other policy": {tests(`{` + principal + `, "cases": [{"name": "n", "principal": "u", "action": "pins:list", "resource": "t", "expect": "deny", "policies": []}]}`), "expected deny by no policy"},
		"test of no action":    {tests(`{` + principal + `, "cases": [{"name": "n", "principal": "u", "action": "pins:lst", "resource": "t", "expect": "deny", "policies": []}]}`), "there is no action"},
		"test without policy":  {tests(`{` + principal + `, "cases": [{"name": "n", "principal": "u", "action": "pins:list", "resource": "t", "expect": "deny"}]}`), "it must say"},
		"test without expect":  {tests(`{` + principal + `, "cases": [{"name": "n", "principal": "u", "action": "pins:list", "resource": "t", "policies": []}]}`), "it must say"},
		"test with more":       {tests(`{"case": []}`), "unknown field"},
		"test, two resources":  {tests(`{"principals": {"u": {}}, "resources": {"t": {"tenant": "a", "cluster": true}}, "cases": [{"principal": "u", "resource": "t"}]}`), "a resource is one of"},
		"test, no principal":   {tests(`{"cases": [{"name": "n", "principal": "v"}]}`), `no principal "v"`},
		"test with a tail":     {tests(`{} {}`), "something follows"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSet([]File{test.file}, false)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Cedar leaves out a policy that fails; here it denies and is named.
func TestErrorDenies(t *testing.T) {
	for _, effect := range []string{"permit", "forbid"} {
		s := newSet(t, own(`@id("overflow") `+effect+` (principal, action == Action::"pins:delete", resource)
			when { resource has size && resource.size * 4 > 100 };`))
		if d := s.Decide(deleteHers()); !d.Allowed {
			t.Fatalf("%s: denied without an error: %s", effect, d.Reason())
		}
		r := deleteHers()
		pin, size := hers(), int64(math.MaxInt64)
		pin.Size = &size
		r.Resource = pin
		d := s.Decide(r)
		if d.Allowed || len(d.Errors) != 1 || d.Errors[0].Policy != "overflow" || len(d.Policies) != 0 {
			t.Errorf("%s: %+v", effect, d)
		}
		if !strings.Contains(d.Reason(), "overflow") {
			t.Errorf("%s: the reason does not name the policy: %s", effect, d.Reason())
		}
	}
}

// Whatever an operator permits, the guards hold.
func TestGuards(t *testing.T) {
	for _, withoutRoles := range []bool{false, true} {
		s, err := NewSet([]File{own(`@id("all") permit (principal, action, resource);`)}, withoutRoles)
		if err != nil {
			t.Fatal(err)
		}
		other := hers()
		other.Tenant = "t2"
		narrow := ursula()
		narrow.Scopes = []string{"pins:read"}
		foreign := hers()
		foreign.Owner = "adam"
		for name, test := range map[string]struct {
			request Request
			want    string
		}{
			"permitted":     {deleteHers(), "allow"},
			"other tenant":  {Request{ursula(), "pins:delete", other, calmContext()}, "hide"},
			"other's list":  {Request{ursula(), "pins:list", Tenant("t2"), calmContext()}, "hide"},
			"other's key":   {Request{ursula(), "keys:revoke", Key{"k", "t2", "ursula"}, calmContext()}, "hide"},
			"beyond scopes": {Request{narrow, "pins:delete", hers(), calmContext()}, "deny"},
			"for another":   {Request{ursula(), "pins:create", foreign, calmContext()}, "deny"},
		} {
			if d := s.Decide(test.request); outcome(d) != test.want {
				t.Errorf("without roles %v: %s: %s: %s", withoutRoles, name, outcome(d), d.Reason())
			}
		}
	}
}

func TestWithoutRoles(t *testing.T) {
	s, err := NewSet(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Decide(deleteHers()); d.Allowed || len(d.Policies) > 0 {
		t.Errorf("%+v", d)
	}
}

// What is incomplete or beyond the bounds is denied without being evaluated, even
// where everything is permitted.
func TestRefusedRequests(t *testing.T) {
	s := newSet(t, own(`@id("all") permit (principal, action, resource);`))
	long := strings.Repeat("x", MaxText+1)
	pin := func(change func(*Pin)) func(*Request) {
		return func(r *Request) { p := hers(); change(&p); r.Resource = p }
	}
	for name, change := range map[string]func(*Request){
		"no id":          func(r *Request) { r.Principal.ID = "" },
		"no tenant":      func(r *Request) { r.Principal.Tenant = "" },
		"long id":        func(r *Request) { r.Principal.ID = long },
		"long method":    func(r *Request) { r.Principal.Method = long },
		"long role":      func(r *Request) { r.Principal.Roles = []string{long} },
		"not UTF-8":      func(r *Request) { r.Principal.Roles = []string{"\xff"} },
		"many roles":     func(r *Request) { r.Principal.Roles = make([]string, MaxNames+1) },
		"many scopes":    func(r *Request) { r.Principal.Scopes = make([]string, MaxNames+1) },
		"long scope":     func(r *Request) { r.Principal.Scopes = []string{long} },
		"no address":     func(r *Request) { r.Context.IP = netip.Addr{} },
		"no resource":    func(r *Request) { r.Resource = nil },
		"no action":      func(r *Request) { r.Action = "" },
		"a group":        func(r *Request) { r.Action = "write" },
		"other resource": func(r *Request) { r.Resource = Cluster{} },
		"pin of nobody":  pin(func(p *Pin) { p.Owner = "" }),
		"pin of none":    pin(func(p *Pin) { p.Tenant = "" }),
		"long name":      pin(func(p *Pin) { p.Name = long }),
		"long meta":      pin(func(p *Pin) { p.Meta = map[string]string{"a": long} }),
		"much meta": pin(func(p *Pin) {
			p.Meta = make(map[string]string)
			for i := range MaxMeta + 1 {
				p.Meta[fmt.Sprint(i)] = ""
			}
		}),
		"tenant without id": func(r *Request) { r.Action, r.Resource = "pins:list", Tenant("") },
		"key of nobody":     func(r *Request) { r.Action, r.Resource = "keys:revoke", Key{ID: "k", Tenant: "t1"} },
	} {
		r := deleteHers()
		if !s.Decide(r).Allowed {
			t.Fatal("the request itself is denied")
		}
		change(&r)
		if d := s.Decide(r); d.Allowed || d.Refused == "" || d.Version == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// All that Go makes of requests fits the schema that policies are checked against.
func TestEntitiesFitSchema(t *testing.T) {
	text, err := embedded.ReadFile("policies/" + schemaName)
	if err != nil {
		t.Fatal(err)
	}
	var parsed schema.Schema
	if err := parsed.UnmarshalCedar(text); err != nil {
		t.Fatal(err)
	}
	resolved, err := parsed.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	validator := validate.New(resolved)
	s := newSet(t)
	size := int64(7)
	full := Pin{"r", "t1", "ursula", "bafy", "n", &size, "eu", -1, -1, map[string]string{"a": "b", "": ""}}
	seen := 0
	for _, action := range s.Actions() {
		for _, resource := range []Resource{hers(), full, Tenant("t1"), Key{"k", "t1", "ursula"}, Cluster{}} {
			r := Request{ursula(), action, resource, calmContext()}
			request, entities, err := s.request(&r)
			if err != nil {
				continue
			}
			seen++
			if err := validator.Request(request); err != nil {
				t.Errorf("%s: %v", action, err)
			}
			if err := validator.Entities(types.EntityMap{request.Principal: entities.principal, request.Resource: entities.resource}); err != nil {
				t.Errorf("%s: %v", action, err)
			}
		}
	}
	if err := validator.Entities(s.fixed); err != nil {
		t.Error(err)
	}
	if seen < len(s.Actions()) {
		t.Errorf("only %d requests were checked", seen)
	}
}

func TestVersion(t *testing.T) {
	a, b := newSet(t), newSet(t, own(`@id("a") forbid (principal, action, resource);`))
	if a.Version() == b.Version() || len(a.Version()) != 64 {
		t.Errorf("versions %s and %s", a.Version(), b.Version())
	}
	if newSet(t).Version() != a.Version() {
		t.Error("the version of the same policies differs")
	}
	moved := hash([]File{{"a", []byte("bc")}})
	if moved == hash([]File{{"ab", []byte("c")}}) {
		t.Error("the name runs into the text")
	}
	if d := b.Decide(deleteHers()); d.Version != b.Version() {
		t.Errorf("the decision names the version %q", d.Version)
	}
}

func BenchmarkDecide(b *testing.B) {
	s := newSet(b)
	pin := hers()
	pin.Meta = map[string]string{"project": "x", "env": "prod"}
	r := Request{ursula(), "pins:delete", pin, calmContext()}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !s.Decide(r).Allowed {
				b.Fail()
			}
		}
	})
}

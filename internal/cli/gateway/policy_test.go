package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// onHold denies what the roles permit.
const onHold = `@id("legal-hold") @why("it is on hold")
forbid (principal, action == Action::"pins:delete", resource) when { resource.hasTag("legal-hold") };
`

const onHoldTests = `{
  "principals": {"ursula": {"id": "ursula", "tenant": "t1", "roles": ["user"], "method": "jwt", "scopes": ["*"]}},
  "resources": {"held": {"pin": {"id": "r1", "tenant": "t1", "owner": "ursula", "meta": {"legal-hold": "yes"}}}},
  "cases": [{"name": "held", "principal": "ursula", "action": "pins:delete", "resource": "held", "expect": "deny", "policies": ["legal-hold"]}]
}`

// hers is ursula deleting a pin of her own that has some metadata.
func hers(meta string) string {
	return `{"principal": {"id": "ursula", "tenant": "t1", "roles": ["user"], "method": "jwt", "scopes": ["*"]},
		"action": "pins:delete", "resource": {"pin": {"id": "r1", "tenant": "t1", "owner": "ursula", "meta": ` + meta + `}}}`
}

// withPolicies returns a folder with a configuration whose policies are in a folder of it.
func withPolicies(t *testing.T) string {
	t.Helper()
	folder := initialized(t)
	text := strings.Replace(readFile(t, folder, config.FileName), `"policies": {}`, `"policies": {"folder": "policies"}`, 1)
	writeFile(t, text, folder, config.FileName)
	writeFile(t, onHold, folder, "policies", "hold.cedar")
	writeFile(t, onHoldTests, folder, "policies", "hold.tests.json")
	return folder
}

func TestPolicyCheckAndSeal(t *testing.T) {
	folder := withPolicies(t)
	unsealed := mustRun(t, folder, "", "policy", "check").stdout
	if !strings.Contains(unsealed, "and 1 tests with the expected outcome\n") || !strings.Contains(unsealed, "\ngateways do not take them: ") {
		t.Errorf("before they are sealed:\n%s", unsealed)
	}
	if got := run(t, folder, "", "policy", "check", "--sealed"); got.code != 1 || !strings.HasPrefix(got.stderr, "error checking policies: gateways do not take them: ") {
		t.Errorf("--sealed before they are: %+v", got)
	}
	mustRun(t, folder, "", "policy", "seal")
	sealed := mustRun(t, folder, "", "policy", "check", "--sealed").stdout
	if strings.Contains(sealed, "do not take") || strings.Split(sealed, "\n")[0] != strings.Split(unsealed, "\n")[0] {
		t.Errorf("when they are sealed:\n%s", sealed)
	}
	var report authz.Report
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "policy", "check", "--json").stdout), &report))
	if !report.Sealed || report.Cases != 1 || report.Version == "" {
		t.Errorf("as JSON: %+v", report)
	}

	// A gateway takes what is sealed, and nothing that has changed since.
	if _, err := authz.New(authz.Options{Own: authz.Folder(filepath.Join(folder, "policies"))}); err != nil {
		t.Error(err)
	}
	writeFile(t, onHold+"\n// later\n", folder, "policies", "hold.cedar")
	if got := run(t, folder, "", "policy", "check", "--sealed"); got.code != 1 || !strings.Contains(got.stderr, "hold.cedar is not as the manifest says") {
		t.Errorf("--sealed after a change: %+v", got)
	}

	// Those of the gateway alone.
	own := mustRun(t, t.TempDir(), "", "policy", "check", "--folder", "", "--sealed").stdout
	if !strings.Contains(own, "policies, and 0 tests") {
		t.Errorf("the gateway's own:\n%s", own)
	}
	checkRefused(t, initialized(t), []refusal{{args: []string{"policy", "seal"}, want: "sealing policies: there is no folder: set policies.folder, or use --folder"}})
}

// TestBadPolicies: whatever is wrong, the exit code is 1 and nothing is sealed.
func TestBadPolicies(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no Cedar":        {map[string]string{"a.cedar": "permit everything"}, []string{"a.cedar"}},
		"no id":           {map[string]string{"a.cedar": `permit (principal, action, resource);`}, []string{"a.cedar", "@id"}},
		"unknown field":   {map[string]string{"a.cedar": `@id("a") permit (principal, action == Action::"pins:delete", resource) when { resource.colour == "red" };`}, []string{"colour"}},
		"a failing test":  {map[string]string{"a.cedar": onHold, "a.tests.json": strings.Replace(onHoldTests, `"deny"`, `"allow"`, 1)}, []string{"a.tests.json: held: expected allow by legal-hold, but it is deny"}},
		"no tests":        {map[string]string{"a.cedar": onHold, "a.tests.json": "{"}, []string{"a.tests.json"}},
		"two mistakes":    {map[string]string{"a.cedar": "permit all", "b.cedar": "forbid all"}, []string{"a.cedar", "\n  ", "b.cedar"}},
		"nothing":         {map[string]string{"README": "x"}, []string{"there are no policies"}},
		"guards replaced": {map[string]string{"a.cedar": `@id("guard-tenant") permit (principal, action, resource);`}, []string{"guard-tenant"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for file, text := range tc.files {
				writeFile(t, text, folder, file)
			}
			for _, verb := range []string{"check", "seal"} {
				got := run(t, t.TempDir(), "", "policy", verb, "--folder", folder)
				if got.code != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "error "+map[string]string{"check": "checking", "seal": "sealing"}[verb]+" policies: ") {
					t.Errorf("%s: %+v", verb, got)
				}
				for _, want := range tc.want {
					if !strings.Contains(got.stderr, want) {
						t.Errorf("%s: %q is not in\n%s", verb, want, got.stderr)
					}
				}
			}
			if _, err := os.Stat(filepath.Join(folder, authz.ManifestName)); err == nil {
				t.Error("they were sealed")
			}
			if got := run(t, t.TempDir(), hers("{}"), "policy", "explain", "--folder", folder); got.code != 1 || got.stdout != "" {
				t.Errorf("explain: %+v", got)
			}
		})
	}
	checkRefused(t, t.TempDir(), []refusal{
		{args: []string{"policy", "check", "--folder", "DIR/none"}, want: "checking policies: reading policies: open DIR/none: no such file or directory"},
		{args: []string{"policy", "check"}, want: `there is no configuration DIR/pin-gateway.json: "pin-gateway init" writes one, --config names another; or use --folder`},
		{args: []string{"policy", "check", "--without-roles"}, want: "reading --without-roles: it goes with --folder"},
	})
}

func TestPolicyExplain(t *testing.T) {
	folder := withPolicies(t) // not sealed
	request := writeFile(t, hers(`{"legal-hold": "yes"}`), folder, "request.json")
	for _, tc := range []struct {
		name, stdin string
		args        []string
		want        []string
	}{
		{"allowed", hers("{}"), nil, []string{"allowed: permitted by user-changes-own\n", "permit user-changes-own", ": decided", "forbid legal-hold (hold.cedar:1): does not match"}},
		{"standard input by name", hers("{}"), []string{"-"}, []string{"allowed: "}},
		{"denied, from a file", "", []string{request}, []string{"denied: forbidden by legal-hold\n", "it is on hold", `resource.hasTag("legal-hold")`}},
		{"without the operator's", hers(`{"legal-hold": "yes"}`), []string{"--folder", ""}, []string{"allowed: "}},
		{"without roles", hers("{}"), []string{"--folder", filepath.Join(folder, "policies"), "--without-roles"}, []string{"denied: no policy permits it"}},
		{"hidden", strings.Replace(hers("{}"), `"id": "r1", "tenant": "t1"`, `"id": "r1", "tenant": "t2"`, 1), nil, []string{"denied and hidden: forbidden by guard-tenant"}},
		{"an action that there is not", strings.Replace(hers("{}"), "pins:delete", "pins:paint", 1), nil, []string{`denied: not evaluated: there is no action "pins:paint"`}},
	} {
		got := mustRun(t, folder, tc.stdin, append([]string{"policy", "explain"}, tc.args...)...)
		for _, want := range tc.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%s: %q is not in\n%s", tc.name, want, got.stdout)
			}
		}
	}
	var explanation authz.Explanation
	must(t, json.Unmarshal([]byte(mustRun(t, folder, "", "policy", "explain", "--json", request).stdout), &explanation))
	if explanation.Decision.Allowed || explanation.Policies[0].ID != "legal-hold" {
		t.Errorf("as JSON: %+v", explanation)
	}
	checkRefused(t, folder, []refusal{
		{args: []string{"policy", "explain"}, want: "reading the request: EOF"},
		{args: []string{"policy", "explain"}, stdin: "{", want: "reading the request: unexpected EOF"},
		{args: []string{"policy", "explain"}, stdin: `{"who": 1}`, want: `reading the request: json: unknown field "who"`},
		{args: []string{"policy", "explain"}, stdin: strings.Repeat(" ", maxRequest+1), want: "reading the request: it has more than 1048576 bytes"},
		{args: []string{"policy", "explain", "DIR/none.json"}, want: "reading the request: open DIR/none.json: no such file or directory"},
		{args: []string{"policy", "explain", "a", "b"}, want: `reading the arguments: "b" is one too many, see pin-gateway policy explain --help`},
	})
}

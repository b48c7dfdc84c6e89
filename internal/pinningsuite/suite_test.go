package pinningsuite

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// The suite passes what is compliant, and tells what is not.
func TestSuite(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-gateway): the suite makes one request a second")
	}
	t.Parallel()
	suite := Install(t)
	for _, tt := range []struct {
		name    string
		noToken int
		failed  []string
	}{
		{"compliant", http.StatusUnauthorized, nil},
		{"403 without a token", http.StatusForbidden, Titles()[:1]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result := suite.Run(t, Target{API: startFake(t, tt.noToken).URL, Token: fakeToken})
			if failed := result.Failed(); !slices.Equal(failed, tt.failed) {
				t.Errorf("failed: %q, want %q\n%s", failed, tt.failed, result.Report)
			}
			if len(result.Checks) != 9 {
				t.Errorf("%d checks, want 9", len(result.Checks))
			}
		})
	}
}

// report returns what the suite writes, with a mark for each of its checks.
func report(marks string) (text, counts string) {
	passed := strings.Count(marks, "y")
	for i, title := range Titles() {
		mark := "\u274c"
		if marks[i] == 'y' {
			mark = "\U0001F7E2"
		}
		text += fmt.Sprintf("  %s [%s](#heading)\n\n", mark, title)
	}
	return "# host\n## Summary\n\n" + text + "\n## " + Titles()[0] + "\n \u274c [another](#link)\n",
		fmt.Sprintf(`{"total": %d, "passed": %d, "failed": %d, "success": false}`, len(marks), passed, len(marks)-passed)
}

func TestRead(t *testing.T) {
	for marks, want := range map[string][]string{
		"yyyyyyyyy": nil,
		"nyyyyyyyn": {Titles()[0], Titles()[8]},
		"nnnnnnnnn": Titles(),
	} {
		text, counts := report(marks)
		result, err := read(text, counts)
		if err != nil || !slices.Equal(result.Failed(), want) || result.Report != text || len(result.Checks) != len(Titles()) {
			t.Errorf("%s: failed %q, %v, want %q", marks, result.Failed(), err, want)
		}
	}
}

// What cannot be a whole report is no result.
func TestReadRefuses(t *testing.T) {
	text, counts := report("yyyynyyyy")
	_, others := report("yyyyyyyyy")
	for name, files := range map[string][2]string{
		"empty":                {"", counts},
		"no counts":            {text, ""},
		"counts of another":    {text, others},
		"counts of fewer":      {text, `{"total": 8, "passed": 8}`},
		"a check twice":        {strings.Replace(text, "\u274c", "\u274c ["+Titles()[4]+"](#again)\n \u274c", 1), counts},
		"a check is not known": {strings.Replace(text, Titles()[1], "Something else", 1), counts},
		"a check is missing":   {strings.Replace(text, "["+Titles()[4]+"](#", "", 1), counts},
	} {
		if result, err := read(files[0], files[1]); err == nil {
			t.Errorf("%s: %+v", name, result.Checks)
		}
	}
}

// A test without Node.js is skipped, and fails where it is required. A fetch that fails
// leaves nothing that a later one would take for the suite.
func TestWithoutSuite(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	for _, tt := range []struct{ path, node, npm, want string }{
		{bin, "", "", "apt-get install -y nodejs npm"},
		{bin, "exit 0\n", "", "apt-get install -y nodejs npm"},
		{bin + ":" + os.Getenv("PATH"), "exit 0\n", "mkdir node_modules; echo no route to registry; exit 1\n", "no route to registry"},
	} {
		t.Setenv("PATH", tt.path)
		if tt.node != "" {
			endtest.Script(t, bin, "node", tt.node)
		}
		if tt.npm != "" {
			endtest.Script(t, bin, "npm", tt.npm)
		}
		install := func(tb testing.TB) { Install(tb) }
		t.Setenv("NODE_REQUIRED", "")
		if got := endtest.Run(t, install); !strings.Contains(got.Skipped, tt.want) || got.Failed != "" {
			t.Errorf("%+v: skipped with %q, failed with %q", tt, got.Skipped, got.Failed)
		}
		t.Setenv("NODE_REQUIRED", "1")
		if got := endtest.Run(t, install); !strings.Contains(got.Failed, tt.want) || got.Skipped != "" {
			t.Errorf("%+v, where it is required: skipped with %q, failed with %q", tt, got.Skipped, got.Failed)
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

// A suite that writes no report has passed nothing, whatever its exit code is.
func TestRunWithoutReport(t *testing.T) {
	bin := t.TempDir()
	endtest.Script(t, bin, "node", "echo could not validate pinning service; exit 0\n")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	got := endtest.Run(t, func(tb testing.TB) { new(Suite).Run(tb, Target{API: "http://127.0.0.1:1", Token: "x"}) })
	if !strings.Contains(got.Failed, "has not come to its end") || !strings.Contains(got.Failed, "could not validate") {
		t.Errorf("failed with %q", got.Failed)
	}
}

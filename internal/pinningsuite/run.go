package pinningsuite

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// Target is what the suite runs on.
type Target struct {
	// API is the URL of the API, without /pins.
	API string
	// Token is good for it.
	Token string
	// IPFS is the URL of the API of an IPFS daemon, with the slash at its end as in
	// http://127.0.0.1:5001/api/v0/, which is given the blocks of the CIDs that the suite
	// makes up, so that they can be pinned. Empty means that nobody is.
	IPFS string
}

// Result is what a run has found.
type Result struct {
	// Checks are all checks of the suite, in the order of Titles.
	Checks []Check
	// Report is the suite's own, in Markdown, with every request, answer and failure.
	Report string
}

// Check is one of Titles.
type Check struct {
	Title  string
	Passed bool
}

// Failed returns the titles of the checks that did not pass.
func (r Result) Failed() []string {
	var failed []string
	for _, check := range r.Checks {
		if !check.Passed {
			failed = append(failed, check.Title)
		}
	}
	return failed
}

// Titles returns how the titles of the suite's checks begin.
func Titles() []string {
	return []string{
		"Request with no authentication token",
		"Request with invalid token",
		"Pins post of CID ",
		"Can create and then delete a new pin",
		"List pin objects (GET /pins) in all states",
		"Can create and replace a pin's CID",
		"Can create a pin with name=",
		"Pagination: ",
		"Can delete all pins created during compliance checks",
	}
}

// Run runs the suite. It fails the test if the suite does not come to its end, not for
// checks that do not pass.
func (s *Suite) Run(tb testing.TB, target Target) Result {
	tb.Helper()
	api, err := url.Parse(target.API)
	if err != nil {
		tb.Fatal(err)
	}
	reports := tb.TempDir()
	cmd := exec.Command("node", "--import", filepath.Join(s.sources, "register.mjs"), s.entry, "-s", target.API, target.Token)
	cmd.Env = append(os.Environ(), "COMPLIANCE_SPEC="+filepath.Join(s.sources, "ipfs-pinning-service.yaml"),
		"COMPLIANCE_REPORTS="+reports, "COMPLIANCE_IPFS="+target.IPFS)
	cmd.Dir = reports
	printed, err := child.Output(tb.Context(), cmd) // its exit code is always 0
	if err != nil {
		tb.Fatalf("the compliance suite: %v; it printed\n%s", err, printed)
	}
	var files [2]string
	for i, kind := range []string{".md", ".json"} {
		text, err := os.ReadFile(filepath.Join(reports, api.Hostname()+kind))
		if err != nil {
			tb.Fatalf("the compliance suite has not come to its end: %v; it printed\n%s", err, printed)
		}
		files[i] = string(text)
	}
	result, err := read(files[0], files[1])
	if err != nil {
		tb.Fatalf("the report of the compliance suite: %v; it printed\n%s", err, printed)
	}
	return result
}

// read reads which checks passed from the top of a report, and compares it with the counts
// that the suite has written.
func read(report, counts string) (Result, error) {
	result := Result{Report: report}
	titles := Titles()
	found := make([]bool, len(titles))
	for _, title := range titles {
		result.Checks = append(result.Checks, Check{Title: title})
	}
	_, summary, _ := strings.Cut(report, "## Summary")
	summary, _, _ = strings.Cut(summary, "\n## ")
	passed := 0
	for _, line := range regexp.MustCompile(`(?m)^ *(\S+) \[(.*?)\]\(#`).FindAllStringSubmatch(summary, -1) {
		i := slices.IndexFunc(titles, func(title string) bool { return strings.HasPrefix(line[2], title) })
		if i < 0 || found[i] {
			return Result{}, fmt.Errorf("it has another check than those that are known: %q", line[2])
		}
		found[i] = true
		if line[1] == "\U0001F7E2" {
			result.Checks[i].Passed = true
			passed++
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return Result{}, fmt.Errorf("it has no check %q:\n%s", titles[i], report)
	}
	var sum struct{ Total, Passed int }
	if err := json.Unmarshal([]byte(counts), &sum); err != nil {
		return Result{}, fmt.Errorf("its counts: %w", err)
	}
	if sum.Total != len(titles) || sum.Passed != passed {
		return Result{}, fmt.Errorf("it has %d of %d checks that passed, and counts %d of %d", passed, len(titles), sum.Passed, sum.Total)
	}
	return result, nil
}

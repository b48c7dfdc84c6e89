package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compliance is the installed suite.
type compliance struct {
	sources string // what is in testdata
	entry   string // the program
}

const installNode = "install Node.js 18.19 or later, and npm: sudo apt-get install -y nodejs npm"

// installCompliance has npm fetch the suite into the user's cache directory, by the
// versions and checksums in testdata. The next run finds it there.
func installCompliance(t *testing.T) compliance {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("no %s to run the compliance suite with: %v; %s", program, err, installNode)
		}
	}
	sources, err := filepath.Abs("testdata/pinningcompliance")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lock := sha256.Sum256([]byte(readText(t, filepath.Join(sources, "package-lock.json"))))
	installed := filepath.Join(cache, "ipfs-cluster-scylla", fmt.Sprintf("pinning-service-compliance-%x", lock[:6]))
	if _, err := os.Stat(installed); err != nil {
		fetchCompliance(t, sources, installed)
	}
	return compliance{sources: sources, entry: filepath.Join(installed, "node_modules/@ipfs-shipyard/pinning-service-compliance/dist/src/index.js")}
}

// fetchCompliance fetches it to a new folder, which is there when it is complete.
func fetchCompliance(t *testing.T, sources, folder string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "fetch-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }() // not there if all went well
	for _, file := range []string{"package.json", "package-lock.json"} {
		if err := os.WriteFile(filepath.Join(fresh, file), []byte(readText(t, filepath.Join(sources, file))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A script of one of its packages downloads an IPFS daemon, which nothing needs.
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = fresh
	mustRun(t, npm)
	if err := os.Rename(fresh, folder); err != nil && !errors.Is(err, fs.ErrExist) { // another process may have been faster
		t.Fatal(err)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs the suite on a peer, whose IPFS daemon has what is pinned. It returns which
// of complianceChecks passed.
func (c compliance) run(t *testing.T, p *peer, k *ipfs) []bool {
	t.Helper()
	reports := t.TempDir()
	api := p.pinsvcURL(t)
	cmd := exec.Command("node", "--import", filepath.Join(c.sources, "register.mjs"), c.entry, "-s", api, pinningToken(t, api))
	cmd.Env = environ(p.dir, map[string]string{
		"COMPLIANCE_SPEC": filepath.Join(c.sources, "ipfs-pinning-service.yaml"), "COMPLIANCE_REPORTS": reports, "COMPLIANCE_IPFS": k.url,
	})
	cmd.Dir = reports
	got := mustRun(t, cmd)
	host, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	report := readText(t, filepath.Join(reports, host.Hostname()+".md"))
	passed := readCompliance(t, report)
	var sum struct{ Total, Passed int }
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(reports, host.Hostname()+".json"))), &sum); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, ok := range passed {
		if ok {
			n++
		}
	}
	if sum.Total != len(complianceChecks) || sum.Passed != n {
		t.Errorf("the suite says %+v, its report has %d of %d; it printed\n%s%s", sum, n, len(passed), got.stdout, got.stderr)
	}
	t.Logf("%d of %d checks passed", sum.Passed, sum.Total)
	if t.Failed() || n < len(complianceChecks) {
		t.Logf("the checks:\n%s", got.stdout)
	}
	return passed
}

// readCompliance reads which checks passed from the top of a report.
func readCompliance(t *testing.T, report string) []bool {
	t.Helper()
	passed := make([]bool, len(complianceChecks))
	found := make([]bool, len(complianceChecks))
	_, summary, _ := strings.Cut(report, "## Summary")
	summary, _, _ = strings.Cut(summary, "\n## ")
	for _, line := range regexp.MustCompile(`(?m)^ *(\S+) \[(.*?)\]\(#`).FindAllStringSubmatch(summary, -1) {
		i := slices.IndexFunc(complianceChecks, func(c complianceCheck) bool { return strings.HasPrefix(line[2], c.title) })
		if i < 0 || found[i] {
			t.Errorf("the suite has another check than those that are known: %q", line[2])
			continue
		}
		found[i], passed[i] = true, line[1] == "\U0001F7E2"
	}
	for i, check := range complianceChecks {
		if !found[i] {
			t.Errorf("the suite did not check %q; its report is\n%s", check.title, report)
		}
	}
	return passed
}

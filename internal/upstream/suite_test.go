package upstream

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

func TestMain(m *testing.M) {
	code := cqltest.Main(m)
	if err := os.RemoveAll(suites.dir); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

const (
	// fullEnv set to 1 runs all of upstream's tests, not only the slice.
	fullEnv = "UPSTREAM_FULL"
	// testTimeout bounds one test of upstream. The slowest takes half a minute.
	testTimeout = 3 * time.Minute
	// peers and pins are what upstream's flags get: with fewer than five peers
	// many tests skip themselves.
	peers, pins = 5, 50
	// outputTail is how many bytes of the output a failed test shows.
	outputTail = 8000
)

// binaries are upstream's test binaries, which all tests of this process share
// because a build takes half a minute.
type binaries struct {
	sync.Once
	dir                   string
	root, dsstate         string
	pintracker, stateless string
	err                   error
}

var suites binaries

// build builds the binaries on the first call.
func (b *binaries) build(t *testing.T) {
	t.Helper()
	b.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "ipfs-cluster-scylla-upstream-"); b.err != nil {
			return
		}
		b.root, b.dsstate = filepath.Join(b.dir, "root.test"), filepath.Join(b.dir, "dsstate.test")
		b.pintracker, b.stateless = filepath.Join(b.dir, "pintracker.test"), filepath.Join(b.dir, "stateless.test")
		checkout, err := filepath.Abs("../..")
		if b.err = err; err != nil {
			return
		}
		here := filepath.Join(checkout, "internal/upstream/testdata")
		var c *Copy
		if c, b.err = New(t.Context(), filepath.Join(b.dir, "ipfs-cluster")); b.err != nil {
			return
		}
		if b.err = c.run(t.Context(), "git", "apply", filepath.Join(here, "suite.patch")); b.err != nil {
			return
		}
		// Ours takes the place of this file; what is copied replaces no other.
		if b.err = os.Remove(filepath.Join(c.Dir, "pintracker/stateless/stateless.go")); b.err != nil {
			return
		}
		if b.err = os.CopyFS(c.Dir, os.DirFS(filepath.Join(here, "suite"))); b.err != nil {
			return
		}
		for pkg, file := range map[string]string{
			".": b.root, "./state/dsstate": b.dsstate, "./pintracker": b.pintracker, "./pintracker/stateless": b.stateless,
		} {
			// Without debug information a binary is linked in half the time.
			if b.err = c.run(t.Context(), "go", "test", "-c", "-mod=mod", "-ldflags=-s -w", "-o", file, pkg); b.err != nil {
				return
			}
		}
	})
	if b.err != nil {
		t.Fatal("no upstream tests to run: ", b.err)
	}
}

// The five tests of upstream's state.
func TestDsstate(t *testing.T) {
	server := cqltest.Start(t)
	suites.build(t)
	rows := readTables(t).dsstate
	checkTable(t, rows, suites.dsstate)
	for _, row := range rows {
		t.Run(row.test, func(t *testing.T) {
			t.Parallel()
			both := server.Emptied(t) + "," + server.Emptied(t)
			runUpstream(t, server, suites.dsstate, row.test, "UPSTREAM_KEYSPACES="+both)
		})
	}
}

// The tests of upstream's pin tracker, which need no database.
func TestPinTracker(t *testing.T) {
	server := cqltest.Start(t)
	suites.build(t)
	for name, of := range map[string]struct {
		rows   []scenario
		binary string
	}{"pintracker": {readTables(t).pintracker, suites.pintracker}, "stateless": {readTables(t).stateless, suites.stateless}} {
		t.Run(name, func(t *testing.T) {
			checkTable(t, of.rows, of.binary)
			for _, row := range of.rows {
				t.Run(row.test, func(t *testing.T) {
					if !row.slice {
						t.Skip("LEFT OUT: docs/upstream-tests.md, Exclusions, says why")
					}
					t.Parallel()
					runUpstream(t, server, of.binary, row.test, "UPSTREAM=none")
				})
			}
		})
	}
}

// The tests of upstream's root package, with five peers: the slice, or all.
func TestRoot(t *testing.T) {
	server := cqltest.Start(t)
	suites.build(t)
	rows := readTables(t).root
	checkTable(t, rows, suites.root)
	full, left := os.Getenv(fullEnv) == "1", 0
	for _, row := range rows {
		if !row.slice && !full {
			left++
			continue
		}
		t.Run(row.test, func(t *testing.T) {
			// One after another: the tests of one peer want a certain port,
			// and upstream's pauses are too short for a busy machine.
			runUpstream(t, server, suites.root, row.test, "CLUSTER_SCYLLA_KEYSPACE="+server.Emptied(t),
				"-consensus", "scylla", "-nclusters", strconv.Itoa(peers), "-npins", strconv.Itoa(pins))
		})
	}
	if left > 0 {
		t.Run("rest", func(t *testing.T) {
			t.Skipf("ONLY THE SLICE HAS RUN: UPSTREAM_FULL=1 (make test-upstream) runs the other %d of upstream's %d tests too", left, len(rows))
		})
	}
}

// checkTable fails the test when the table does not name exactly the tests of
// a binary.
func checkTable(t *testing.T, rows []scenario, binary string) {
	t.Helper()
	out, err := exec.Command(binary, "-test.list", "^Test").Output()
	if err != nil {
		t.Fatal("listing upstream's tests: ", err)
	}
	for _, problem := range difference(rows, strings.Fields(string(out))) {
		t.Error(problem)
	}
}

// runUpstream runs one test in a process and a folder of its own.
func runUpstream(t *testing.T, server *cqltest.Server, binary, test, keyspace string, flags ...string) {
	t.Helper()
	args := append([]string{"-test.v", "-test.run", "^" + test + "$", "-test.timeout", testTimeout.String()}, flags...)
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir()
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "CLUSTER_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env,
		"CLUSTER_SCYLLA_HOSTS="+strings.Join(server.Hosts(), ","),
		"CLUSTER_SCYLLA_PORT="+strconv.Itoa(server.Port()),
		keyspace)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait()
	if problem := verdict(test, out.String()); err != nil || problem != "" {
		text := out.String()
		t.Errorf("%s %v; the end of the output:\n%s", problem, err, text[max(0, len(text)-outputTail):])
	}
}

// verdict reads the output of a test that ran alone. It returns what is wrong
// with it.
func verdict(test, output string) string {
	results := regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\S+) `).FindAllStringSubmatch(output, -1)
	switch {
	case len(results) != 1 || results[0][2] != test:
		return "the test did not run to its end"
	case results[0][1] == "SKIP":
		return "upstream skips the test"
	case results[0][1] == "FAIL":
		return "the test fails"
	}
	return ""
}

func TestVerdict(t *testing.T) {
	for output, ok := range map[string]bool{
		"=== RUN   TestA\n--- PASS: TestA (0.10s)\nPASS\n":                           true,
		"=== RUN   TestA\n--- FAIL: TestA (0.10s)\nFAIL\n":                           false,
		"=== RUN   TestA\n    a_test.go:1: few\n--- SKIP: TestA (0.00s)\nPASS\n":     false,
		"=== RUN   TestA\npanic: a\n":                                                false,
		"testing: warning: no tests to run\nPASS\n":                                  false,
		"=== RUN   TestAB\n--- PASS: TestAB (0.10s)\nPASS\n":                         false,
		"--- PASS: TestA (0.10s)\n--- PASS: TestB (0.10s)\nPASS\n":                   false,
		"--- PASS: TestA (0.10s)\n    --- PASS: TestA/sub (0.10s)\nPASS\n":           true,
		"=== RUN   TestA\n    a_test.go:1: --- PASS: TestA (0.10s)\nexit status 2\n": false,
	} {
		if problem := verdict("TestA", output); (problem == "") != ok {
			t.Errorf("%q: %q, want success: %v", output, problem, ok)
		}
	}
}

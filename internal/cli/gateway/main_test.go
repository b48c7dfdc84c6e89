package gateway

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// asCommand makes the test binary behave as pin-gateway.
const asCommand = "GATEWAY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	// The environment of who runs the tests must not configure the gateways.
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, config.Prefix) {
			if err := os.Unsetenv(name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(cqltest.Main(m))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcome is what a run of the command left.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the command with its configuration in a folder.
func run(t *testing.T, folder, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{programName, "--config", filepath.Join(folder, config.FileName), "--loglevel", "fatal"}, args...)
	code := Main(all, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// mustRun fails the test unless the command exits with 0.
func mustRun(t *testing.T, folder, stdin string, args ...string) outcome {
	t.Helper()
	got := run(t, folder, stdin, args...)
	if got.code != 0 {
		t.Fatalf("%v: exit code %d, want 0; stderr:\n%s", args, got.code, got.stderr)
	}
	return got
}

// initialized returns a folder in which init was run.
func initialized(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	mustRun(t, folder, "", "init")
	return folder
}

// refusal is a command that fails, and how.
type refusal struct {
	args  []string
	stdin string
	// want is what the one error says, with DIR in place of the folder.
	want string
	code int // 0 means 1
}

// checkRefused runs commands in a folder: each has its exit code, writes one error, and
// nothing to standard output.
func checkRefused(t *testing.T, folder string, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		args := make([]string, len(r.args))
		for i, arg := range r.args {
			args[i] = strings.ReplaceAll(arg, "DIR", folder)
		}
		got := run(t, folder, r.stdin, args...)
		if r.code == 0 {
			r.code = 1
		}
		if stderr := strings.ReplaceAll(got.stderr, folder, "DIR"); got.code != r.code || stderr != "error "+r.want+"\n" || got.stdout != "" {
			t.Errorf("%v: exit code %d, want %d; stderr is\n%swant\nerror %s\nstdout is %q", r.args, got.code, r.code, stderr, r.want, got.stdout)
		}
	}
}

func writeFile(t *testing.T, text string, elem ...string) string {
	t.Helper()
	name := filepath.Join(elem...)
	must(t, os.MkdirAll(filepath.Dir(name), 0o700))
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	must(t, err)
	return string(text)
}

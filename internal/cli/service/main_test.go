package service

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// asCommand makes the test binary behave as ipfs-cluster-service.
const asCommand = "SERVICE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	// The environment of who runs the tests must not configure the peers.
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "CLUSTER_") || strings.HasPrefix(name, "IPFS_CLUSTER_") {
			if err := os.Unsetenv(name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	// Every command ends by waiting for one of these intervals.
	config.ConfigSaveInterval = time.Millisecond
	os.Exit(cqltest.Main(m))
}

// outcome is what a run of the command left.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the command with its folder in folder.
func run(t *testing.T, folder, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{programName, "--config", folder, "--loglevel", "fatal"}, args...)
	code := Main(all, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// mustRun fails the test unless the command exits with 0.
func mustRun(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	got := run(t, folder, "", args...)
	if got.code != 0 {
		t.Fatalf("%v: exit code %d, want 0; stderr:\n%s", args, got.code, got.stderr)
	}
	return got
}

// checkRefused fails the test unless got is exit code 1 and exactly one error.
func checkRefused(t *testing.T, got outcome, want string) {
	t.Helper()
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	if got.stderr != "error "+want+"\n" {
		t.Errorf("stderr is\n%swant\nerror %s", got.stderr, want)
	}
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == supervise { // started by runUp
		main()
		return
	}
	os.Exit(cqltest.Main(m))
}

// useServer makes CQL_HOSTS name the server of the tests.
func useServer(t *testing.T) string {
	t.Helper()
	s := cqltest.Start(t)
	address := net.JoinHostPort(s.Hosts()[0], strconv.Itoa(s.Port()))
	t.Setenv("CQL_HOSTS", address)
	t.Setenv("CQL_ENGINE_NAME", s.Name())
	t.Chdir(t.TempDir())
	return address
}

// output runs a subcommand and returns what it prints.
func output(t *testing.T, args ...string) (string, error) {
	t.Helper()
	stdout, _, err := outputs(t, args...)
	return stdout, err
}

// outputs is output with what goes to stderr, which is also shown.
func outputs(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var texts [2]string
	streams := [2]**os.File{&os.Stdout, &os.Stderr}
	var saved, files [2]*os.File
	for i, stream := range streams {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		saved[i], files[i], *stream = *stream, f, f
	}
	err = run(context.Background(), args) // also called when the test's own context has ended
	for i, stream := range streams {
		*stream = saved[i]
		text, err := os.ReadFile(files[i].Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	t.Logf("%q: %s", args, texts[1])
	return texts[0], texts[1], err
}

func TestExecGivesServerAndPassesExitCode(t *testing.T) {
	address := useServer(t)
	host, _, _ := strings.Cut(address, ":")
	out, err := output(t, "exec", "--", "sh", "-c", `echo "$CQL_HOSTS $CQL_ENGINE_NAME"; exit 7`)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exitCode(exit) != 7 {
		t.Errorf("exec of a command that exits with 7: %v", err)
	}
	if want := host + " " + os.Getenv("CQL_ENGINE_NAME") + "\n"; out != want {
		t.Errorf("the command saw %q, want %q", out, want)
	}
	_, err = output(t, "exec", volatile, "--", "sh", "-c", "kill -9 $$")
	if !errors.As(err, &exit) || exitCode(exit) != 128+9 {
		t.Errorf("exec of a command that is killed: %v", err)
	}
}

// TestExecEndsAllThatTheCommandStarted: a shell that is terminated leaves what it
// waits for running, as make test-cluster did with go test.
func TestExecEndsAllThatTheCommandStarted(t *testing.T) {
	useServer(t)
	ctx, terminate := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	if err := syscall.Mkfifo("pid", 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		ended <- run(ctx, []string{"exec", "--", "sh", "-c", "sh -c 'sleep 1000 & echo $! > pid; wait'; true"})
	}()
	text, err := os.ReadFile("pid") // waits for who writes
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	terminate()
	if err := <-ended; err == nil {
		t.Error("a command that was terminated succeeded")
	}
	defer func() {
		if t.Failed() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}()
	cqltest.WaitFor(t, "the end of what the command had started", func() bool { return !child.Runs(pid) })
}

// Who keeps data for longer than a test must not lose it: of the lines that
// start a server for a command, just those that make tests fail without one ask
// for a volatile one, and just the bench for one that is not durable.
func TestOnlyTestsAreVolatile(t *testing.T) {
	const root = "../../../"
	found := 0
	for _, name := range []string{"Makefile", "demo/run.sh", "demo/need"} {
		text, err := os.ReadFile(root + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "bin/cqlserver exec") {
				continue
			}
			found++
			if forTests := strings.Contains(line, "CQL_REQUIRED=1"); strings.Contains(line, "exec "+volatile+" -- ") != forTests {
				t.Errorf("%s: with CQL_REQUIRED=1: %t, which does not fit: %s", name, forTests, line)
			}
			if forBench := strings.Contains(line, "bin/bench"); strings.Contains(line, "exec "+periodic+" -- ") != forBench {
				t.Errorf("%s: for the bench: %t, which does not fit: %s", name, forBench, line)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d such lines found: where are the others?", found)
	}
}

func TestQuery(t *testing.T) {
	useServer(t)
	for query, want := range map[string]string{
		"SELECT key, textAsBlob(key) AS raw FROM system.local":                                    "key local\nraw 0x6c6f63616c\n---\n1 rows",
		"SELECT max(position) AS nothing FROM system_schema.columns WHERE keyspace_name = 'none'": "nothing null\n-------\n1 rows",
		"SELECT (tuple<int, text>)(7, 'a') AS pair, key FROM system.local":                        "pair[0] 7\npair[1] a\nkey local\n-------\n1 rows",
		"SELECT key FROM system.local WHERE key = 'none'":                                         "0 rows",
	} {
		out, err := output(t, "query", query)
		if err != nil {
			t.Error(err)
		}
		var lines []string
		for line := range strings.Lines(out) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%s\nprinted %q\nwant    %q", query, got, want)
		}
	}
	if _, err := output(t, "query", "SELECT"); err == nil {
		t.Error("a syntax error is no error")
	}
}

func TestUpHostsDown(t *testing.T) {
	address := useServer(t)
	host, _, _ := strings.Cut(address, ":")
	want := "CQL_HOSTS=" + host + "\n"
	if out, err := output(t, "hosts"); err == nil {
		t.Errorf("hosts before up printed %q", out)
	}
	for range 2 { // the second up finds the first one's server
		if out, err := output(t, "up"); err != nil || out != want {
			t.Errorf("up printed %q, %v, want %q", out, err, want)
		}
	}
	t.Cleanup(func() {
		if _, err := output(t, "down"); err != nil {
			t.Error(err)
		}
		if _, err := running(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after down: %v", err)
		}
	})
	s, err := running()
	if err != nil {
		t.Fatal(err)
	}
	if s.PID == os.Getpid() {
		t.Error("up holds the server itself")
	}
	if out, err := output(t, "hosts"); err != nil || out != want {
		t.Errorf("hosts printed %q, %v, want %q", out, err, want)
	}
}

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

const (
	// runTimeout bounds a program that is expected to end by itself. Four long
	// migrations into one server, at the same time, take more than a minute.
	runTimeout = 5 * time.Minute
	// readyTimeout bounds the start of a daemon.
	readyTimeout = 2 * time.Minute
	// Pauses between two looks at a condition grow from the first to the last.
	firstPause = 10 * time.Millisecond
	lastPause  = 300 * time.Millisecond
	// logTail is how many bytes of a log a failed test shows.
	logTail = 6000
)

// A Go program that fails in a way that is never right.
var (
	crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |goroutine \d+ \[).*`)
	race  = regexp.MustCompile(`(?s)WARNING: DATA RACE\n.*?\n==========`)
)

// checkLog fails the test when the program that wrote text has crashed, or has
// a data race. A race of upstream with itself is only told.
func checkLog(t *testing.T, name, text string) {
	t.Helper()
	if found := crash.FindString(text); found != "" {
		t.Errorf("%s has a crash: %s", name, found)
	}
	for _, report := range race.FindAllString(text, -1) {
		if strings.Contains(strings.Join(racers(report), "\n"), "/ipfs-cluster-scylla/") {
			t.Errorf("%s has a data race:\n%s", name, report)
		} else {
			t.Logf("%s has a data race of upstream:\n%s", name, report)
		}
	}
}

// racers returns the functions that made the accesses of a race: of each stack
// the first that is not of the standard library.
func racers(report string) []string {
	accesses, _, _ := strings.Cut(report, "\nGoroutine ") // who started them
	var names []string
	for _, stack := range strings.Split(accesses, " by ")[1:] {
		for line := range strings.Lines(stack) {
			name := strings.TrimSpace(line)
			if domain, _, found := strings.Cut(name, "/"); found && strings.Contains(domain, ".") {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

func TestRacers(t *testing.T) {
	const report = `WARNING: DATA RACE
Write at 0x00c003145528 by goroutine 355:
  runtime.mapassign_faststr()
      /go/src/internal/runtime/maps/runtime_faststr.go:263 +0x0
  github.com/ipfs-cluster/ipfs-cluster/pintracker/optracker.(*OperationTracker).TrackNewOperation()
      /mod/github.com/ipfs-cluster/ipfs-cluster@v1.1.6/pintracker/optracker/operationtracker.go:91 +0x6be
  github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker.(*Tracker).RecoverAll()
      /src/peer/tracker/tracker.go:44 +0xd0

Previous read at 0x00c003145528 by goroutine 301:
  internal/sync.(*HashTrieMap[go.shape.string]).Load()
      /go/src/internal/sync/hashtriemap.go:60 +0x1
  github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus.(*Consensus).act()
      /src/peer/consensus/act.go:18 +0x267

Goroutine 355 (running) created at:
  go.uber.org/fx.New()
==================`
	want := []string{
		"github.com/ipfs-cluster/ipfs-cluster/pintracker/optracker.(*OperationTracker).TrackNewOperation()",
		"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus.(*Consensus).act()",
	}
	if got := racers(report); !slices.Equal(got, want) {
		t.Errorf("the racers are %q, want %q", got, want)
	}
}

// environ is the environment of a child: ours without what would configure
// it, and the given variables.
func environ(home string, vars map[string]string) []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); {
		case strings.HasPrefix(name, "CLUSTER_"), strings.HasPrefix(name, "IPFS_"), strings.HasPrefix(name, "GOLOG_"):
		default:
			env = append(env, kv)
		}
	}
	// A data race is found in the log; it must not change the exit code.
	// Many peers run at once: each tells its metrics on a port that is free.
	env = append(env, "HOME="+home, "IPFS_TELEMETRY=off", "CLUSTER_ADMIN_LISTEN=127.0.0.1:0", "GORACE=exitcode=0 atexit_sleep_ms=0")
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	return env
}

// daemon is a process that runs until a test ends it. It must be used from the
// goroutine of its test.
type daemon struct {
	*child.Process
	log string // the file of stdout and stderr
}

// start starts a daemon, which is killed when the test ends. Its log is shown
// if the test failed.
func start(t *testing.T, log string, cmd *exec.Cmd) *daemon {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{Process: p, log: log}
	t.Cleanup(func() {
		d.Kill()
		text := d.text(t)
		checkLog(t, filepath.Base(log), text)
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(log), tail(text))
		}
	})
	return d
}

// text returns the log so far.
func (d *daemon) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(d.log)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// running fails the test when the daemon has ended.
func (d *daemon) running(t *testing.T) {
	t.Helper()
	select {
	case <-d.Exited():
		t.Fatalf("the process of %s has ended: %v", filepath.Base(d.log), d.Wait())
	default:
	}
}

// interrupt sends sig and returns the exit code, and how long the end took.
func (d *daemon) interrupt(t *testing.T, sig os.Signal) (code int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	if err := d.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.Exited():
	case <-time.After(runTimeout):
		t.Fatalf("the process of %s does not end by %s", filepath.Base(d.log), sig)
	}
	return exitCode(t, d.Wait()), time.Since(begin)
}

func tail(text string) string {
	return text[max(0, len(text)-logTail):]
}

// outcome is what a run of a program left.
type outcome struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// closedTooEarly is how stock's commands on the folder of a stopped crdt peer
// end now and then: it closes the datastore while goroutines of its own still
// read it. What they were asked for is done by then or, being a replacement of
// everything, can be done again.
var closedTooEarly = regexp.MustCompile(`panic: (pebble: closed|element has outstanding references)`)

// run runs a program to its end, and stock again when it closed too early.
func run(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	got := runOnce(t, cmd)
	for try := 1; try < 5 && closedTooEarly.MatchString(got.stderr) && cmd.Path == program(t, stock) && cmd.Stdin == nil; try++ {
		t.Logf("stock ended with %q, again: %s", closedTooEarly.FindString(got.stderr), strings.Join(cmd.Args, " "))
		again := exec.Command(cmd.Path, cmd.Args[1:]...)
		again.Env, again.Dir = cmd.Env, cmd.Dir
		got = runOnce(t, again)
	}
	checkLog(t, filepath.Base(cmd.Path), got.stderr)
	return got
}

func runOnce(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(runTimeout, p.Kill)
	err = p.Wait()
	if !timer.Stop() {
		t.Fatalf("%s did not end within %s; stderr:\n%s", strings.Join(cmd.Args, " "), runTimeout, tail(stderr.String()))
	}
	return outcome{code: exitCode(t, err), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(begin)}
}

// mustRun runs a program that must exit with 0.
func mustRun(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	got := run(t, cmd)
	if got.code != 0 {
		t.Fatalf("%s: exit code %d; stdout:\n%s\nstderr:\n%s", strings.Join(cmd.Args, " "), got.code, tail(got.stdout), tail(got.stderr))
	}
	return got
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// eventually polls until ok returns nil, and fails the test with its last
// error when it does not in time.
func eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	if err := poll(within, ok); err != nil {
		t.Fatalf("%s: not within %s: %v", what, within, err)
	}
}

func poll(within time.Duration, ok func() error) error {
	deadline := time.Now().Add(within)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(pause)
	}
}

// logged returns an error unless the log of d has the pattern n times.
func (d *daemon) logged(t *testing.T, pattern *regexp.Regexp, n int) error {
	d.running(t)
	if found := len(pattern.FindAllStringIndex(d.text(t), -1)); found < n {
		return fmt.Errorf("%s has %d lines like %q, want %d", filepath.Base(d.log), found, pattern, n)
	}
	return nil
}

package child_test

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// shell runs a script that says a line when it is ready, and ends with the test.
func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestOf(t *testing.T) {
	one := shell(t, "sleep 1000 & echo ready; wait")
	pid, err := child.Of(one.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if !child.Runs(pid) {
		t.Errorf("the child %d does not run", pid)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"echo ready; exec sleep 1000": "has 0 children",
		"sleep 1000 & p=$!; sleep 1000 & trap 'kill $p $!; exit' TERM; echo ready; wait": "has 2 children",
	} {
		cmd := shell(t, script)
		if pid, err := child.Of(cmd.Process.Pid); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v, want that it %s", script, pid, err, want)
		}
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		_ = cmd.Wait()
	}
}

// A process that has ended and was not reaped does not run.
func TestRuns(t *testing.T) {
	cmd := shell(t, "echo ready; exec sleep 1000")
	pid := cmd.Process.Pid
	if !child.Runs(pid) {
		t.Error("it does not run")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil { // leaves the zombie
		t.Fatal(err)
	}
	if child.Runs(pid) {
		t.Error("a zombie runs")
	}
	_ = cmd.Wait() // it was killed
	if child.Runs(pid) {
		t.Error("it runs and is gone")
	}
}

package cqltest_test

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// Two processes start servers at once and get different addresses. Then one
// is killed with kill -9: its server dies, the other lives, and the next
// reservation, by whomever, removes the data that was left.
func TestServerDiesWithItsProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), holderEnv+"=1")
	cmd.Stderr = os.Stderr
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = in
	holder, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(holder.Kill)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}

	own := cqltest.StartOwn(t, engine.Options{Nodes: 2, DCs: 2})

	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the other process gave no address: ", err)
	}
	theirs := strings.TrimSpace(line)
	for _, host := range own.Cluster().Hosts() {
		if host == theirs {
			t.Fatalf("two servers at %s", host)
		}
	}
	if !answers(theirs) {
		t.Fatalf("no server at %s", theirs)
	}
	jvm := jvmOf(t, holder.PID())
	left := filepath.Join(dataDir(theirs), "left-"+rand.Text()) // nobody who comes next has this
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	holder.Kill()

	waitFor(t, "the server of the killed process to go", func() bool {
		return !answers(theirs) && !runs(jvm)
	})
	cqltest.Reserve(t, engine.Options{})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data of a dead process is still there: %s (%v)", left, err)
	}

	dcs := map[string]bool{}
	session := own.Session(t)
	for _, query := range []string{"SELECT data_center FROM system.local", "SELECT data_center FROM system.peers"} {
		var dc string
		if err := session.Query(query).Scan(&dc); err != nil {
			t.Fatal("the other server must live on: ", err)
		}
		dcs[dc] = true
	}
	if len(dcs) != 2 {
		t.Errorf("two nodes in datacenters %v, want two datacenters", dcs)
	}
}

// dataDir is where the server at the first address of a block keeps its data.
func dataDir(host string) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("ipfs-cluster-scylla-cql-%d", os.Getuid()), strings.TrimSuffix(host, ".1"))
}

func answers(host string) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, "9042"), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// jvmOf returns the pid of the only child of a process.
func jvmOf(t *testing.T, parent int) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Sscan(string(data), &pid); err == nil {
			return pid
		}
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}

// runs tells whether a process exists and is not a zombie: in a container
// nobody may reap what the killed process left.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("gave up waiting for ", what)
		}
	}
}

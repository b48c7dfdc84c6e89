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
	jvm, err := child.Of(holder.PID())
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dataDir(theirs), "left-"+rand.Text()) // nobody who comes next has this
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	holder.Kill()

	cqltest.WaitFor(t, "the server of the killed process to go", func() bool {
		return !answers(theirs) && !child.Runs(jvm)
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

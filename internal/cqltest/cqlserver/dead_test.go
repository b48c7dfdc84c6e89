package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// TestUpOverDeadServer: a server that was killed is started again with its data,
// with or without the process that holds it. Down says that it deletes them.
func TestUpOverDeadServer(t *testing.T) {
	for name, value := range map[string]string{"CQL_HOSTS": "", "CQL_NODES": "", "CQL_DCS": "", "DEMO_ENGINE": "cassandra"} {
		t.Setenv(name, value)
	}
	t.Chdir(t.TempDir())
	up := func(want string) {
		t.Helper()
		hosts, said, err := outputs(t, "up")
		if err != nil || !strings.HasPrefix(hosts, "CQL_HOSTS=") || !strings.Contains(said, want) {
			t.Fatalf("up printed %q and %q, %v; want it to say %q", hosts, said, err, want)
		}
	}
	up("runs, stop it and delete its data with: make cql-down")
	t.Cleanup(func() {
		if _, said, err := outputs(t, "down"); err != nil || !strings.Contains(said, "deleting its data") {
			t.Errorf("down said %q, %v", said, err)
		}
		if _, err := os.Stat(dataDir()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after down the data: %v", err)
		}
	})
	query(t, "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")

	s := mustRun(t)
	jvm := childOf(t, s.PID)
	kill(t, jvm)
	cqltest.WaitFor(t, "the supervisor to notice", func() bool { return len(mustRun(t).Dead) == 1 })
	for _, args := range [][]string{{"hosts"}, {"query", "SELECT key FROM system.local"}} {
		if _, err := output(t, args...); err == nil || !strings.Contains(err.Error(), "start it again, with its data: make cql-up") {
			t.Errorf("%q of a dead server: %v", args, err)
		}
	}
	up("has died at " + s.Hosts + "; starting it again with its data")
	checkKept(t)
	if again := mustRun(t); again.PID != s.PID || len(again.Dead) > 0 {
		t.Errorf("the state was %+v, it is %+v", *s, *again)
	}

	jvm = childOf(t, s.PID)
	kill(t, s.PID) // the kernel kills the server too
	cqltest.WaitFor(t, "both to go", func() bool {
		_, err := running()
		return errors.Is(err, fs.ErrNotExist) && !child.Runs(jvm)
	})
	t.Setenv("CQL_NODES", "2") // what is there counts
	up("ended without make cql-down; starting it again with its data")
	checkKept(t)
}

// query runs a statement of any kind on the server.
func query(t *testing.T, statement string) string {
	t.Helper()
	t.Setenv("CQL_HOSTS", "")
	out, err := output(t, "query", statement)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CQL_HOSTS", "") // query has set it
	return out
}

func checkKept(t *testing.T) {
	t.Helper()
	out := query(t, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = 'kept'")
	if !strings.Contains(out, "1 rows") {
		t.Errorf("what was written before is gone: %s", out)
	}
}

func mustRun(t *testing.T) *state {
	t.Helper()
	s, err := running()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	jvm, err := child.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	return jvm
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

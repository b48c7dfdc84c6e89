package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// The stock ipfs-cluster-ctl does its work against a peer whose pinset is in
// the database.
func TestCtl(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	k := startKubo(t)
	p := newPeer(t, on(t, server), k, map[string]string{"CLUSTER_PEERNAME": "alice"})
	p.start(t)
	p.waitReady(t)

	// ctl runs a command that must succeed, and checks what it prints.
	ctl := func(want string, args ...string) string {
		t.Helper()
		got := p.ctl(t, args...)
		if got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Fatalf("ipfs-cluster-ctl %s: exit code %d, want 0 and %q in stdout:\n%s\nstderr:\n%s",
				strings.Join(args, " "), got.code, want, got.stdout, got.stderr)
		}
		return strings.TrimSpace(got.stdout)
	}
	pinned := func(cid string) {
		t.Helper()
		eventually(t, time.Minute, "status PINNED", func() error {
			got := p.ctl(t, "status", cid)
			if !strings.Contains(got.stdout, " : PINNED ") {
				return fmt.Errorf("%s%s", got.stdout, got.stderr)
			}
			return nil
		})
		if !k.pinned(t)[cid] {
			t.Errorf("%s has status PINNED and Kubo has not pinned it", cid)
		}
	}

	ctl("| alice | Sees 0 other peers", "id")
	ctl("| alice | Sees 0 other peers", "peers", "ls")
	ctl("1.1.6", "version")
	ctl("digraph cluster", "health", "graph")
	ctl(" | ping: {\"peer_name\":\"alice\"", "health", "metrics", "ping")
	ctl("", "health", "alerts")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("added by TestCtl\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	added := ctl("", "add", "--quieter", "--name", "a file", file)
	pinned(added)
	if text, err := k.post("cat", map[string][]string{"arg": {added}}, "", nil); err != nil || string(text) != "added by TestCtl\n" {
		t.Errorf("ipfs cat gives %q (%v)", text, err)
	}

	blocks := k.addBlocks(t, "TestCtl", 2)
	other, third := blocks[0], blocks[1]
	ctl("", "pin", "add", "--replication", "1", "--name", "a block", other)
	pinned(other)
	ctl("PINNED", "pin", "add", "--wait", "--expire-in", "24h", "--metadata", "key=value", third)
	pinned(third)
	ctl(added+" | a file | PIN | Repl. Factor: -1", "pin", "ls", added)
	ctl(other+" | a block | PIN | Repl. Factor: 1--1", "pin", "ls", other)
	ctl("Metadata: yes | Exp: 20", "pin", "ls", third)
	list := ctl(added, "pin", "ls")
	if n := strings.Count(list, " | PIN | "); n != 3 || !strings.Contains(list, other) {
		t.Errorf("ipfs-cluster-ctl pin ls gives %d pins, want 3:\n%s", n, list)
	}
	if n := strings.Count(ctl(other, "status", "--filter", "pinned"), " : PINNED "); n != 3 {
		t.Errorf("ipfs-cluster-ctl status gives %d pins, want 3", n)
	}
	ctl("", "recover", added)

	for _, cid := range []string{added, other} {
		ctl("", "pin", "rm", cid)
		if got := p.ctl(t, "pin", "ls", cid); got.code == 0 || !strings.Contains(got.stderr+got.stdout, "not part of the pinset") {
			t.Errorf("ipfs-cluster-ctl pin ls of a removed pin: exit code %d, want a failure:\n%s%s", got.code, got.stdout, got.stderr)
		}
		eventually(t, time.Minute, "the removed pin leaves Kubo", func() error {
			if k.pinned(t)[cid] {
				return fmt.Errorf("%s is still pinned", cid)
			}
			return nil
		})
	}
	if got := p.ctl(t, "pin", "rm", other); got.code == 0 {
		t.Errorf("a second ipfs-cluster-ctl pin rm succeeds:\n%s", got.stdout)
	}
	if list := ctl(third, "pin", "ls"); strings.Count(list, " | PIN | ") != 1 {
		t.Errorf("ipfs-cluster-ctl pin ls gives other pins than the one that is left:\n%s", list)
	}
	p.stop(t)
}

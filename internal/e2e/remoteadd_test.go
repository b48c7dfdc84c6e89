package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// TestPinRemoteAdd: the client that Kubo has for pinning services pins at a peer, whose
// Kubo gets the content from its user's, and waits until it is pinned.
func TestPinRemoteAdd(t *testing.T) {
	t.Parallel()
	pins := 20
	if longTests() {
		pins = 100
	} else {
		t.Logf("A SLICE ONLY: %d pins, not 100. TEST_LONG=1 tests the whole.", pins)
	}
	swarm := startSwarm(t, 2)
	user, k := swarm[0], swarm[1]
	p := newPeer(t, on(t, cqltest.Start(t)), k, nil)
	p.start(t)
	p.waitReady(t)
	cids := user.addBlocks(t, "TestPinRemoteAdd", pins)

	mustRun(t, user.command(t, "pin", "remote", "service", "add", "peer", p.pinsvcURL(t), "a key"))
	failed := 0
	for i, cid := range cids {
		name := fmt.Sprint("pin ", i)
		got := run(t, user.command(t, "pin", "remote", "add", "--service=peer", "--name="+name, cid))
		if got.code != 0 || !strings.Contains(got.stdout, cid) || !strings.Contains(got.stdout, "pinned") {
			failed++
			t.Errorf("ipfs pin remote add: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	t.Logf("%d of %d pins failed", failed, pins)
	if err := onlyPinned(k.pinned(t), cids, cids); err != nil {
		t.Errorf("what is said to be pinned is not in Kubo: %s", err)
	}
	list := mustRun(t, user.command(t, "pin", "remote", "ls", "--service=peer", "--name=pin 3"))
	if !strings.Contains(list.stdout, cids[3]) || strings.Count(list.stdout, "\n") != 1 {
		t.Errorf("ipfs pin remote ls shows\n%s", list.stdout)
	}
	mustRun(t, user.command(t, "pin", "remote", "rm", "--service=peer", "--name=pin 3"))
	if list := mustRun(t, user.command(t, "pin", "remote", "ls", "--service=peer", "--status=queued,pinning,pinned,failed")); strings.Contains(list.stdout, cids[3]) || !strings.Contains(list.stdout, cids[4]) {
		t.Errorf("after ipfs pin remote rm, ipfs pin remote ls shows\n%s", list.stdout)
	}
	p.stop(t)
}

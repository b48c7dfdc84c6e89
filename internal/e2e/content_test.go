package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// foreignPin is what a user is told whose own pin is in the way of a direct one.
const foreignPin = "IPFS has a recursive pin of it that this cluster is not known to have made"

// TestContentOfTheUser: what a user has pinned in the Kubo of a peer stays, whatever is
// pinned and unpinned in the cluster. What the cluster has pinned it may replace.
func TestContentOfTheUser(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	k := startKubo(t)
	group := newGroup(t, on(t, server), []*ipfs{k, nil}, nil)
	p, front := group[0], group[1]
	p.start(t)
	p.waitReady(t)
	front.launch(t, front.service(t, nil, "daemon", "--role", "api"))
	front.waitReady(t)
	eventually(t, time.Minute, "the peer for the API knows the other", func() error { return front.canAllocate(ids(t, p)) })
	c := &content{peer: p.peer, kubo: k}

	t.Run("direct over the user's recursive pin", c.directOverUsers)
	t.Run("recursive over the user's recursive pin", c.recursiveOverUsers)
	t.Run("an unpin of what was never pinned", c.neverPinned)
	t.Run("direct over the cluster's recursive pin", func(t *testing.T) { c.directOverOwn(t, front) })
	front.stop(t)
	p.stop(t)
}

// content is a peer and its Kubo, which the user uses as well.
type content struct {
	*peer
	kubo *ipfs
}

// usersFile adds a file of several blocks to Kubo, which pins it.
func (c *content) usersFile(t *testing.T, text string) (cid, content string) {
	t.Helper()
	content = strings.Repeat(text+"\n", 100_000) // more than a block
	return c.kubo.addFile(t, content), content
}

// stays wants Kubo to have the user's pin, and the content after a garbage collection.
func (c *content) stays(t *testing.T, cid, content string) {
	t.Helper()
	if !c.kubo.pinned(t)[cid] {
		t.Errorf("the user's pin of %s is gone", cid)
	}
	if _, err := c.kubo.post("repo/gc", nil, "", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := c.kubo.post("cat", url.Values{"arg": {cid}}, "", nil); err != nil || string(got) != content {
		t.Errorf("the content of %s is gone: %d of %d bytes, %v", cid, len(got), len(content), err)
	}
}

// says waits until ctl shows a status of a CID.
func (c *content) says(t *testing.T, cid string, want ...string) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("the status of %s", cid), func() error {
		got := c.ctl(t, "status", cid)
		for _, text := range want {
			if got.code != 0 || !strings.Contains(got.stdout, text) {
				return fmt.Errorf("exit code %d, want %q in\n%s%s", got.code, text, got.stdout, got.stderr)
			}
		}
		return nil
	})
}

func (c *content) mustCtl(t *testing.T, args ...string) {
	t.Helper()
	if got := c.ctl(t, args...); got.code != 0 {
		t.Fatalf("ipfs-cluster-ctl %s: exit code %d\n%s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
	}
}

func (c *content) directOverUsers(t *testing.T) {
	cid, text := c.usersFile(t, "direct")
	c.mustCtl(t, "pin", "add", "--mode", "direct", cid)
	c.says(t, cid, "PIN_ERROR", foreignPin)
	c.stays(t, cid, text)
	c.mustCtl(t, "recover", cid)
	c.says(t, cid, "PIN_ERROR", foreignPin)
	c.mustCtl(t, "pin", "rm", cid)
	c.says(t, cid, ": UNPINNED")
	c.settled(t, cid)
	c.stays(t, cid, text)
}

// recursiveOverUsers is as with stock: what Kubo has in the mode of the pin becomes the
// cluster's.
func (c *content) recursiveOverUsers(t *testing.T) {
	cid, _ := c.usersFile(t, "recursive")
	c.mustCtl(t, "pin", "add", "--wait", cid)
	c.mustCtl(t, "pin", "rm", cid)
	eventually(t, time.Minute, "the pin leaves Kubo", func() error { return onlyPinned(c.kubo.pinned(t), []string{cid}, nil) })
}

func (c *content) neverPinned(t *testing.T) {
	cid, text := c.usersFile(t, "never pinned")
	if got := c.ctl(t, "pin", "rm", cid); got.code == 0 || !strings.Contains(got.stdout+got.stderr, "not part of the pinset") {
		t.Errorf("pin rm of what was never pinned: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := c.ctl(t, "recover", cid); strings.Contains(got.stdout, "PINNED |") && !strings.Contains(got.stdout, "UNPINNED") {
		t.Errorf("recover of what was never pinned: %s", got.stdout)
	}
	c.settled(t, cid)
	c.stays(t, cid, text)
}

// directOverOwn unpins a recursive pin and pins it directly while the peer that holds it
// stands still: it sees the direct pin only.
func (c *content) directOverOwn(t *testing.T, front *member) {
	cid, _ := c.usersFile(t, "the cluster's")
	c.mustCtl(t, "pin", "add", "--wait", cid)
	if err := c.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := front.unpin(cid); err != nil {
		t.Error(err)
	}
	if got := front.ctl(t, "pin", "add", "--mode", "direct", "--no-status", cid); got.code != 0 {
		t.Errorf("a direct pin: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if err := c.daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "Kubo has the direct pin", func() error { return onlyPinned(c.kubo.pinnedAs(t, "direct"), []string{cid}, []string{cid}) })
	c.says(t, cid, ": PINNED")
	if c.kubo.pinned(t)[cid] {
		t.Error("Kubo has a recursive pin beside the direct one")
	}
	c.mustCtl(t, "pin", "rm", cid)
	eventually(t, time.Minute, "the direct pin leaves Kubo", func() error { return onlyPinned(c.kubo.pinnedAs(t, "direct"), []string{cid}, nil) })
}

// settled waits until the peer has done what it was told of before: a pin that comes
// after that is pinned.
func (c *content) settled(t *testing.T, after string) {
	t.Helper()
	block := c.kubo.addBlocks(t, "after "+after, 1)[0]
	c.mustCtl(t, "pin", "add", "--wait", block)
}

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// A peer keeps nothing but its configuration. When it was down, it knows its
// pins at once, and catches up with what other peers did to the pinset.
func TestStatelessRestart(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	k1, k2 := startKubo(t), startKubo(t)
	p, other := newPeer(t, db, k1, nil), newPeer(t, db, k2, nil)
	p.start(t)
	other.start(t)
	p.waitReady(t)
	other.waitReady(t)

	const n = 30 // of each kind
	k2.addBlocks(t, "TestStatelessRestart", 3*n)
	cids := k1.addBlocks(t, "TestStatelessRestart", 3*n)
	kept, removed, added := cids[:n], cids[n:2*n], cids[2*n:]
	pin := func(through *peer, cids []string) {
		t.Helper()
		for _, cid := range cids {
			if err := through.pin(cid, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	// both waits until both peers have exactly the given CIDs.
	both := func(what string, want []string) {
		t.Helper()
		for i, k := range []*ipfs{k1, k2} {
			eventually(t, time.Minute, fmt.Sprintf("%s, peer %d", what, i), func() error {
				return onlyPinned(k.pinned(t), cids, want)
			})
		}
	}
	pin(p, kept)
	pin(other, removed)
	before := append(append([]string(nil), kept...), removed...)
	both("the first pins", before)

	p.stop(t)
	p.start(t)
	p.waitReady(t)
	// It looks again at the newest changes, which takes a moment.
	eventually(t, 10*time.Second, "status after a restart", p.allPinned)
	if err := onlyPinned(k1.pinned(t), cids, before); err != nil {
		t.Errorf("a restart has changed IPFS: %v", err)
	}

	p.stop(t)
	pin(other, added)
	for _, cid := range removed {
		if err := other.unpin(cid); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing but the feed tells a peer what to unpin.
	if err := onlyPinned(k1.pinned(t), cids, before); err != nil {
		t.Fatalf("a peer that is down has changed IPFS: %v", err)
	}
	p.start(t)
	p.waitReady(t)
	both("what happened while one peer was down", append(append([]string(nil), kept...), added...))
	for _, peer := range []*peer{p, other} {
		eventually(t, time.Minute, "everything has status pinned", peer.allPinned)
		peer.stop(t)
	}
}

// A Kubo hangs when pins and unpins are acknowledged, for longer than a peer
// looks back in its feed when it starts. The peer is killed before Kubo goes
// on. After its next start Kubo has what is in the pinset.
func TestIPFSDown(t *testing.T) {
	t.Parallel()
	const longStop = 18 * time.Second
	k := startKubo(t)
	p := newPeer(t, on(t, cqltest.Start(t)), k, nil)
	p.start(t)
	p.waitReady(t)
	const n = 20 // of each kind
	cids := k.addBlocks(t, "TestIPFSDown", 2*n)
	removed, added := cids[:n], cids[n:]
	for _, cid := range removed {
		if err := p.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the first pins", func() error { return onlyPinned(k.pinned(t), cids, removed) })

	if err := k.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, cid := range removed {
		if err := p.unpin(cid); err != nil {
			t.Error(err)
		}
	}
	// The length of the stop is what is tested. Changes that go on make the
	// peer write its position again and again.
	for _, cid := range added {
		<-time.After(longStop / n)
		if err := p.pin(cid, nil); err != nil {
			t.Error(err)
		}
	}
	p.daemon.Kill()
	if err := k.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	p.waitReady(t)
	eventually(t, time.Minute, "IPFS has what is in the pinset", func() error { return onlyPinned(k.pinned(t), cids, added) })
	p.stop(t)
}

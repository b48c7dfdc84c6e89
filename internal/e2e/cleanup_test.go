package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// The whole pinset is removed beside running peers, which learn of it and unpin
// the content. They go on: a pin that is added later is pinned.
func TestCleanupBesidePeers(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	const n = 20
	peers, kubos, cids := startTwoPeers(t, db, n+1)
	later, cids := cids[n], cids[:n]
	for _, cid := range cids {
		if err := peers[0].pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	// all waits until every Kubo has pinned want and nothing else of the test.
	all := func(what string, want []string) {
		t.Helper()
		for i, k := range kubos {
			eventually(t, time.Minute, fmt.Sprintf("%s, peer %d", what, i), func() error {
				return onlyPinned(k.pinned(t), append(cids, later), want)
			})
		}
	}
	all("the pins are pinned", cids)

	got := mustRun(t, peers[1].service(t, nil, "state", "cleanup", "--keyspace", db.keyspace))
	if want := fmt.Sprintf("%d pins removed", n); !strings.Contains(got.stderr, want) {
		t.Errorf("state cleanup does not say %q: %s", want, got.stderr)
	}
	for i, p := range peers {
		if pins, err := p.allocations(); err != nil || len(pins) != 0 {
			t.Errorf("after state cleanup peer %d lists %d pins (%v), want none", i, len(pins), err)
		}
	}
	all("removed pins leave Kubo", nil)

	if err := peers[1].pin(later, nil); err != nil {
		t.Fatal(err)
	}
	all("a later pin is pinned", []string{later})
	for _, p := range peers {
		eventually(t, time.Minute, "everything has status pinned", p.allPinned)
		p.stop(t)
	}
}

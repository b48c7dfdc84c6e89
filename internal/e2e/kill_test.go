package e2e

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// The peer is killed with kill -9 under a load of pins and unpins, again and
// again. What it has acknowledged holds afterwards, and what it has not
// acknowledged is the same in the pinset and in IPFS.
func TestKill9UnderLoad(t *testing.T) {
	t.Parallel()
	kills, pinsPerRound := 3, int64(150)
	if longTests() {
		kills, pinsPerRound = 10, 500
	} else {
		t.Logf("A SLICE ONLY: %d kills after %d pins each. TEST_LONG=1 tests 10 after 500.", kills, pinsPerRound)
	}
	server := cqltest.Start(t)
	k := startKubo(t)
	p := newPeer(t, on(t, server), k, nil)

	// Every second client has its pins allocated to the peer by name, which
	// concerns another feed than pins everywhere. A round overshoots by what
	// is under way, and clients are not equally fast and do not share CIDs.
	l := newLoad(k.addBlocks(t, "TestKill9UnderLoad", 2*kills*(int(pinsPerRound)+2*clients)),
		url.Values{"replication-min": {"1"}, "replication-max": {"1"}}, url.Values{})
	for round := range kills {
		p.start(t)
		p.waitReady(t)
		want := l.pins.Load() + pinsPerRound
		cut := l.cut.Load()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			l.run(t, &p.rest, 0.2, stop)
		}()
		begin := time.Now()
		err := poll(2*time.Minute, func() error {
			if n := l.pins.Load(); n < want {
				return fmt.Errorf("%d of %d pins are acknowledged", n, want)
			}
			return nil
		})
		took := time.Since(begin)
		p.daemon.Kill()
		close(stop)
		<-done
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		n := l.cut.Load() - cut
		if n == 0 {
			t.Errorf("round %d: no request was under way at the kill", round)
		}
		t.Logf("round %d: kill after %s with %d requests under way", round, took.Round(time.Millisecond), n)
	}
	l.report(t)
	if l.pins.Load() < int64(kills)*pinsPerRound || l.unpins.Load() == 0 {
		t.Error("too few for a test")
	}

	p.start(t)
	p.waitReady(t)
	begin := time.Now()
	state, err := p.allocations()
	if err != nil {
		t.Fatal(err)
	}
	l.checkState(t, state)
	state = l.untilIPFSAgrees(t, p, k)
	l.checkState(t, state)
	eventually(t, time.Minute, "everything has status pinned", p.allPinned)
	t.Logf("all in IPFS %s after the last start", time.Since(begin).Round(time.Millisecond))
	p.stop(t)
}

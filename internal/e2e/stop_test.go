package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

var fenceLine = regexp.MustCompile(`fenced a writer of \S+`)

// A peer is stopped with SIGSTOP in the middle of its writes, for longer than
// every timeout, and goes on with SIGCONT. Another peer of the same pinset does
// not wait for it. Afterwards each request is acknowledged, and both peers act
// on it, or refused, and nothing is left of it.
func TestStoppedWriter(t *testing.T) {
	t.Parallel()
	const own = 10 // pins and unpins of the other peer in each round
	rounds := 3
	if !longTests() {
		rounds = 1
		t.Log("A SLICE ONLY: 1 stop, which takes half a minute. TEST_LONG=1 tests 3.")
	}
	db := on(t, cqltest.Start(t))
	config := map[string]string{"CLUSTER_SCYLLA_REQUESTTIMEOUT": "5s"}
	k1, k2 := startKubo(t), startKubo(t)
	stopped, other := newPeer(t, db, k1, config), newPeer(t, db, k2, config)
	stopped.start(t)
	other.start(t)
	stopped.waitReady(t)
	other.waitReady(t)

	blocks := func(name string, n int) []string {
		k2.addBlocks(t, name, n)
		return k1.addBlocks(t, name, n)
	}
	early, late := blocks("early", rounds*own), blocks("late", rounds*own)
	for _, cid := range early {
		if err := stopped.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	everywhere := url.Values{"replication-min": {"-1"}, "replication-max": {"-1"}}
	l := newLoad(blocks("load", 30*(rounds+1)*clients), everywhere)
	for round := range rounds {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			l.run(t, &stopped.rest, 0.2, stop)
		}()
		resume := stopAmidWrite(t, l, stopped, other)
		close(stop)
		for i := own * round; i < own*(round+1); i++ {
			if err := other.unpin(early[i]); err != nil {
				t.Errorf("unpinning through the other peer: %v", err)
			}
			if err := other.pin(late[i], nil); err != nil {
				t.Errorf("pinning through the other peer: %v", err)
			}
		}
		before := l.pins.Load() + l.unpins.Load()
		resume()
		<-done
		t.Logf("round %d: %d requests were acknowledged after the stop; the other peer has fenced %d writers so far",
			round, l.pins.Load()+l.unpins.Load()-before, other.fences(t))
	}
	l.report(t)
	if n := l.cut.Load(); n > 0 {
		t.Errorf("%d requests got no answer", n)
	}

	state, err := other.allocations()
	if err != nil {
		t.Fatal(err)
	}
	l.checkState(t, state)
	for cid, d := range l.denials() {
		// Who hears that the outcome is unknown was promised nothing.
		if state[cid] != d.unpin && !strings.Contains(d.err.Error(), "outcome of the write is unknown") {
			t.Errorf("%s: in the pinset: %v, and its request (unpin: %v) was refused: %v", cid, state[cid], d.unpin, d.err)
		}
	}
	for _, side := range []struct {
		name string
		p    *peer
		k    *ipfs
	}{{"the stopped peer", stopped, k1}, {"the other peer", other, k2}} {
		t.Log("comparing the pinset with IPFS of ", side.name)
		state = l.untilIPFSAgrees(t, side.p, side.k)
		l.checkState(t, state)
		pins := side.k.pinned(t)
		for i := range late {
			if state[early[i]] || pins[early[i]] || !state[late[i]] || !pins[late[i]] {
				t.Errorf("a write of the other peer has no effect: %s is unpinned (pinset %v, IPFS %v), %s is pinned (%v, %v)",
					early[i], state[early[i]], pins[early[i]], late[i], state[late[i]], pins[late[i]])
			}
		}
		eventually(t, time.Minute, "everything has status pinned", side.p.allPinned)
	}
	stopped.stop(t)
	other.stop(t)
}

// fences counts the writers that this peer has fenced.
func (p *peer) fences(t *testing.T) int {
	return len(fenceLine.FindAllString(p.daemon.text(t), -1))
}

// stopAmidWrite stops a peer under load when a write of it is between its
// intents and its CAS, which shows when the other peer fences it. resume lets
// it go on, when it has been stopped for longer than every timeout.
func stopAmidWrite(t *testing.T, l *load, stopped, other *peer) (resume func()) {
	t.Helper()
	const (
		pins  = 100 // between two stops
		tries = 8
		// A change is fenced when it was pending for 11.2 s.
		fenceWithin = 16 * time.Second
		// All of these have passed: the timeout of a request, its
		// repetitions, and the write deadline of 10 s.
		longStop = 18 * time.Second
	)
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := stopped.daemon.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	for try := 1; ; try++ {
		want := l.pins.Load() + pins
		eventually(t, 2*time.Minute, "the load goes on", func() error {
			if n := l.pins.Load(); n < want {
				return fmt.Errorf("%d of %d pins are acknowledged", n, want)
			}
			return nil
		})
		fences := other.fences(t)
		begin := time.Now()
		signal(syscall.SIGSTOP)
		err := poll(fenceWithin, func() error {
			if other.fences(t) == fences {
				return errors.New("no write was stopped between its intents and its CAS")
			}
			return nil
		})
		if err != nil && try < tries {
			signal(syscall.SIGCONT)
			continue
		}
		if err != nil {
			t.Errorf("stopped %d times: %v", try, err)
		}
		return func() {
			<-time.After(longStop - time.Since(begin)) // the length of the stop is what is tested
			signal(syscall.SIGCONT)
		}
	}
}

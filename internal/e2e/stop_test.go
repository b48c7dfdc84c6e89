package e2e

import (
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
	const (
		timeout     = 2 * time.Second
		minRounds   = 2
		maxRounds   = 8
		perRound    = 100
		perRoundAll = 10 * clients
	)
	db := on(t, cqltest.Start(t))
	config := map[string]string{
		"CLUSTER_SCYLLA_REQUESTTIMEOUT": timeout.String(),
		"CLUSTER_SCYLLA_WRITEDEADLINE":  timeout.String(),
	}
	k1, k2 := startKubo(t), startKubo(t)
	stopped := newPeer(t, db, k1, config)
	stopped.start(t)
	other := newPeer(t, db, k2, config)
	other.start(t)
	stopped.waitReady(t)
	other.waitReady(t)

	blocks := func(name string, n int) []string {
		k2.addBlocks(t, name, n)
		return k1.addBlocks(t, name, n)
	}
	early, late := blocks("early", minRounds*10), blocks("late", minRounds*10)
	for _, cid := range early {
		if err := stopped.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	everywhere := url.Values{"replication-min": {"-1"}, "replication-max": {"-1"}}
	l := newLoad(blocks("load", maxRounds*perRoundAll), everywhere)

	fences := func() int { return len(fenceLine.FindAllString(other.daemon.text(t), -1)) }
	round := 0
	for ; round < minRounds || fences() == 0; round++ {
		if round == maxRounds {
			t.Fatalf("no writer was stopped between intents and CAS in %d rounds", round)
		}
		want := l.pins.Load() + perRound
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			l.run(t, &stopped.rest, 0.2, stop)
		}()
		err := poll(time.Minute, func() error {
			if n := l.pins.Load(); n < want {
				return fmt.Errorf("%d of %d pins are acknowledged", n, want)
			}
			return nil
		})
		if err == nil {
			err = stopped.daemon.Signal(syscall.SIGSTOP)
		}
		close(stop)
		if err != nil {
			t.Fatal(err)
		}
		// This long a stop is what is tested: the request, its repetitions
		// and the deadline of the append have all run out, and the other peer
		// has given up waiting for the writer.
		pause := time.After(4 * timeout)
		if round < minRounds {
			for i := 10 * round; i < 10*(round+1); i++ {
				if err := other.unpin(early[i]); err != nil {
					t.Errorf("unpinning through the other peer: %v", err)
				}
				if err := other.pin(late[i], nil); err != nil {
					t.Errorf("pinning through the other peer: %v", err)
				}
			}
		}
		<-pause
		before := l.pins.Load() + l.unpins.Load()
		if err := stopped.daemon.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		<-done
		t.Logf("round %d: %d requests were acknowledged after the stop; the other peer has fenced %d writers so far",
			round, l.pins.Load()+l.unpins.Load()-before, fences())
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
	for i := range late {
		if state[early[i]] || !state[late[i]] {
			t.Errorf("of the writes of the other peer, the unpin (%v) or the pin (%v) has no effect", state[early[i]], state[late[i]])
		}
	}
	for _, side := range []struct {
		name string
		p    *peer
		k    *ipfs
	}{{"the stopped peer", stopped, k1}, {"the other peer", other, k2}} {
		eventually(t, 2*time.Minute, "IPFS of "+side.name+" has what is in the pinset", func() error {
			if state, err = side.p.allocations(); err != nil {
				return err
			}
			pins := side.k.pinned(t)
			for i := range late {
				if pins[early[i]] || !pins[late[i]] {
					return fmt.Errorf("IPFS has the unpinned %s (%v) or lacks %s", early[i], pins[early[i]], late[i])
				}
			}
			return l.agree(state, pins)
		})
		eventually(t, time.Minute, "everything has status pinned", side.p.allPinned)
	}
	l.checkState(t, state)
	stopped.stop(t)
	other.stop(t)
}

package scyllastate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// manyPeers are peers of a test.
func manyPeers(n int) []peer.ID {
	peers := make([]peer.ID, n)
	for i := range peers {
		peers[i] = statetest.Peer(fmt.Sprint("reader ", i))
	}
	return peers
}

// TestTurns: holders of a pin have one turn each, in another order for each CID, and the
// last ones share theirs. Who does not hold it comes after them. Few of those who read of
// pins that every peer holds come first, however many they are.
func TestTurns(t *testing.T) {
	const pins = 100
	peers := manyPeers(20)
	first := make(map[string]int)
	for i := range pins {
		pin := held(fmt.Sprint(i), peers[:3]...)
		var turns []int
		for _, p := range peers[:3] {
			turn := turnOf(pin.Cid, &pin, p.String())
			turns = append(turns, turn)
			if turn == 0 {
				first[p.String()]++
			}
		}
		if slices.Sort(turns); !slices.Equal(turns, []int{0, 1, 2}) {
			t.Fatalf("the turns of three are %v", turns)
		}
		if turn := turnOf(pin.Cid, &pin, peers[3].String()); turn != 3 {
			t.Fatalf("the turn of one that does not hold the pin is %d", turn)
		}
		if turn := turnOf(pin.Cid, nil, peers[3].String()); turn != 0 {
			t.Fatalf("the turn where there is no pin is %d", turn)
		}
	}
	for p, n := range first {
		if len(first) != 3 || n < pins/6 {
			t.Errorf("%s has the first turn for %d of %d pins (%v)", p, n, pins, first)
		}
	}
	pin, perTurn := held("a", peers...), make([]int, lastTurn+1)
	for _, p := range peers {
		perTurn[turnOf(pin.Cid, &pin, p.String())]++
	}
	if !slices.Equal(perTurn, []int{1, 1, 1, 1, 1, 1, 1, 13}) {
		t.Errorf("of 20 holders %v have each turn", perTurn)
	}
	pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	perTurn = make([]int, lastOfAll+1)
	many := manyPeers(1000)
	for _, p := range many {
		perTurn[turnOf(pin.Cid, &pin, p.String())]++
	}
	for turn, n := range perTurn {
		want := []float64{2, 14, 109, 875}[turn]
		if math.Abs(float64(n)-want) > 4*math.Sqrt(want) {
			t.Errorf("%d of %d have turn %d, want some %.0f (%v)", n, len(many), turn, want, perTurn)
		}
	}
}

// TestOneHolderFences: a writer of a pin with 20 holders has died, all of them see that
// within a second, and the database takes a second for each request. One of them fences as a
// rule, with a row for each holder, where 400 rows were written. Where those with the first
// turns are gone the next ones do.
func TestOneHolderFences(t *testing.T) {
	for _, gone := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			peers := manyPeers(20)
			r := newFeedRig(t, func(*feedRig, state.Change) error { return nil }, holders, func(r *feedRig) { r.feed.name = "nobody's" })
			pin := r.pinned("a", peers...) // and one that does not read
			r.mu.Lock()
			r.slow = time.Second
			key := pin.Cid.KeyString()
			was := r.pins[key].rev
			r.mu.Unlock()
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			for _, p := range peers {
				if turnOf(pin.Cid, &pin, p.String()) < gone {
					continue
				}
				s := &Store{tables: r, lim: r.store.lim, now: r.store.now, random: r.store.random, goLive: r.store.goLive, at: r.store.at, clock: r.store.clock, intents: r.store.intents}
				var err error
				s.deadlines, err = newDeadlines(s.lim)
				must(t, err)
				feed := &Feed{store: s, name: p.String(), now: time.Now, position: time.Now(), follows: true}
				running.Go(func() { _ = feed.Consume(ctx, func(context.Context, state.Change) error { return nil }) })
			}
			time.Sleep(time.Second)
			begun := time.Now()
			for i, p := range peers {
				r.pendingAt(p.String(), "a")
				time.Sleep(time.Duration(i%2) * 100 * time.Millisecond)
			}
			time.Sleep(2 * r.store.lim.window())
			r.mu.Lock()
			defer r.mu.Unlock()
			told := 0
			for _, rows := range r.rows {
				for _, row := range rows {
					if row.kind == kindFence {
						told++
					}
				}
			}
			if all := len(peers) + 1; told < all || told > 2*all {
				t.Errorf("%d are gone: fences were announced by %d rows to %d holders", gone, told, all)
			}
			if len(r.fenced) != 1 || r.pins[key].prev != was {
				t.Fatalf("%d are gone: fenced at %v", gone, r.fenced)
			}
			wait := r.store.lim.window()
			if took := r.fenced[0].Sub(begun); took < wait || took > wait+time.Duration(gone+1)*wait/turnsPerWait+5*time.Second {
				t.Errorf("%d are gone: it was fenced after %s", gone, took)
			}
		})
	}
}

package multipeer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// stress is how much TestStress does.
type stress struct {
	peers, clients, cids, kills int
	during                      time.Duration
}

// TestStress: clients pin, change and unpin at random while peers are killed and
// started again. In the end the pinset, the placements and what IPFS holds are
// the same.
func TestStress(t *testing.T) {
	s := stress{peers: 4, clients: 3, cids: 40, kills: 2, during: 20 * time.Second}
	if long(t, "4 peers, 3 clients, 40 CIDs and 2 kills in 20 s, not 16 peers, 8 clients and 500 CIDs for 5 minutes") {
		s = stress{peers: 16, clients: 8, cids: 500, kills: 10, during: 5 * time.Minute}
	}
	w := newWorld(t)
	w.recover = time.Minute
	w.start(w.newNodes(s.peers)...)
	w.repin.Store(true)

	ctx, stop := context.WithTimeout(t.Context(), s.during)
	defer stop()
	counts := make([]opCounts, s.clients)
	var clients sync.WaitGroup
	for i := range s.clients {
		seed := rand.Uint64()
		t.Logf("client %d has seed %d", i, seed)
		clients.Go(func() {
			c := client{w: w, random: rand.New(rand.NewPCG(seed, 0)), cids: s.cids, counts: &counts[i]}
			for ctx.Err() == nil {
				c.step(ctx)
			}
		})
	}
	pause := s.during / time.Duration(2*s.kills+1)
	for range s.kills {
		victim := w.nodes[rand.IntN(len(w.nodes))]
		wait(ctx, pause)
		victim.kill()
		t.Logf("killed %s", victim.name)
		wait(ctx, pause)
		must(t, victim.start(false))
	}
	clients.Wait()
	var sum opCounts
	for _, c := range counts {
		sum.pins, sum.unpins, sum.refused = sum.pins+c.pins, sum.unpins+c.unpins, sum.refused+c.refused
	}
	t.Logf("%d pins, %d unpins, %d refused; %d pins are left", sum.pins, sum.unpins, sum.refused, len(w.desired()))
	if sum.pins == 0 || sum.unpins == 0 {
		t.Error("the clients did nothing")
	}
	w.meet()
	w.converge()
}

// wait pauses unless ctx ends before.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

type opCounts struct{ pins, unpins, refused int }

// client does at random what users do.
type client struct {
	w      *world
	random *rand.Rand
	cids   int
	counts *opCounts
}

func (c *client) step(ctx context.Context) {
	running := c.w.processes()
	by := running[c.random.IntN(len(running))] // it may be killed in the middle
	id := cidOf(c.w.t, fmt.Sprintf("stress %d", c.random.IntN(c.cids)))
	kind := c.random.IntN(10)
	if kind < 3 {
		_, err := by.cluster.Unpin(ctx, id)
		c.note(err, &c.counts.unpins)
		return
	}
	pin := api.PinWithOpts(id, factors(1, 1+c.random.IntN(3)))
	switch kind {
	case 3:
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	case 4, 5: // as an adder does, also on peers that are dead
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = 1, 2
		pin.Allocations = ids(c.some(2)...)
	case 6:
		pin.UserAllocations = ids(c.some(1)...)
	case 7:
		pin.PinUpdate = cidOf(c.w.t, fmt.Sprintf("stress %d", c.random.IntN(c.cids)))
	}
	pin.Name = fmt.Sprint(c.random.Int())
	var stored api.Pin
	c.note(by.client.CallContext(ctx, "", "Cluster", "Pin", pin, &stored), &c.counts.pins)
}

// some are different nodes.
func (c *client) some(n int) []*node {
	nodes := slices.Clone(c.w.nodes)
	c.random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes[:n]
}

func (c *client) note(err error, done *int) {
	if err != nil {
		c.counts.refused++ // not pinned, or too few peers for it
		return
	}
	*done++
}

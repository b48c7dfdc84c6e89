package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The settings of the simulated peers. The hour of the stop rule is shortened, and
// with it all that goes with it.
const (
	simHour     = 10 * time.Minute
	simNote     = simHour / 12
	simInterval = 15 * time.Second
	simRecheck  = 2 * simInterval
)

var (
	errSimFault = errors.New("the simulated database does not answer")
	errSimDead  = errors.New("the simulated process is dead")
)

// simProcess is a process that runs as a peer: the real Monitor, Tracker and
// Reconciler, put together as package peer does.
type simProcess struct {
	s      *sim
	node   *simNode
	name   string
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	calls   map[string]int
	monitor *membership.Monitor // nil until it has the identity
	loops   *Reconciler
	// began is when it had the identity.
	began time.Time
}

// start lets a process run as the peer of a node. The caller holds the lock.
func (s *sim) start(n *simNode, rejoin bool) {
	n.starts++
	ctx, cancel := context.WithCancel(context.Background())
	p := &simProcess{s: s, node: n, name: fmt.Sprintf("%s#%d", string(n.id), n.starts), ctx: ctx, cancel: cancel, calls: map[string]int{}}
	s.accrue()
	n.process = p
	s.note("%s starts (called back: %t)", p.name, rejoin)
	s.running.Go(func() { p.run(rejoin) })
}

// kill ends the process of a node, if there is one: nothing that it does from then on
// has an effect. The caller holds the lock.
func (s *sim) kill(n *simNode) {
	if n.process == nil {
		return
	}
	s.accrue()
	s.note("%s dies", n.process.name)
	s.tally["deaths"]++
	n.process.cancel()
	n.process = nil
}

// dead reports whether the process was killed.
func (p *simProcess) dead() bool { return p.ctx.Err() != nil }

func (p *simProcess) run(rejoin bool) {
	monitor, err := membership.Claim(p.ctx, membership.Options{
		Members: simMembers{p}, ID: p.node.id, Name: string(p.node.id), Instance: string(p.node.id),
		Interval: simInterval, LastBeatEvery: simNote, Rejoin: rejoin, HandOver: func() bool { return true },
	})
	if err != nil {
		p.s.with(func() {
			if p.node.process == p {
				p.s.kill(p.node)
			}
		})
		return
	}
	pins := tracker.New(tracker.Options{
		Self: p.node.id, Name: string(p.node.id), Store: simStore{p.s.store, nil, p}, Daemon: simDaemon{p}, Every: 30 * time.Second,
		Config: tracker.Config{MaxPinQueueSize: 1000, ConcurrentPins: 4, PriorityPinMaxAge: time.Hour, PriorityPinMaxRetries: 5},
		Live: func(id peer.ID) bool {
			member, ok := monitor.View().Get(id)
			return ok && member.Live && !member.Removed
		},
		Confirmed: func(ctx context.Context, pin api.Pin, rev state.Revision) { p.reconciler().Confirmed(ctx, pin, rev) },
	})
	loops := New(Options{
		Self: p.node.id, Store: simStore{p.s.store, nil, p}, View: monitor.View, Metrics: p.metrics, Allocator: simAllocator{p},
		RecheckInterval: simRecheck, StopFor: simHour, Settle: 2 * membership.TTL(simInterval), Finish: monitor.Finish,
	})
	p.mu.Lock()
	p.monitor, p.loops, p.began = monitor, loops, time.Now()
	p.mu.Unlock()
	monitor.Start(nil)
	pins.SetClient(nil)
	var running sync.WaitGroup
	running.Go(func() { pins.Run(p.ctx) })
	running.Go(func() { p.consume(pins.Act) })
	running.Go(p.watch)
	p.runLoops(&running)
	<-p.ctx.Done()
	_ = pins.Shutdown(context.Background())
	_ = monitor.Shutdown(context.Background())
	running.Wait()
}

// runLoops is Run, without the loops for pins that run out, of which there are none here,
// and without the pace of the scrub: see scrub.
func (p *simProcess) runLoops(running *sync.WaitGroup) {
	r := p.loops
	running.Go(func() { r.repeat(p.ctx, &complaint{}, simRecheck, newRepin(r).pass) })
	running.Go(func() { newSuccessor(r).run(p.ctx) })
	running.Go(func() { r.repeat(p.ctx, &complaint{}, simRecheck, newDrain(r).pass) })
}

// watch ends the process when it was removed, as upstream does.
func (p *simProcess) watch() {
	for wait(p.ctx, simInterval/2) == nil {
		ids, err := p.monitor.Peers(p.ctx)
		if err != nil || slices.Contains(ids, p.node.id) {
			continue
		}
		p.s.with(func() {
			if p.node.process == p {
				p.s.kill(p.node)
			}
		})
	}
}

// scrub looks at all pins and placements, wherever they are. The pieces and buckets that
// are empty are left out.
func (p *simProcess) scrub(cids []api.Cid) {
	r := p.reconciler()
	if r == nil {
		return
	}
	for _, c := range cids {
		_, _, _ = r.scrubPiece(p.ctx, hashOf(c, scrubPieces), api.CidUndef)
		_, _ = r.scrubStrays(p.ctx, hashOf(c, state.Buckets))
	}
}

// reconciler is nil until the process has the identity.
func (p *simProcess) reconciler() *Reconciler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loops
}

// members is the Monitor, nil until the process has the identity.
func (p *simProcess) members() *membership.Monitor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.monitor
}

// metrics are those of the peers that may be given pins.
func (p *simProcess) metrics(_ context.Context, name string) []api.Metric {
	var all []api.Metric
	for _, id := range p.members().View().Live() {
		all = append(all, api.Metric{Name: name, Peer: id, Valid: true})
	}
	return all
}

// simAllocator takes the candidates in any order.
type simAllocator struct{ p *simProcess }

func (simAllocator) Metrics() []string { return []string{"disk"} }

func (a simAllocator) Allocate(_ context.Context, c api.Cid, _, candidates, _ api.MetricsSet) ([]peer.ID, error) {
	var ids []peer.ID
	for _, m := range candidates["disk"] {
		ids = append(ids, m.Peer)
	}
	slices.Sort(ids)
	d := a.p.draw("allocate " + a.p.s.nameOf(c))
	d.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids, nil
}

// draw gives the chances of one request. They follow from what it is, and how often it
// was made, not from what other goroutines draw.
func (p *simProcess) draw(what string) *rand.Rand {
	p.mu.Lock()
	p.calls[what]++
	n := p.calls[what]
	p.mu.Unlock()
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %s %d", p.name, what, n)
	return rand.New(rand.NewPCG(p.s.seed, h.Sum64()))
}

// request lets the process do something elsewhere, which takes its time, to the
// nanosecond, and may fail before and after.
func (p *simProcess) request(ctx context.Context, what string, do func()) error {
	d := p.draw(what)
	longest := 20 * time.Millisecond
	if d.IntN(100) == 0 {
		longest = 2 * time.Second
	}
	if err := p.pause(ctx, between(d, time.Millisecond, longest)); err != nil {
		return err
	}
	if d.IntN(1000) < int(p.s.faults.Load()) {
		return errSimFault
	}
	do()
	if err := p.pause(ctx, between(d, time.Millisecond, longest)); err != nil {
		return err
	}
	if d.IntN(1000) < int(p.s.faults.Load()) {
		return errSimFault
	}
	return nil
}

// pause waits, unless the request or the process ends before.
func (p *simProcess) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ctx.Done():
		return errSimDead
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if p.dead() { // in the same instant
		return errSimDead
	}
	return nil
}

// between is a time of at least lo and below hi.
func between(d *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.Int64N(int64(hi-lo)))
}

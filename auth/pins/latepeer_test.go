package pins

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// errLost is the answer of a lateFakePeer that is lost.
var errLost = errors.New("no answer in time")

// lateFakePeer is a cluster in memory, which delays, fails, and does late what it has
// answered with an error. Zero odds make it a good one. It is safe for concurrent use.
type lateFakePeer struct {
	// fail and late are the odds, in a hundred, that an answer is lost: what was asked is
	// then not done, or done within delay after the answer.
	fail, late int
	delay      time.Duration
	most       int            // peers, 0 for any number: a pin for more is refused
	running    sync.WaitGroup // what is done late

	mu       sync.Mutex
	pins     map[string]fakePin
	unpinned map[string]int // how often
	pinned   map[string]int
	asked    int // for statuses
}

type fakePin struct {
	PeerPin
	ours   bool
	status Status
	size   int64
}

func newLateFakePeer() *lateFakePeer {
	return &lateFakePeer{pins: make(map[string]fakePin), unpinned: make(map[string]int), pinned: make(map[string]int)}
}

// do does something, or not, or late.
func (p *lateFakePeer) do(ctx context.Context, what func()) error {
	if p.delay > 0 {
		time.Sleep(rand.N(p.delay)) // a slow peer, not synchronisation
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	locked := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		what()
	}
	switch dice := rand.IntN(100); {
	case dice < p.fail:
		return errLost
	case dice < p.fail+p.late:
		p.running.Go(func() {
			time.Sleep(rand.N(p.delay))
			locked()
		})
		return errLost
	}
	locked()
	return nil
}

func (p *lateFakePeer) Pin(ctx context.Context, pin PeerPin) error {
	if p.most > 0 && pin.ReplMin > p.most {
		return fmt.Errorf("%w: there are %d peers", ErrRefused, p.most)
	}
	return p.do(ctx, func() {
		p.pinned[pin.CID]++
		p.pins[pin.CID] = fakePin{PeerPin: pin, ours: true, status: Pinned, size: 10}
	})
}

func (p *lateFakePeer) Unpin(ctx context.Context, cid string) error {
	return p.do(ctx, func() {
		p.unpinned[cid]++
		if p.pins[cid].ours {
			delete(p.pins, cid)
		}
	})
}

func (p *lateFakePeer) Status(ctx context.Context, cids []string) ([]PeerStatus, error) {
	if p.fail > 0 && rand.IntN(100) < p.fail {
		return nil, errLost
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	out := make([]PeerStatus, len(cids))
	for i, cid := range cids {
		pin, ok := p.pins[cid]
		out[i] = PeerStatus{CID: cid, Present: ok, Ours: pin.ours, Status: pin.status, Size: pin.size,
			ReplMin: pin.ReplMin, ReplMax: pin.ReplMax, Delegates: []string{"/ip4/192.0.2.1/tcp/4001"}}
	}
	return out, ctx.Err()
}

// has returns whether there is a pin of the CID.
func (p *lateFakePeer) has(cid string) (fakePin, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, ok := p.pins[cid]
	return pin, ok
}

// set makes a pin as if somebody else had.
func (p *lateFakePeer) set(cid string, pin fakePin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pins[cid] = pin
}

// remove removes a pin as if somebody else had.
func (p *lateFakePeer) remove(cid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pins, cid)
}

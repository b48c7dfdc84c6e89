package sli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// maxAccepted bounds the pins that are remembered: what was accepted in the last
	// minutes. Each takes some 300 bytes.
	maxAccepted = 1 << 17
	// thawIn is how long an Acceptor waits that cannot tell who is alive.
	thawIn = time.Second
)

// Store is what an Acceptor reads, of pins that a dead peer is to hold.
type Store interface {
	// GetVersion is that of state.Conditional.
	GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error)
	// GetPlacement is that of state.Placements.
	GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error)
}

// AcceptorOptions are what an Acceptor works with. All are needed.
type AcceptorOptions struct {
	Metrics *Metrics
	Store   Store
	// View says who is alive, from memory.
	View func() membership.View
	// TTL is how long after its last heartbeat a peer is taken for alive.
	TTL time.Duration
}

// Acceptor counts for holders that are dead when the deadline of a pin is over. It is in the
// peer that has accepted the pin, and remembers it until then, and for two TTL more: only then it
// is known who was alive. Of holders that are alive it reads nothing, nor of any before the deadline.
//
// A holder that dies or starts about the deadline may count, too. It is safe for concurrent use. A nil
// *Acceptor does nothing.
type Acceptor struct {
	opts AcceptorOptions

	mu sync.Mutex
	// first are looked at when their deadline is over, again those of which a holder was
	// taken for alive then, two TTL later.
	first, again waiting
	added        chan struct{} // has a value when the first one has come
}

// accepted is a pin that was accepted.
type accepted struct {
	cid        api.Cid
	rev        state.Revision
	at         time.Time
	holders    []peer.ID // never changed
	everywhere bool      // all are holders
	done       []peer.ID // of which it is known what became of the pin
}

// NewAcceptor returns nil, which does nothing, if there are no metrics.
func NewAcceptor(opts AcceptorOptions) *Acceptor {
	if opts.Metrics == nil {
		return nil
	}
	return &Acceptor{opts: opts, added: make(chan struct{}, 1)}
}

// Accepted tells that this peer has accepted a pin in a revision. It does not wait.
func (a *Acceptor) Accepted(pin api.Pin, rev state.Revision) {
	if a == nil || pin.Type == api.MetaType {
		return
	}
	at, ok := acceptedAt(rev)
	if !ok {
		return
	}
	view, everywhere := a.opts.View(), pin.IsPinEverywhere()
	if !everywhere && !slices.ContainsFunc(pin.Allocations, func(p peer.ID) bool { return p != view.Self }) {
		return // who accepts it holds it
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first.len()+a.again.len() >= maxAccepted {
		a.opts.Metrics.forgottenPins.Inc()
		return
	}
	a.first.add(accepted{cid: pin.Cid, rev: rev, at: at, holders: pin.Allocations, everywhere: everywhere})
	if a.first.len() == 1 {
		signal(a.added)
	}
}

// Run counts until ctx ends.
func (a *Acceptor) Run(ctx context.Context) {
	if a == nil {
		return
	}
	pause := readAgain
	for {
		pin, second, wait := a.due()
		if wait > 0 {
			if !sleep(ctx, wait, a.added) {
				return
			}
			continue
		}
		view := a.opts.View()
		if view.Frozen {
			if !sleep(ctx, thawIn, nil) {
				return
			}
			continue
		}
		left, err := a.judge(ctx, &pin, view, second)
		if err != nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("counting for holders that are dead, next try in %s: %s", pause, err)
			a.keep(pin, second)
			if !sleep(ctx, pause, nil) {
				return
			}
			pause = min(2*pause, lastReadAgain)
			continue
		}
		pause = readAgain
		a.drop(pin, second, left)
	}
}

// due returns the pin that is to be looked at now, and whether it is for the second time, or
// how long there is none.
func (a *Acceptor) due() (pin accepted, second bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = time.Hour
	for i, q := range []*waiting{&a.again, &a.first} {
		if q.len() == 0 {
			continue
		}
		pin, second = *q.head(), i == 0
		until := time.Until(a.lookAt(pin, second))
		if until <= 0 {
			return pin, second, 0
		}
		wait = min(wait, until)
	}
	return accepted{}, false, wait
}

func (a *Acceptor) lookAt(pin accepted, second bool) time.Time {
	at := pin.at.Add(Deadline)
	if second {
		at = at.Add(2 * a.opts.TTL)
	}
	return at
}

// keep notes what was found of a pin before an error.
func (a *Acceptor) keep(pin accepted, second bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.queue(second).head() = pin
}

// drop takes out a pin that was looked at, and keeps it for the second time if there is
// more to find.
func (a *Acceptor) drop(pin accepted, second, left bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue(second).drop()
	if left {
		a.again.add(pin)
	}
}

func (a *Acceptor) queue(second bool) *waiting {
	if second {
		return &a.again
	}
	return &a.first
}

// judge counts for the holders of a pin that are dead, and reports whether there are others
// that may turn out to be: a dead peer is taken for alive for a TTL.
func (a *Acceptor) judge(ctx context.Context, pin *accepted, view membership.View, second bool) (left bool, err error) {
	dead, alive := a.suspects(*pin, view, second)
	if len(dead) == 0 {
		return alive && !second, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readIn)
	defer cancel()
	_, rev, err := a.opts.Store.GetVersion(ctx, pin.cid)
	if err != nil && !errors.Is(err, state.ErrCorrupt) {
		return true, fmt.Errorf("reading the pin of %s: %w", pin.cid, err)
	}
	replaced := rev != pin.rev && wasBefore(rev, pin.at.Add(Deadline))
	for _, p := range dead {
		if replaced {
			a.opts.Metrics.count(cancelled, available, "")
		} else if err := a.look(ctx, *pin, p); err != nil {
			return true, err
		}
		pin.done = append(pin.done, p)
	}
	return alive && !second, nil
}

// wasBefore reports whether a revision is of before a time. That of a CID that the pinset
// has forgotten is of any.
func wasBefore(rev state.Revision, t time.Time) bool {
	at, _ := acceptedAt(rev)
	return at.Before(t)
}

// look counts for one holder, unless it had the pin before it died.
func (a *Acceptor) look(ctx context.Context, pin accepted, p peer.ID) error {
	row, there, err := a.opts.Store.GetPlacement(ctx, p, pin.cid)
	if err != nil {
		return fmt.Errorf("finding whether %s has %s: %w", p, pin.cid, err)
	}
	of := there && row.Rev == pin.rev
	switch {
	case of && row.Status == state.PlacementPinned:
	case of && unprovided(row.Error):
		a.opts.Metrics.count(late, noProviders, "")
	default:
		a.opts.Metrics.count(late, available, "")
	}
	return nil
}

// suspects are the holders of which nothing is known so far and that were dead at the
// deadline, and whether others are alive. For the second time a dead one was dead then if
// it was not heard of since: else it has counted for itself.
func (a *Acceptor) suspects(pin accepted, view membership.View, second bool) (dead []peer.ID, alive bool) {
	counted := pin.at.Add(Deadline + a.opts.TTL/2) // its last heartbeat may be older than it looks
	for _, p := range a.holders(pin, view) {
		member, known := view.Get(p)
		switch {
		case p == view.Self || slices.Contains(pin.done, p):
		case known && member.Live && !member.Removed:
			alive = true
		case second && member.Heard.After(counted):
		default:
			dead = append(dead, p)
		}
	}
	return dead, alive
}

// holders of a pin that every peer holds are those that are peers now.
func (a *Acceptor) holders(pin accepted, view membership.View) []peer.ID {
	if !pin.everywhere {
		return pin.holders
	}
	var holders []peer.ID
	for _, p := range view.Peers {
		if p.Holds() && !p.Removed {
			holders = append(holders, p.ID)
		}
	}
	return holders
}

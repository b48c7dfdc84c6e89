package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// simKubo is the IPFS daemon of a node, and its disk. The lock of the simulation guards
// it.
type simKubo struct {
	down bool
	// has are the blocks on the disk, pinned what it pins of them.
	has, pinned map[api.Cid]bool
}

var (
	errSimKubo    = errors.New("the simulated IPFS daemon does not answer")
	errSimContent = errors.New("nobody sends the content")
)

// gc removes what is not pinned.
func (k *simKubo) gc() {
	for c := range k.has {
		if !k.pinned[c] {
			delete(k.has, c)
		}
	}
}

// simDaemon is the daemon of its node as a process reaches it.
type simDaemon struct{ p *simProcess }

func (d simDaemon) PinLsCid(ctx context.Context, pin api.Pin) (status api.IPFSPinStatus, err error) {
	fault := d.ask(ctx, "ls", pin.Cid, func(k *simKubo) {
		status = api.IPFSPinStatusUnpinned
		if k.pinned[pin.Cid] {
			status = api.IPFSPinStatusRecursive
		}
	})
	if fault != nil {
		return api.IPFSPinStatusError, fault
	}
	return status, nil
}

func (d simDaemon) PinLs(ctx context.Context, _ []string, out chan<- api.IPFSPinInfo) error {
	defer close(out)
	return d.ask(ctx, "ls", api.CidUndef, func(*simKubo) {}) // only the metrics look at it
}

// Pin gets what the daemon lacks from any other that is up and has it, and gives up
// after a while, as upstream's connector does.
func (d simDaemon) Pin(ctx context.Context, pin api.Pin) error {
	var err error
	for range 5 {
		fault := d.ask(ctx, "pin", pin.Cid, func(k *simKubo) {
			if err = nil; !k.has[pin.Cid] && !d.p.s.reachable(pin.Cid) {
				err = errSimContent
				return
			}
			if !k.pinned[pin.Cid] {
				d.p.s.note("IPFS of %s pins %s", d.p.name, d.p.s.nameOf(pin.Cid))
			}
			k.has[pin.Cid], k.pinned[pin.Cid] = true, true
		})
		if fault != nil || err == nil {
			return fault
		}
	}
	return err
}

func (d simDaemon) Unpin(ctx context.Context, c api.Cid) error {
	return d.ask(ctx, "unpin", c, func(k *simKubo) {
		if k.pinned[c] {
			d.p.s.note("IPFS of %s unpins %s", d.p.name, d.p.s.nameOf(c))
			d.p.s.tally["unpins"]++
			d.p.s.judgeUnpin(d.p, c)
		}
		delete(k.pinned, c)
	})
}

// ask is a request to the daemon, which takes some seconds if it changes something.
func (d simDaemon) ask(ctx context.Context, what string, c api.Cid, do func(*simKubo)) error {
	r := d.p.draw("ipfs " + what + " " + d.p.s.nameOf(c))
	longest := 50 * time.Millisecond
	if what != "ls" {
		longest = 4 * time.Second
	}
	if err := d.p.pause(ctx, between(r, 5*time.Millisecond, longest)); err != nil {
		return err
	}
	d.p.s.mu.Lock()
	defer d.p.s.mu.Unlock()
	if d.p.node.kubo.down {
		return errSimKubo
	}
	do(d.p.node.kubo)
	return nil
}

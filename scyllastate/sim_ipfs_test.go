package scyllastate

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simMode is how a daemon has pinned a CID.
type simMode int

const (
	unpinned simMode = iota
	direct
	recursive
)

func (m simMode) String() string { return [...]string{"unpinned", "direct", "recursive"}[m] }

// modeOf is how a peer is to have a pin.
func modeOf(pin *api.Pin, p peer.ID) simMode {
	if pin == nil || pin.IsRemotePin(p) {
		return unpinned
	}
	return modeTo(pin.MaxDepth)
}

// modeTo is that of a pin to a depth.
func modeTo(depth api.PinDepth) simMode {
	if depth == 0 {
		return direct
	}
	return recursive
}

// simKept is what a daemon has pinned of a CID.
type simKept struct {
	mode simMode
	// byUser is when its user has pinned it, too, by hand, zero if he has not.
	byUser time.Time
	// alone is set if it was not pinned recursively then.
	alone bool
	// lost is set if it was unpinned although that was given up, to the process that
	// has done so.
	lost *process
}

// keep sets what the daemon has pinned. The caller holds the lock.
func (h *handler) keep(c api.Cid, k simKept) {
	w := h.sp.w
	h.sp.kept[c] = k
	h.sp.changes++
	w.moved = time.Now()
	w.note("%s: IPFS has %s: %s", h.p.name, label(c), k.mode)
}

// request is one to the daemon, which effect makes. It may take that long, may fail
// with nothing done or although it is done, and when it is given up it may be done, too.
func (h *handler) request(ctx context.Context, kind string, c api.Cid, longest time.Duration, effect func() error) error {
	w := h.sp.w
	d, _, err := h.p.send(ctx, kind, label(c))
	if err != nil {
		return err
	}
	fails := w.faulty() && (h.sp.at(h.sp.ipfsDown) || d.chance(w.odds.ipfs))
	if err := h.p.wait(ctx, d.mostly(time.Microsecond, longest)); err != nil {
		switch {
		case kind == pinRm && d.chance(w.odds.gc):
			h.unpinLater(d, c)
		case d.chance(300):
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = effect() // nobody is there to be told
		}
		return err
	}
	h.p.gate(d)
	if h.p.crashed() {
		return errCrashed
	}
	if !fails || d.chance(250) {
		w.mu.Lock()
		err = effect()
		w.mu.Unlock()
	}
	answer := d.between(1, 100*time.Microsecond)
	if w.faulty() && d.chance(w.odds.slow) {
		answer = d.mostly(time.Millisecond, 3*time.Second)
	}
	if err := h.p.wait(ctx, answer); err != nil {
		return err
	}
	h.p.gate(d)
	switch {
	case h.p.crashed():
		return errCrashed
	case fails:
		return errSimulated
	}
	return err
}

// unpinLater makes an unpin that was given up while the daemon collects garbage, when
// that has ended: it answers meanwhile, but makes no pin and no unpin. A peer that is
// not the same process then cannot know of it.
func (h *handler) unpinLater(d *draw, c api.Cid) {
	h.sp.w.mu.Lock()
	made := h.sp.changes
	h.sp.w.mu.Unlock()
	h.sp.w.later(d.mostly(time.Millisecond, time.Minute), func() {
		if !h.p.crashed() && h.sp.kept[c].mode != unpinned && h.sp.changes == made {
			h.keep(c, simKept{lost: h.p})
		}
	})
}

// simIPFS is upstream's connector to the daemon, which keeps pins as Kubo does.
type simIPFS struct{ h *handler }

// longestPin is longer than the cursor stays behind.
const longestPin = 40 * time.Second

const pinRm = "pin/rm"

var errRecursive = errors.New("simulated: already pinned recursively")

// Pin asks whether there is such a pin before, as the connector does.
func (i simIPFS) Pin(ctx context.Context, pin api.Pin) error {
	h, c := i.h, pin.Cid
	want := modeTo(pin.MaxDepth)
	if want == recursive {
		h.sp.w.mu.Lock()
		h.sp.asks(c)
		h.sp.w.mu.Unlock()
	}
	if is, err := i.PinLsCid(ctx, pin); err != nil || is.IsPinned(pin.MaxDepth) {
		return err
	}
	return h.request(ctx, "pin/add", c, longestPin, func() error {
		k := h.sp.kept[c]
		switch {
		case want == recursive && k.mode != recursive:
			h.keep(c, simKept{mode: recursive})
		case want == direct && k.mode == recursive:
			return errRecursive
		case want == direct && k.mode == unpinned:
			h.keep(c, simKept{mode: direct})
		}
		return nil
	})
}

// Unpin removes what there is.
func (i simIPFS) Unpin(ctx context.Context, c api.Cid) error {
	return i.h.request(ctx, pinRm, c, longestPin, func() error {
		sp, k := i.h.sp, i.h.sp.kept[c]
		if k.mode == unpinned {
			return nil // the connector takes the error for a success
		}
		if row, there := sp.placements[c].get(); there && row.Status == state.PlacementPinned {
			sp.w.fail("%s unpins %s, which its placement says is pinned", i.h.p.name, label(c))
		}
		if k.mode == recursive && k.alone && !sp.mayUnpin(i.h.p, c) {
			sp.w.fail("%s unpins %s, which only the user has pinned", i.h.p.name, label(c))
		}
		i.h.keep(c, simKept{})
		return nil
	})
}

// PinLsCid asks for a pin of the mode of pin.
func (i simIPFS) PinLsCid(ctx context.Context, pin api.Pin) (is api.IPFSPinStatus, err error) {
	h, c := i.h, pin.Cid
	err = h.request(ctx, "pin/ls", c, time.Millisecond, func() error {
		want, has := modeTo(pin.MaxDepth), h.sp.kept[c].mode
		is = api.IPFSPinStatusUnpinned
		switch {
		case want == recursive && has == recursive:
			is = api.IPFSPinStatusRecursive
		case want == direct && has == direct:
			is = api.IPFSPinStatusDirect
		case want == recursive:
			h.sp.sawNone(c)
		}
		return nil
	})
	if err != nil {
		return api.IPFSPinStatusError, err
	}
	return is, nil
}

// PinLs is asked for the number only, by which nothing is decided.
func (i simIPFS) PinLs(_ context.Context, _ []string, out chan<- api.IPFSPinInfo) error {
	close(out)
	return nil
}

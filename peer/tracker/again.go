package tracker

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// firstLook is when IPFS is asked again for a pin that it may yet lose. The
	// pauses grow up to lastLook, after about an hour, which is left to the check
	// of everything.
	firstLook = 10 * time.Second
	lastLook  = 30 * time.Minute
	// maxLooks bounds the pins that are to be looked at.
	maxLooks = 1 << 16
)

// leftBy reports whether a row that is read for the op first says that IPFS may have been
// asked to unpin it: by an earlier process, or before it was left to a scan.
// Operator Reads of spec/Moves.tla.
func (o *op) leftBy(row rowKnown) bool { return !o.row.read && row.unfinished() }

// doubtUnpin notes that IPFS may have yet to unpin it, if that is so. What a worker has
// found meanwhile stays.
func (o *op) doubtUnpin(may bool) {
	if may {
		o.unpins = time.Now()
	}
}

// settled returns when IPFS has done all unpins that it was asked for before since, also
// those whose request is gone: it would do them after it said that it has the pin, on
// which others count then. It asks for one that finds nothing and, like all, waits for
// the end of a garbage collection. Those who wait at the same time wait for one.
// Action Pinned of spec/Moves.tla.
func (t *Tracker) settled(ctx context.Context, since time.Time) error {
	if since.IsZero() || t.opts.KeepContent { // then none was ever done
		return nil
	}
	select {
	case asked := <-t.asked:
		if !asked.Before(since) {
			t.asked <- asked
			return nil
		}
		now := time.Now()
		err := t.opts.Daemon.Unpin(ctx, nobodys())
		if err == nil {
			asked = now
		} else {
			err = fmt.Errorf("waiting for what IPFS was asked for before: %w", err)
		}
		t.asked <- asked
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nobodys is a CID of which nobody has the content: it is not known what has the hash 0.
func nobodys() api.Cid {
	hash, err := mh.Encode(make([]byte, 32), mh.SHA2_256)
	if err != nil {
		return api.CidUndef // only an unknown function is refused
	}
	return api.NewCid(cid.NewCidV1(cid.Raw, hash))
}

// lookAgain asks IPFS after a wait whether it still has what it has pinned, and goes on
// to do so, after pauses that grow from pause up to lastLook: while it collects garbage it
// answers, but unpins only when that has ended, also for a request that was cancelled.
// What is too much is left to the check of everything.
func (t *Tracker) lookAgain(c api.Cid, wait, pause time.Duration) {
	if t.looks.len() < maxLooks {
		t.looks.add(retry{at: time.Now().Add(wait), ticket: ticket{cid: c}, look: pause})
	}
}

// lookAll looks at what is due until the tracker ends, one after another: after many
// unpins that failed all are due together.
func (t *Tracker) lookAll() {
	for {
		due, ok := t.looks.next(t.ctx)
		if !ok {
			return
		}
		t.lookNow(due.cid, due.look)
	}
}

// lookNow takes up a pin that IPFS has lost, and looks again later if it has not.
func (t *Tracker) lookNow(c api.Cid, pause time.Duration) {
	pin, _, err := t.opts.Store.GetVersion(t.ctx, c)
	if err == nil && !t.holds(pin) {
		return
	}
	held := false
	if err == nil {
		held, err = t.askKubo(t.ctx, *pin)
	}
	switch {
	case err == nil && !held:
		t.takeUp(state.Own{Cid: c})
	case pause < lastLook:
		pause = min(2*pause, lastLook)
		t.lookAgain(c, pause, pause)
	}
}

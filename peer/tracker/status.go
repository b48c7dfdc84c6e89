package tracker

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// kuboWait bounds a question to IPFS about one pin.
const kuboWait = 10 * time.Second

// errUnexpectedlyUnpinned is upstream's text.
var errUnexpectedlyUnpinned = errors.New("the item should be pinned but it is not")

// Status says what this peer does with a CID. From when a write is acknowledged it
// does not contradict it, whether the feed has told of it or not.
func (t *Tracker) Status(ctx context.Context, c api.Cid) api.PinInfo {
	ctx, span := trace.StartSpan(ctx, "tracker/Status")
	defer span.End()

	ipfs := t.ipfsID(ctx)
	pin, rev, err := t.opts.Store.GetVersion(ctx, c)
	if err != nil {
		return t.failedInfo(c, ipfs, err)
	}
	v := t.view(c)
	if !t.holds(pin) {
		var row *state.Placement
		if pin == nil && !v.unpins() {
			placed, there, err := t.opts.Store.GetPlacement(ctx, t.opts.Self, c)
			if err != nil {
				return t.failedInfo(c, ipfs, err)
			}
			if there {
				row = &placed
			}
		}
		return t.notHeld(c, pin, v, row, ipfs)
	}
	if info, ok := t.atWork(pin, rev, v, ipfs); ok {
		return info
	}
	info := t.info(c, pin, ipfs)
	held, err := t.askKubo(ctx, *pin)
	var row state.Placement
	if err == nil && !held {
		row, _, err = t.opts.Store.GetPlacement(ctx, t.opts.Self, c)
	}
	if err == nil && !held && pinnedAt(&row, rev) {
		held, err = t.askKubo(ctx, *pin) // it may have been pinned between the two
	}
	switch {
	case err != nil:
		return failed(info, err)
	case held:
		info.Status = api.TrackerStatusPinned
	default:
		t.byRow(&info, &row, rev)
	}
	return info
}

// notHeld is the status of a CID that this peer is not to hold. row is that of this
// peer, if it was looked at.
func (t *Tracker) notHeld(c api.Cid, pin *api.Pin, v view, row *state.Placement, ipfs api.IPFSID) api.PinInfo {
	info := t.info(c, pin, ipfs)
	switch {
	case pin != nil && pin.Type == api.MetaType:
		info.Status = api.TrackerStatusSharded
	case pin != nil:
		info.Status = api.TrackerStatusRemote
		if v.phase == unpinFailed || v.phase == unpinKept {
			info.Error = v.err
		}
	case v.unpins():
		v.show(&info)
	case row != nil && row.Status.Leaving() && v.phase == looking:
		info.Status = api.TrackerStatusUnpinQueued
	case row != nil && row.Status == state.PlacementUnpinError:
		info.Status, info.Error, info.AttemptCount = api.TrackerStatusUnpinError, row.Error, row.Attempts
	case row != nil && row.Status == state.PlacementUnpinning:
		info.Status = api.TrackerStatusUnpinQueued
	default:
		info.Status = api.TrackerStatusUnpinned
	}
	return info
}

// atWork is the status of a pin that is worked on. It returns false if it is not.
func (t *Tracker) atWork(pin *api.Pin, rev state.Revision, v view, ipfs api.IPFSID) (api.PinInfo, bool) {
	if v.phase == idle {
		return api.PinInfo{}, false
	}
	info := t.info(pin.Cid, pin, ipfs)
	if v.unpins() || v.rev.Before(rev) && (v.depth != pin.MaxDepth || v.status() == api.TrackerStatusPinError) {
		info.Status = api.TrackerStatusPinQueued // of what it will do next the feed has not told yet
		return info, true
	}
	v.show(&info)
	return info, true
}

// byRow is the status of a pin that IPFS does not have, by the row of this peer, which
// may be nil.
func (t *Tracker) byRow(info *api.PinInfo, row *state.Placement, rev state.Revision) {
	info.Status = api.TrackerStatusPinQueued
	if row == nil || row.Rev != rev {
		return // it says nothing of this pin
	}
	switch row.Status {
	case state.PlacementPinned:
		info.Status, info.Error = api.TrackerStatusUnexpectedlyUnpinned, errUnexpectedlyUnpinned.Error()
	case state.PlacementPinError:
		info.Status, info.Error, info.AttemptCount = api.TrackerStatusPinError, row.Error, row.Attempts
	}
}

// askKubo says whether IPFS has the pin, to its depth.
func (t *Tracker) askKubo(ctx context.Context, pin api.Pin) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, kuboWait)
	defer cancel()
	status, err := t.opts.Daemon.PinLsCid(ctx, pin)
	return status.IsPinned(pin.MaxDepth), err
}

// info is what is known of a pin, which may be nil, beside its status.
func (t *Tracker) info(c api.Cid, pin *api.Pin, ipfs api.IPFSID) api.PinInfo {
	info := api.PinInfo{
		Cid: c, Peer: t.opts.Self,
		PinInfoShort: api.PinInfoShort{
			PeerName: t.opts.Name, IPFS: ipfs.ID, IPFSAddresses: ipfs.Addresses, TS: time.Now(),
		},
	}
	if pin != nil {
		info.Name, info.Allocations, info.Origins, info.Metadata = pin.Name, pin.Allocations, pin.Origins, pin.Metadata
		info.Created, info.TS = pin.Timestamp, pin.Timestamp
	}
	return info
}

func (t *Tracker) failedInfo(c api.Cid, ipfs api.IPFSID, err error) api.PinInfo {
	return failed(t.info(c, nil, ipfs), err)
}

// failed says why a status is not known. What is known of the pin stays.
func failed(info api.PinInfo, err error) api.PinInfo {
	info.Status, info.Error, info.TS = api.TrackerStatusClusterError, err.Error(), time.Now()
	return info
}

// ipfsID tells who the daemon is: the peer's own heartbeat says so.
func (t *Tracker) ipfsID(ctx context.Context) (id api.IPFSID) {
	t.mu.Lock()
	client := t.client
	t.mu.Unlock()
	if client == nil {
		return id
	}
	if err := client.CallContext(ctx, "", "Cluster", "IPFSID", peer.ID(""), &id); err != nil {
		logger.Debugf("asking for the identity of the IPFS daemon: %s", err)
	}
	return id
}

// view is what an op tells of itself.
type view struct {
	phase    phase
	rev      state.Revision
	depth    api.PinDepth // to which it pins
	failed   bool         // while it notes that
	err      string
	attempts int
	priority bool
	since    time.Time
}

// view is what is being done with a CID. What was offered and waits for its turn
// counts as queued.
func (t *Tracker) view(c api.Cid) view {
	b := &t.buckets[state.Bucket(c)]
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.ops[c]; o != nil {
		return o.view()
	}
	return view{}
}

// view of an op. The caller holds the lock.
func (o *op) view() view {
	v := view{
		phase: o.phase, rev: o.want.rev, err: o.err, attempts: o.attempts, priority: o.lane == priority, since: o.since,
		failed: o.outcome != nil && o.outcome.err != nil,
	}
	w := o.want
	if next := o.next; next != nil {
		w = *next
		v = view{phase: unpinDeciding, rev: w.rev, since: o.since}
		if w.pin != nil {
			v.phase = pinQueued
		}
	}
	if w.pin != nil {
		v.depth = w.pin.MaxDepth
	}
	return v
}

func (v view) unpins() bool { return v.phase >= unpinDeciding }

// atIt reports whether somebody is at work, or about to be.
func (v view) atIt() bool {
	return v.phase != idle && v.phase != pinFailed && v.phase != unpinFailed && v.phase != unpinKept
}

// AtWork reports whether the Tracker works on a CID, or is about to. What has failed and is
// tried again later is not worked on.
func (t *Tracker) AtWork(c api.Cid) bool { return t.view(c).atIt() }

// show sets the status by what is being done.
func (v view) show(info *api.PinInfo) {
	info.TS, info.AttemptCount, info.PriorityPin = v.since, v.attempts, v.priority
	info.Status = v.status()
	if info.Status.Match(api.TrackerStatusError) {
		info.Error = v.err
	}
}

// status is that of the phase.
func (v view) status() api.TrackerStatus {
	switch v.phase {
	case looking, pinQueued:
		return api.TrackerStatusPinQueued
	case pinning:
		return api.TrackerStatusPinning
	case pinNoting:
		if v.failed {
			return api.TrackerStatusPinError
		}
		return api.TrackerStatusPinned
	case pinFailed:
		return api.TrackerStatusPinError
	case unpinDeciding, unpinQueued, unpinKept:
		return api.TrackerStatusUnpinQueued
	case unpinNoting:
		if v.failed {
			return api.TrackerStatusUnpinError
		}
		return api.TrackerStatusUnpinning
	case unpinning:
		return api.TrackerStatusUnpinning
	case unpinFailed:
		return api.TrackerStatusUnpinError
	}
	return api.TrackerStatusUndefined
}

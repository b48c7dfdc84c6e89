package tracker

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxAsked is how many pins are asked for one by one: where the list of IPFS is looked at,
// of those that it lacks, as it may be short, for an error in the middle of it is not
// told; else those of which it is not known what became of them, before it is looked at.
const maxAsked = 1000

// The statuses that a listing finds in different ways.
const (
	byKubo   = api.TrackerStatusPinned | api.TrackerStatusUnexpectedlyUnpinned
	byPinset = api.TrackerStatusRemote | api.TrackerStatusSharded
	leaving  = api.TrackerStatusUnpinQueued | api.TrackerStatusUnpinning | api.TrackerStatusUnpinError
)

// StatusAll sends the status of what matches the filter to out and closes it: what
// this peer holds in the order of state.Place, then what others hold, if the filter
// asks for that. An error after some were sent says that the others are missing.
func (t *Tracker) StatusAll(ctx context.Context, filter api.TrackerStatus, out chan<- api.PinInfo) error {
	defer close(out)
	ctx, span := trace.StartSpan(ctx, "tracker/StatusAll")
	defer span.End()

	l := newLister(ctx, t, filter, out)
	list := t.opts.Store.ListOwn
	if t.remembers(filter) {
		list = t.opts.Store.ListChanged
	}
	var err error
	if filter.Match(byKubo | api.TrackerStatusClusterError) {
		err = t.kuboAnswers(ctx) // a list of a daemon that hangs fails after minutes only
	}
	if err == nil {
		err = t.walk(ctx, list, l.flush)
	}
	if err == nil && filter.Match(byPinset) {
		err = l.others(ctx)
	}
	if err != nil {
		return fmt.Errorf("listing pins: %w", err)
	}
	return nil
}

// remembers reports whether all that a list of this filter may have is in memory, or in
// the feed: not an unpin that is never done, nor a pin that cannot be decoded.
func (t *Tracker) remembers(filter api.TrackerStatus) bool {
	if filter.Match(byKubo|api.TrackerStatusClusterError) || t.opts.KeepContent && filter.Match(api.TrackerStatusUnpinError) {
		return false
	}
	return t.scanned.Load() && t.left.Load() == 0
}

// entry is a CID that this peer has to do with.
type entry struct {
	state.Own
	view view
	// kubo is what the list of IPFS says, nil if it was not looked at.
	kubo *listed
}

// lister makes the answers of one listing.
type lister struct {
	t      *Tracker
	filter api.TrackerStatus
	ipfs   api.IPFSID
	out    chan<- api.PinInfo
	kubo   *fingerprints
	// asked counts what IPFS was asked for by itself; short is set when it had some
	// that it did not list.
	asked int
	short bool
	// corrupt are the pins that cannot be decoded and were answered.
	corrupt map[api.Cid]bool
}

func newLister(ctx context.Context, t *Tracker, filter api.TrackerStatus, out chan<- api.PinInfo) *lister {
	return &lister{t: t, filter: filter, ipfs: t.ipfsID(ctx), out: out, corrupt: make(map[api.Cid]bool)}
}

func (l *lister) flush(ctx context.Context, some []entry) error {
	return l.answers(ctx, some, func(info api.PinInfo) error { return l.send(ctx, info) })
}

// answers calls f with the status of those that match the filter.
func (l *lister) answers(ctx context.Context, some []entry, f func(api.PinInfo) error) error {
	cids := make([]api.Cid, len(some))
	for i, e := range some {
		cids[i] = e.Cid
	}
	type version struct {
		pin *api.Pin
		rev state.Revision
		err error
	}
	versions := make([]version, len(some))
	err := l.t.opts.Store.GetVersions(ctx, cids, func(i int, pin *api.Pin, rev state.Revision, err error) {
		versions[i] = version{pin, rev, err}
	})
	if err != nil {
		return err
	}
	for i, v := range versions {
		info, err := l.answer(ctx, some[i], v.pin, v.rev, v.err)
		if err != nil {
			return err
		}
		if info.Status == api.TrackerStatusUndefined || !info.Status.Match(l.filter) {
			continue
		}
		if err := f(info); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) send(ctx context.Context, info api.PinInfo) error {
	select {
	case l.out <- info:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.t.ctx.Done():
		return errStopped
	}
}

var errStopped = errors.New("the pin tracker has stopped")

// answer is the status of one CID, undefined if it is not listed here.
func (l *lister) answer(ctx context.Context, e entry, pin *api.Pin, rev state.Revision, bad error) (api.PinInfo, error) {
	t := l.t
	switch {
	case bad != nil:
		l.corrupt[e.Cid] = true
		return t.failedInfo(e.Cid, l.ipfs, bad), nil
	case !t.holds(pin):
		if l.filter == 0 || !l.filter.Match(leaving) {
			return api.PinInfo{}, nil
		}
		if err := l.readRow(ctx, &e); err != nil {
			return api.PinInfo{}, err
		}
		return t.notHeld(e.Cid, nil, e.view, e.Placement, l.ipfs), nil
	}
	if info, ok := t.atWork(pin, rev, e.view, l.ipfs); ok {
		return info, nil
	}
	if !l.filter.Match(byKubo) && l.ended(e, rev) {
		return api.PinInfo{}, nil
	}
	info := t.info(e.Cid, pin, l.ipfs)
	held, err := l.held(ctx, &e, pin, rev)
	if err == nil && !held {
		err = l.readRow(ctx, &e)
	}
	switch {
	case err != nil:
		return info, err
	case held:
		info.Status = api.TrackerStatusPinned
	default:
		t.byRow(&info, e.Placement, rev)
	}
	return info, nil
}

// ended reports whether the pin is noted as pinned: then IPFS has it or has lost it.
func (l *lister) ended(e entry, rev state.Revision) bool {
	noted, recent := l.t.recent.Get(e.Cid)
	return recent && noted == rev || pinnedAt(e.Placement, rev)
}

// pinnedAt reports whether a row, which may be nil, says that the pin was made.
func pinnedAt(row *state.Placement, rev state.Revision) bool {
	return row != nil && row.Status == state.PlacementPinned && row.Rev == rev
}

// readRow reads the row of a CID with a change: a list of changes does not have it,
// and a list of rows may have come by before there was one.
func (l *lister) readRow(ctx context.Context, e *entry) error {
	if e.Placement != nil || !e.Changed {
		return nil
	}
	row, there, err := l.t.opts.Store.GetPlacement(ctx, l.t.opts.Self, e.Cid)
	if err == nil && there {
		e.Placement = &row
	}
	e.Changed = false
	return err
}

// look finds what the list of IPFS says of a CID, unless that is known. CIDs must come
// in order.
func (l *lister) look(ctx context.Context, e *entry) (err error) {
	if e.kubo != nil {
		return nil
	}
	if bucket := state.Bucket(e.Cid); l.kubo == nil || bucket >= l.kubo.to {
		if l.kubo, err = l.t.listKubo(ctx, bucket); err != nil {
			return err
		}
	}
	found := l.kubo.find(e.Cid)
	e.kubo = &found
	return nil
}

// held says whether IPFS has the pin.
func (l *lister) held(ctx context.Context, e *entry, pin *api.Pin, rev state.Revision) (bool, error) {
	if !l.filter.Match(byKubo) && l.asked < maxAsked {
		l.asked++
		return l.t.askKubo(ctx, *pin)
	}
	if err := l.look(ctx, e); err != nil {
		return false, err
	}
	if e.kubo.has(pin.MaxDepth) {
		return true, nil
	}
	if err := l.readRow(ctx, e); err != nil || !pinnedAt(e.Placement, rev) {
		return false, err
	}
	late := !e.Placement.Updated.Before(e.kubo.began) // it was pinned after it was listed
	if !late && !l.short && l.asked >= maxAsked {
		return false, nil
	}
	held, err := l.t.askKubo(ctx, *pin)
	if !late {
		l.asked++
		l.short = l.short || held
	}
	return held, err
}

// others lists what this peer does not hold, from the whole pinset, and what cannot be
// decoded and was not listed before.
func (l *lister) others(ctx context.Context) error {
	return l.t.opts.Store.ScanPiece(ctx, 0, 1, func(pin api.Pin, _ state.Revision) error {
		if l.t.holds(&pin) {
			return nil
		}
		info := l.t.notHeld(pin.Cid, &pin, l.t.view(pin.Cid), nil, l.ipfs)
		if !info.Status.Match(l.filter) {
			return nil
		}
		return l.send(ctx, info)
	}, func(c api.Cid, err error) {
		switch {
		case !c.Defined():
			logger.Errorf("listing pins: %s", err) // there is no entry without a CID
		case l.filter.Match(api.TrackerStatusClusterError) && !l.corrupt[c]:
			_ = l.send(ctx, l.t.failedInfo(c, l.ipfs, err)) // the scan ends with the context, too
		}
	})
}

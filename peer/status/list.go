package status

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The statuses that a listing finds in different ways.
const (
	// held are those of pins that a peer is to hold: what it lists for a filter of
	// everything but what others hold.
	held = api.TrackerStatusClusterError | api.TrackerStatusPinError | api.TrackerStatusPinned | api.TrackerStatusPinning |
		api.TrackerStatusPinQueued | api.TrackerStatusUnexpectedlyUnpinned
	// ofOthers are those of pins that a peer is not to hold.
	ofOthers = api.TrackerStatusRemote | api.TrackerStatusSharded
)

// StatusAll is Cluster.StatusAll: what the peers do with all pins, in the order of
// state.Place, and then with those that none of them holds. When a live peer fails and
// the filter leaves out the errors that stand for its pins, it ends with an error.
func (r clusterRPC) StatusAll(ctx context.Context, in <-chan api.TrackerStatus, out chan<- api.GlobalPinInfo) error {
	filter := <-in
	walk := filter.Match(ofOthers | api.TrackerStatusClusterError)
	return r.service.all(ctx, filter, walk, out, func(ctx context.Context, m membership.Peer, infos chan<- api.PinInfo) error {
		filters := make(chan api.TrackerStatus, 1)
		filters <- askedFor(filter)
		close(filters)
		return r.service.inner.Load().Stream(ctx, m.ID, "PinTracker", "StatusAll", filters, infos)
	})
}

// RecoverAll is Cluster.RecoverAll: what the peers have queued again, and of a peer that
// does not answer all that it is to hold, as errors. When the queue of one is full the
// others go on, and it ends with an error. The last of what that one has queued may then
// be missing: gorpc drops answers that are on their way when a method returns an error.
func (r clusterRPC) RecoverAll(ctx context.Context, _ <-chan struct{}, out chan<- api.GlobalPinInfo) error {
	const nothingElse = held | api.TrackerStatusUnpinQueued | api.TrackerStatusUnpinning | api.TrackerStatusUnpinError
	return r.service.all(ctx, nothingElse, false, out, func(ctx context.Context, m membership.Peer, infos chan<- api.PinInfo) error {
		none := make(chan struct{})
		close(none)
		err := r.service.inner.Load().Stream(ctx, m.ID, "Cluster", "RecoverAllLocal", none, infos)
		if err != nil && strings.Contains(err.Error(), tracker.ErrFullQueue.Error()) { // errors of other peers are texts
			return fmt.Errorf("%w: %w", errFull, err)
		}
		return err
	})
}

// errFull is of a peer that has no room for all that it is to recover. Nothing is known
// of the pins that it has not come to.
var errFull = errors.New("it has queued what there is room for: recover again when that is done")

// askedFor is what a peer is asked for: never for the pins of others, for which it
// would have to walk the whole pinset. These are filled in from the allocations, as is
// what is said of holders that cannot be asked: for both it is asked for all it holds.
func askedFor(filter api.TrackerStatus) api.TrackerStatus {
	if filter.Match(api.TrackerStatusRemote | api.TrackerStatusClusterError) { // also without a filter
		return filter&^ofOthers | held
	}
	return filter &^ ofOthers
}

// lists is how a peer is asked for its list. It closes the channel.
type lists func(ctx context.Context, m membership.Peer, infos chan<- api.PinInfo) error

// all merges the lists of the peers, one CID after another: memory does not depend on
// how many there are. With walk it looks in the whole pinset for what none of them
// has to do with.
func (s *Service) all(ctx context.Context, filter api.TrackerStatus, walk bool, out chan<- api.GlobalPinInfo, list lists) error {
	defer close(out)
	ctx, cancel := context.WithCancel(ctx)
	m := &merge{s: s, ctx: ctx, filter: filter, out: out, walk: walk, members: s.members(), entries: s.entries()}
	ended := make(chan struct{})
	running := 0
	// A list that nobody reads any more must still be read to its end.
	defer func() {
		cancel()
		for range running {
			<-ended
		}
	}()
	if askedFor(filter) != 0 {
		for _, p := range m.members {
			if p.Role == membership.RoleAPI {
				continue
			}
			src := &source{peer: p, infos: make(chan placed, ahead)}
			m.sources = append(m.sources, src)
			running++
			go func() {
				src.read(ctx, m.entries, filter, list)
				ended <- struct{}{}
			}()
		}
	}
	err := m.run()
	if err == nil && walk {
		err = m.others()
	}
	if err != nil {
		return fmt.Errorf("listing what the peers do: %w", err)
	}
	return nil
}

// ahead is how many entries of a peer are read ahead.
const ahead = 256

// source is the list of one peer. err is set before infos is closed.
type source struct {
	peer  membership.Peer
	infos chan placed
	err   error
	head  placed
}

// placed is an entry with its place, which is costly to find.
type placed struct {
	api.PinInfo
	at state.Place
}

// read sends the list of the peer, and from where that fails on what the peer is to
// hold, as errors. If these are not asked for, a peer that is alive fails the listing:
// what it would have told must not look as if it were not there.
func (src *source) read(ctx context.Context, e *entries, filter api.TrackerStatus, list lists) {
	defer close(src.infos)
	var last state.Place
	problem, told := silent(src.peer), askedFor(filter).Match(api.TrackerStatusClusterError)
	if !src.peer.Dead() {
		err := src.forward(ctx, e.s, list, &last)
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, errOrder) || errors.Is(err, errFull) || !told && !errors.Is(err, errGone) {
			src.err = fmt.Errorf("listing the pins of peer %s: %w", src.peer.ID, err)
			return
		}
		logger.Errorf("listing the pins of peer %s: %s", src.peer.ID, err)
		problem = err.Error()
	}
	if told {
		src.err = e.inPlace(ctx, src.peer, last, problem, src.infos)
	}
}

// errOrder is of a peer of a build that lists in another order. What it has not listed
// cannot be told from that.
var errOrder = errors.New("it lists them in no order: the peer runs another version, and all must run the same for listings")

// forward sends what the peer lists, and notes where that is.
func (src *source) forward(ctx context.Context, s *Service, list lists, last *state.Place) error {
	return s.whileAlive(ctx, src.peer.ID, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		infos := make(chan api.PinInfo, ahead)
		listed := make(chan error, 1)
		go func() { listed <- list(ctx, src.peer, infos) }()
		var wrong error
		for info := range infos {
			if wrong != nil {
				continue
			}
			at := state.PlaceOf(info.Cid)
			if last.Cid.Defined() && at.Compare(*last) <= 0 {
				wrong = errOrder
				cancel()
				continue
			}
			select {
			case src.infos <- placed{info, at}:
				*last = at
			case <-ctx.Done(): // the entry was not sent: what is sent in its place begins with it
				wrong = ctx.Err()
			}
		}
		if err := <-listed; wrong == nil {
			return err
		}
		return wrong
	})
}

// batch is how many pins are read together.
const batch = 256

// inPlace sends, in place of a peer, an error for each pin that it is to hold.
func (e *entries) inPlace(ctx context.Context, p membership.Peer, after state.Place, problem string, out chan<- placed) error {
	var cids []api.Cid
	flush := func() error {
		var infos []api.PinInfo
		err := e.s.opts.Store.GetVersions(ctx, cids, func(i int, pin *api.Pin, _ state.Revision, bad error) {
			switch {
			case bad != nil:
				infos = append(infos, e.make(ctx, p, api.PinCid(cids[i]), api.TrackerStatusClusterError, bad.Error()))
			case holds(pin, p):
				infos = append(infos, e.make(ctx, p, *pin, api.TrackerStatusClusterError, problem))
			}
		})
		cids = nil
		for _, info := range infos {
			select {
			case out <- placed{info, state.PlaceOf(info.Cid)}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return err
	}
	err := e.s.opts.Store.ListOwn(ctx, p.ID, after, func(own state.Own) error {
		if cids = append(cids, own.Cid); len(cids) < batch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("finding what peer %s, which did not answer (%s), is to hold: %w", p.ID, problem, err)
	}
	return nil
}

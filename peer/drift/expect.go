package drift

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Kind is how a pin drifts.
type Kind string

// The kinds.
const (
	// Missing is to be pinned, and IPFS has no pin of it.
	Missing Kind = "missing"
	// Extra was pinned for this cluster and is not to be pinned any more, and IPFS has it
	// pinned.
	Extra Kind = "extra"
	// WrongMode is pinned directly and not recursively, or the other way round.
	WrongMode Kind = "wrong_mode"
)

// Finding is a pin that is not as it should be.
type Finding struct {
	Cid  api.Cid
	Kind Kind
}

// stand is what is to become of a CID at this peer.
type stand uint8

const (
	// notOurs is to be pinned by others, or by nobody, and was not pinned for this
	// cluster as far as a row tells: if IPFS has it, somebody else has pinned it.
	notOurs stand = iota
	desired
	// unwanted was pinned for this cluster, says the row, and is not to be pinned.
	unwanted
	// inFlight has changed a moment ago, or is worked on.
	inFlight
	// kept is unwanted, and IPFS is not asked to unpin it, by configuration.
	kept
	// unreadable is a pin that cannot be decoded: nobody knows what is desired.
	unreadable
)

// expected is what the pinset and the row of a peer ask for. Two that are equal ask for
// the same, and nothing has changed between them.
type expected struct {
	stand stand
	mode  api.PinMode // of what is desired
	rev   state.Revision
	// direct is set for what was pinned directly, as far as the row tells.
	direct bool
	// updated is when the row was written, in milliseconds, which is what it has.
	updated int64
}

// expect says what is to become of what a list has.
func (m *Meter) expect(own state.Own, pin *api.Pin, rev state.Revision, bad error) expected {
	row, holds := own.Placement, tracker.Holds(pin, m.opts.Self)
	e := expected{rev: rev}
	if row != nil {
		e.direct = row.Depth != nil && *row.Depth == 0
		e.updated = row.Updated.UnixMilli()
	}
	switch {
	case bad != nil:
		e.stand = unreadable
	case !holds && row == nil:
		e.stand = notOurs
	case m.moves(own.Cid, row, rev):
		e.stand = inFlight
	case holds:
		e.stand = desired
		if pin.MaxDepth == 0 {
			e.mode = api.PinModeDirect
		}
	case m.opts.KeepContent && row.Status == state.PlacementUnpinError:
		e.stand = kept
	default:
		e.stand = unwanted
	}
	return e
}

// moves reports whether a CID has changed a moment ago, or is worked on. What has failed
// and is tried again later stands still until then.
func (m *Meter) moves(c api.Cid, row *state.Placement, rev state.Revision) bool {
	young := func(since time.Time) bool { return m.now().Sub(since) < m.opts.Grace }
	switch {
	case m.opts.AtWork != nil && m.opts.AtWork(c), young(rev.Time()):
		return true
	case row == nil:
		return false
	}
	return young(row.Updated) || row.Status == state.PlacementQueued || row.Status == state.PlacementUnpinning
}

// judge asks IPFS for a pin, and returns how it drifts, "" if it does not, and whether IPFS
// has it in any mode. What seems to drift is looked up once more, so that nothing counts
// that has changed meanwhile: that is in flight then.
func (m *Meter) judge(ctx context.Context, c api.Cid, e expected) (kind Kind, has bool, now expected, err error) {
	kind, has, err = m.ask(ctx, c, e)
	if err != nil || kind == "" {
		return "", has, e, err
	}
	again, err := m.lookUp(ctx, c)
	if err != nil {
		return "", has, e, err
	}
	if again != e {
		e.stand = inFlight
		return "", has, e, nil
	}
	return kind, has, e, nil
}

// ask asks IPFS for a pin.
func (m *Meter) ask(ctx context.Context, c api.Cid, e expected) (kind Kind, has bool, err error) {
	if e.stand == desired || e.stand == unwanted {
		if err := m.wait(ctx, m.questions, 1); err != nil {
			return "", false, err
		}
	}
	switch e.stand {
	case desired:
		if has, err = m.opts.Kubo.Has(ctx, c, e.mode); err != nil || has {
			return "", has, err
		}
		if has, err = m.opts.Kubo.Has(ctx, c, other(e.mode)); err != nil {
			return "", false, err
		}
		if has {
			return WrongMode, true, nil
		}
		return Missing, false, nil
	case unwanted:
		if has, err = m.opts.Kubo.Has(ctx, c, api.PinModeDirect); err != nil {
			return "", false, err
		}
		if !has && !e.direct { // a recursive pin in place of a direct one is somebody else's
			has, err = m.opts.Kubo.Has(ctx, c, api.PinModeRecursive)
		}
		if has && err == nil {
			return Extra, true, nil
		}
		return "", false, err
	}
	return "", false, nil
}

func other(mode api.PinMode) api.PinMode {
	if mode == api.PinModeDirect {
		return api.PinModeRecursive
	}
	return api.PinModeDirect
}

// lookUp reads the pin and the row of a CID.
func (m *Meter) lookUp(ctx context.Context, c api.Cid) (e expected, err error) {
	own := state.Own{Cid: c}
	row, there, err := m.opts.Store.GetPlacement(ctx, m.opts.Self, c)
	if err != nil {
		return e, fmt.Errorf("reading what this peer does with %s: %w", c, err)
	}
	if there {
		own.Placement = &row
	}
	err = m.opts.Store.GetVersions(ctx, []api.Cid{c}, func(_ int, pin *api.Pin, rev state.Revision, bad error) {
		e = m.expect(own, pin, rev, bad)
	})
	return e, err
}

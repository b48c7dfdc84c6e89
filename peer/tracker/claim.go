package tracker

import (
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// A claim is what is known, also after a stop at any moment, of what IPFS has pinned for
// this peer. See the rules in ADR 0016.

// rowKnown is what is known to be stored of a CID.
type rowKnown struct {
	// read is false if nobody has looked.
	read, there bool
	status      state.PlacementStatus
	rev         state.Revision
	// depth is the deepest to which IPFS may have pinned it for this peer, nil if
	// that is not known: then it may be any.
	depth   *api.PinDepth
	updated time.Time
}

// rowOf is what is known of a row that was read.
func rowOf(row state.Placement, there bool) rowKnown {
	return rowKnown{read: true, there: there, status: row.Status, rev: row.Rev, depth: row.Depth, updated: row.Updated}
}

// placement is what is known, as a row.
func (r rowKnown) placement() state.Placement {
	return state.Placement{Status: r.status, Rev: r.rev, Depth: r.depth, Updated: r.updated}
}

// leaving reports whether others read in the row that the content is to go.
func (r rowKnown) leaving() bool { return r.there && r.status.Leaving() }

// unfinished reports whether every start of the peer takes up the row: as long as
// it is stored, no work on the CID is forgotten.
func (r rowKnown) unfinished() bool { return r.there && r.status != state.PlacementPinned }

// claimed reports whether IPFS may be asked for the pin: after a stop at any moment
// it is known what is to be undone. A change that made the pin is enough for a
// recursive one, as there can be no row that says less. Of all others there is a row.
func (o *op) claimed() bool {
	direct := o.want.pin.MaxDepth == 0
	switch named := o.row.depth; {
	case !o.row.there:
		return !direct && o.want.done != nil && o.want.first
	case direct: // others count on a recursive pin that it is to replace
		return o.row.unfinished() || named == nil || *named == 0
	default:
		return named == nil || *named != 0
	}
}

// lacksRow reports whether it is to be noted that the pin is to be made: to claim it,
// because its change has waited long enough, or because the row says that it goes.
func (o *op) lacksRow() bool {
	return !o.claimed() || o.needRow && o.want.done != nil || o.row.leaving()
}

// kept reports whether the row keeps what is wanted from being forgotten. Others pass
// over a row that is leaving: it does not stand for a pin.
func (o *op) kept() bool { return o.row.unfinished() && (o.want.pin == nil || !o.row.leaving()) }

// claim is the depth that a row is to name when IPFS was asked for what the op knows,
// and for depth if that is not nil: the deepest. It is nil if the row shall name what
// it does, or none.
func (o *op) claim(depth *api.PinDepth) *api.PinDepth {
	deepest, none := o.row.depth, o.row.read && !o.row.there
	if none && o.unpassed {
		recursive := api.PinDepth(-1) // a direct pin would have a row
		deepest = &recursive
	}
	for _, d := range []*api.PinDepth{o.asked, depth} {
		if d == nil || deepest != nil && *deepest != 0 {
			continue
		}
		if *d != 0 || none {
			deepest = d
		}
	}
	return deepest
}

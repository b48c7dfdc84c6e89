package scyllastate

import (
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// user pins by hand in the IPFS of a peer, recursively, until calm.
func (w *world) user(sp *simPeer) {
	d := w.draw(0, "user", sp.name)
	for n := 0; n < 4 && d.chance(w.odds.user); n++ {
		c := simCidList[d.below(w.cids)]
		time.AfterFunc(d.between(0, w.length), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.over || sp.at(sp.ipfsDown) {
				return
			}
			k := sp.kept[c]
			k.alone = k.alone || k.mode != recursive
			k.mode, k.byUser = recursive, time.Now()
			sp.kept[c] = k
			w.note("the user of %s pins %s", sp.name, label(c))
		})
	}
}

// simClaim is why a peer may unpin what it has a recursive pin of. What there is to know
// is what it has asked IPFS for, what it has noted, and what a process may have been
// told that left no trace. It goes with the placement. The numbers are of simPeer.made, 0
// for never.
type simClaim struct {
	// asked is when IPFS was asked for a recursive pin, and row when a placement
	// was written that may be one of it.
	asked, row int
	// sawNone is when IPFS said last that it has no recursive pin.
	sawNone time.Time
}

// asks notes that IPFS is asked for a recursive pin: what it has becomes the cluster's.
// The caller holds the lock.
func (sp *simPeer) asks(c api.Cid) {
	sp.made++
	claim := sp.claims[c]
	claim.asked = sp.made
	sp.claims[c] = claim
}

// sawNone notes that IPFS has said so. The caller holds the lock.
func (sp *simPeer) sawNone(c api.Cid) {
	claim := sp.claims[c]
	claim.sawNone = time.Now()
	sp.claims[c] = claim
}

// placed notes what a write of a placement says. The caller holds the lock.
func (sp *simPeer) placed(p *process, c api.Cid, made int, gone bool) {
	claim := sp.claims[c]
	row, there := sp.placements[c].get()
	deep := row.Depth == nil || *row.Depth != 0
	switch {
	case gone:
		if claim.asked < made {
			claim.asked = 0
		}
		if claim.row < made {
			claim.row = 0
		}
	case there && deep && (!row.Status.Leaving() || sp.known(p, c)):
		claim.row = made
	}
	sp.claims[c] = claim
}

// known reports whether the cluster may have pinned a CID recursively, as far as the
// peer can know. The caller holds the lock.
func (sp *simPeer) known(p *process, c api.Cid) bool {
	claim := sp.claims[c]
	return claim.asked > 0 || claim.row > 0 || sp.unpassed(p, c)
}

// mayUnpin reports whether a peer may unpin what its user has pinned: if the cluster has
// pinned it, too, or if he has done so since it was looked whether he has. The caller
// holds the lock.
func (sp *simPeer) mayUnpin(p *process, c api.Cid) bool {
	if sp.known(p, c) {
		return true
	}
	claim := sp.claims[c]
	row, there := sp.placements[c].get()
	noted := there && row.Depth != nil && *row.Depth == 0
	return noted && !claim.sawNone.IsZero() && sp.kept[c].byUser.After(claim.sawNone)
}

// unpassed reports whether a process is told of a recursive pin which one before it may
// have been told of. The caller holds the lock.
func (sp *simPeer) unpassed(p *process, c api.Cid) bool {
	took := p.took[sp.id.String()]
	for _, feed := range []string{sp.id.String(), everywhereFeed(c)} {
		for slot, rows := range sp.w.changes {
			if slot.feed != feed {
				continue
			}
			for _, r := range rows {
				at := r.at.Time()
				if string(r.cid) == string(c.Bytes()) && r.kind == kindPin && r.prev == (gocql.UUID{}) &&
					at.After(took.position) && at.Before(took.at.Add(2*sp.w.lim.skew())) {
					return true
				}
			}
		}
	}
	return false
}

// wrongAt tells what a peer has that the pinset does not say, and the other way around.
// What its user has pinned, and it has not unpinned, stays. The caller holds the lock.
func (w *world) wrongAt(sp *simPeer, c api.Cid, pin *api.Pin) string {
	want, kept := modeOf(pin, sp.id), sp.kept[c]
	byUser := kept.mode == recursive && !kept.byUser.IsZero()
	if want != unpinned && kept.lost != nil && kept.lost.crashed() {
		return "" // it has forgotten that: what is not simulated, the check of everything, finds it
	}
	if kept.mode != want && (!byUser || want == recursive) {
		return "IPFS has it " + kept.mode.String() + ", not " + want.String()
	}
	if !w.tracker {
		return ""
	}
	row, there := sp.placements[c].get()
	switch {
	case want == unpinned && there:
		return "there is a placement"
	case want == unpinned:
		return ""
	case !there:
		return "there is no placement"
	case want == direct && byUser && row.Status == state.PlacementPinError:
		return "" // there cannot be both
	case row.Status != state.PlacementPinned:
		return "the placement is not pinned"
	case want == recursive && row.Depth != nil && *row.Depth == 0:
		return "the placement has the depth of a direct one" // by which an unpin leaves it
	}
	return ""
}

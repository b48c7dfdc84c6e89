package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Roles of a peer.
const (
	// RoleFull holds pins, serves the API and runs the background loops.
	RoleFull = "full"
	// RoleAPI serves the API only: it gets no allocations and runs no loop.
	RoleAPI = "api"
	// RoleWorker holds pins and runs the loops, without a public API.
	RoleWorker = "worker"
	// RoleFollower holds pins and changes none (follower_mode): it runs no loop.
	RoleFollower = "follower"
)

// View is what a peer knew of the cluster at one moment. It may be used
// concurrently and MUST NOT be changed. Its methods do no I/O.
type View struct {
	// Self is the peer whose view it is.
	Self peer.ID
	// Frozen says that nobody can be judged now: the table of peers cannot be
	// read or written, or could not until a moment ago, or this process has
	// just started. Meanwhile nobody dies.
	Frozen bool
	// Peers are all members in order of their IDs, also the dead and removed.
	Peers []Peer
	// Judged is for how long the viewer could judge others since it started.
	Judged time.Duration
}

// Peer is one member as seen by another, or by itself.
type Peer struct {
	ID         peer.ID
	Name, Role string
	// Live says that its heartbeats were seen within their TTL, by the clock of
	// the viewer.
	Live bool
	// Seen says that it has sent a heartbeat while the viewer looked.
	Seen bool
	// Heard is when the viewer saw a new heartbeat, or, before the first one, the
	// peer.
	Heard time.Time
	// DeadSince is when the viewer found that they had stopped. It is zero
	// while the peer is live, and also for a peer that was not heard of yet
	// and may only be starting: see Dead.
	DeadSince time.Time
	// Died is when it stopped, as View.Judged was then: negative if that was before
	// the viewer started. It means nothing of a peer that is live.
	Died time.Duration
	// Zone names what fails together with the peer, empty for nothing.
	Zone string
	// Leaving says that the peer hands its pins over to others. Removed says
	// that it is not in the cluster any more, since RemovedAt.
	Leaving, Removed bool
	RemovedAt        time.Time
	// Incarnation is the process that runs as this peer.
	Incarnation state.Incarnation
}

// Live returns the peers that pins may be given to: live, and neither leaving nor
// removed. They are in order.
func (v View) Live() []peer.ID {
	var live []peer.ID
	for _, p := range v.Peers {
		if p.active() {
			live = append(live, p.ID)
		}
	}
	return live
}

// Get returns the member with that ID, and whether there is one.
func (v View) Get(id peer.ID) (Peer, bool) {
	i, ok := slices.BinarySearchFunc(v.Peers, id, func(p Peer, id peer.ID) int { return compareIDs(p.ID, id) })
	if !ok {
		return Peer{}, false
	}
	return v.Peers[i], true
}

// Gone tells whether the pins of a member have to be held by others. A removed one
// is gone, and a dead one once everybody else who was alive has been heard of since
// it was found dead, or was found dead, too: of peers that die together none is
// gone before all are known to be dead, whatever their intervals.
func (v View) Gone(p Peer) bool {
	if p.Removed {
		return true
	}
	return p.Dead() && !slices.ContainsFunc(v.Peers, func(other Peer) bool {
		return other.Live && !other.Removed && other.ID != v.Self && !other.Heard.After(p.DeadSince)
	})
}

// DeadFor returns for how long a member that is not live was dead, counting the time
// in which some peer could judge it: none passes while all peers are down, or the
// database. It is wrong by a few minutes for one that the viewer has not seen live.
func (v View) DeadFor(p Peer) time.Duration { return max(0, v.Judged-p.Died) }

// Owner returns the peer that does the work named by key: one of the live ones
// that run the loops. It is the same one for all viewers that see the
// same peers live, and changes only for the keys of a peer that comes or goes
// (rendezvous hashing). It is empty when there is nobody to do it.
func (v View) Owner(key []byte) peer.ID {
	var owner peer.ID
	var best uint64
	for _, p := range v.Peers {
		if !p.active() || !p.Works() {
			continue
		}
		// In order of the IDs: of equal weights the first one wins everywhere.
		if w := weight(p.ID, key); owner == "" || w > best {
			owner, best = p.ID, w
		}
	}
	return owner
}

// Mine tells whether the work named by key is for the peer whose view it is. It is
// much cheaper than Owner: it looks for one peer that outweighs this one, and among
// n of them finds it after some ln n.
func (v View) Mine(key []byte) bool {
	self, ok := v.Get(v.Self)
	if !ok || !self.active() || !self.Works() {
		return false
	}
	own := weight(self.ID, key)
	return !slices.ContainsFunc(v.Peers, func(p Peer) bool {
		if p.ID == self.ID || !p.active() || !p.Works() {
			return false
		}
		w := weight(p.ID, key)
		return w > own || w == own && compareIDs(p.ID, self.ID) < 0
	})
}

// Dead tells whether the peer is known not to run. A peer that is neither Live
// nor Dead was first seen less than one TTL of a heartbeat ago.
func (p Peer) Dead() bool { return !p.Live && !p.DeadSince.IsZero() }

// Works tells whether peers of this role run the background loops.
func (p Peer) Works() bool { return p.Role != RoleAPI && p.Role != RoleFollower }

// Holds tells whether peers of this role hold pins.
func (p Peer) Holds() bool { return p.Role != RoleAPI }

func (p Peer) active() bool { return p.Live && !p.Removed && !p.Leaving }

// weight is the same in every version: peers of two versions share work.
func weight(id peer.ID, key []byte) uint64 {
	h := sha256.New()
	// A length first, so that no other pair gives the same bytes.
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(id)))
	_, _ = h.Write(size[:])
	_, _ = h.Write([]byte(id))
	_, _ = h.Write(key)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// compareIDs orders peers by the bytes of their IDs.
func compareIDs(a, b peer.ID) int { return strings.Compare(string(a), string(b)) }

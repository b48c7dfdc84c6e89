package events

import "strings"

// Type says what happened. It ends in the version of its wire format.
type Type string

// What was written to the pinset. The data are PinData.
const (
	// PinAccepted tells of a pin where there was none.
	PinAccepted Type = "com.github.ipfs-cluster.scylla.pin.accepted.v1"
	// PinUpdated tells of a pin that somebody has replaced.
	PinUpdated Type = "com.github.ipfs-cluster.scylla.pin.updated.v1"
	// PinReallocated tells of a pin that the cluster has given to other peers.
	PinReallocated Type = "com.github.ipfs-cluster.scylla.pin.reallocated.v1"
	// PinExpired tells of a pin that was removed because its time was over.
	PinExpired Type = "com.github.ipfs-cluster.scylla.pin.expired.v1"
	// PinUnpinned tells of a pin that somebody has removed.
	PinUnpinned Type = "com.github.ipfs-cluster.scylla.pin.unpinned.v1"
)

// What one peer did with a pin. The data are StatusData.
const (
	// PinPinned tells that the IPFS daemon of a peer has the content.
	PinPinned Type = "com.github.ipfs-cluster.scylla.pin.pinned.v1"
	// PinFailed tells that a peer could not pin or unpin. It tries again.
	PinFailed Type = "com.github.ipfs-cluster.scylla.pin.failed.v1"
	// PinSized tells how large the content is that a peer has pinned.
	PinSized Type = "com.github.ipfs-cluster.scylla.pin.sized.v1"
	// PinDropped tells that a peer has unpinned the content.
	PinDropped Type = "com.github.ipfs-cluster.scylla.pin.dropped.v1"
)

// What became of a peer. The data are PeerData.
const (
	// PeerCame tells that a peer is alive that was not.
	PeerCame Type = "com.github.ipfs-cluster.scylla.peer.came.v1"
	// PeerDied tells that a peer was not heard of for too long.
	PeerDied Type = "com.github.ipfs-cluster.scylla.peer.died.v1"
	// PeerLeft tells that a peer was taken out of the cluster.
	PeerLeft Type = "com.github.ipfs-cluster.scylla.peer.left.v1"
)

// What an owner wants pinned. The data are ClaimData.
const (
	// ClaimAdded tells that an owner wants a CID pinned.
	ClaimAdded Type = "com.github.ipfs-cluster.scylla.claim.added.v1"
	// ClaimPinned tells that the content was seen pinned, for the first time since.
	ClaimPinned Type = "com.github.ipfs-cluster.scylla.claim.pinned.v1"
	// ClaimSized tells how large the content of a claim is that was pinned.
	ClaimSized Type = "com.github.ipfs-cluster.scylla.claim.sized.v1"
	// ClaimRemoved tells that an owner does not want it any more.
	ClaimRemoved Type = "com.github.ipfs-cluster.scylla.claim.removed.v1"
)

// Types returns all types that this package can encode and parse.
func Types() []Type {
	return []Type{
		PinAccepted, PinUpdated, PinReallocated, PinExpired, PinUnpinned,
		PinPinned, PinFailed, PinSized, PinDropped,
		PeerCame, PeerDied, PeerLeft,
		ClaimAdded, ClaimPinned, ClaimSized, ClaimRemoved,
	}
}

const (
	typePrefix  = "com.github.ipfs-cluster.scylla."
	typeVersion = ".v1"
)

// Kind is the type without what all types have in common, as "pin.accepted".
func (t Type) Kind() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(t), typePrefix), typeVersion)
}

// family is what types with the same data have in common.
type family int

const (
	unknownFamily family = iota
	pinFamily
	statusFamily
	peerFamily
	claimFamily
)

func (t Type) family() family {
	switch t {
	case PinAccepted, PinUpdated, PinReallocated, PinExpired, PinUnpinned:
		return pinFamily
	case PinPinned, PinFailed, PinSized, PinDropped:
		return statusFamily
	case PeerCame, PeerDied, PeerLeft:
		return peerFamily
	case ClaimAdded, ClaimPinned, ClaimSized, ClaimRemoved:
		return claimFamily
	}
	return unknownFamily
}

// removal tells the types of pins that are not there any more.
func (t Type) removal() bool { return t == PinExpired || t == PinUnpinned }

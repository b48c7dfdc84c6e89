package events

import "time"

// PinData is what the pinset has of a CID.
type PinData struct {
	// Cid is the CID.
	Cid string `json:"cid"`
	// Version is that of the pin, or of its removal, which orders the events of one
	// CID.
	Version Version `json:"version"`
	// Pin is the pin as it is stored. There is none in pin.unpinned and
	// pin.expired.
	Pin *Pin `json:"pin,omitempty"`
	// Omitted says why the pin is not told although there is one: it is too large for
	// an event, or has a time that JSON cannot hold. The cluster's REST API has it.
	Omitted string `json:"omitted,omitempty"`
}

// Pin is a pin of ipfs-cluster, in the words of its REST API.
type Pin struct {
	// Name is what the user calls it.
	Name string `json:"name"`
	// Type is "pin", or what ipfs-cluster makes of content that is added in
	// shards: "meta-pin", "clusterdag-pin", "shard-pin".
	Type string `json:"type"`
	// Mode is "recursive" or "direct".
	Mode string `json:"mode"`
	// MaxDepth is how deep it is pinned, -1 for all that is below.
	MaxDepth int `json:"max_depth"`
	// ReplicationFactorMin is how many peers must hold it, -1 for all peers.
	ReplicationFactorMin int `json:"replication_factor_min"`
	// ReplicationFactorMax is how many peers may hold it, -1 for all peers.
	ReplicationFactorMax int `json:"replication_factor_max"`
	// ShardSize is that of the shards in bytes, 0 if it was not added in shards.
	ShardSize uint64 `json:"shard_size,omitzero"`
	// Allocations are the IDs of the peers that are to hold it, none if all are.
	Allocations []string `json:"allocations,omitempty"`
	// Origins are multiaddresses of nodes that have the content.
	Origins []string `json:"origins,omitempty"`
	// ExpireAt is when it is removed, to the second; there is none if it stays.
	ExpireAt time.Time `json:"expire_at,omitzero"`
	// Metadata is what the user has noted.
	Metadata map[string]string `json:"metadata,omitempty"`
	// PinUpdate is the CID of the pin that it was made from.
	PinUpdate string `json:"pin_update,omitempty"`
	// Created is when the user asked for it, to the second.
	Created time.Time `json:"created,omitzero"`
	// Reference is the CID of a pin that belongs to it, for content that was added
	// in shards.
	Reference string `json:"reference,omitempty"`
}

// StatusData is what one peer has of a CID.
type StatusData struct {
	// Cid is the CID.
	Cid string `json:"cid"`
	// Version is that of the pin that the peer acted on.
	Version Version `json:"version"`
	// At is the version of the status, which orders the events of one CID and peer.
	At Version `json:"at"`
	// Peer is the ID of the peer.
	Peer string `json:"peer"`
	// Status is the status in the words of ipfs-cluster: "pinned", "pin_error",
	// "unpin_error", "unpinned".
	Status string `json:"status"`
	// Size is that of the content in bytes, 0 if it is not known.
	Size int64 `json:"size,omitzero"`
	// Error is what went wrong.
	Error string `json:"error,omitempty"`
}

// PeerData is what the cluster knows of one of its peers.
type PeerData struct {
	// Peer is its ID.
	Peer string `json:"peer"`
	// Name is what its operator calls it.
	Name string `json:"name"`
	// Incarnation is the process that runs, or ran, as this peer.
	Incarnation string `json:"incarnation"`
	// At is the version of what is told, which orders the events of one peer.
	At Version `json:"at"`
}

// ClaimData is what one owner wants of a CID. An event has what its type and those before it
// tell: claim.added, claim.pinned, claim.sized, claim.removed. Times are to the millisecond.
type ClaimData struct {
	// Cid is the CID.
	Cid string `json:"cid"`
	// Owner is who wants it.
	Owner string `json:"owner"`
	// RequestID is that of the owner's request, which is unique for the owner.
	RequestID string `json:"request_id"`
	// Name is what the owner calls it.
	Name string `json:"name"`
	// At is the version of the claim, or of its removal, which orders the events of
	// one request. It is the same each time the event is told.
	At Version `json:"at"`
	// Accepted is when the request was accepted.
	Accepted time.Time `json:"accepted"`
	// Pinned is when the content was first seen pinned. There is none before, so never in
	// claim.added.
	Pinned time.Time `json:"pinned,omitzero"`
	// Removed is when the owner gave it up. There is none but in claim.removed.
	Removed time.Time `json:"removed,omitzero"`
	// Replicas is how many copies the owner asks for, -1 for one at every peer, 0 for as many
	// as the cluster makes by default.
	Replicas int `json:"replicas"`
	// Size is that of the content in bytes, as it was known first. There is none in
	// claim.added and claim.pinned, and in claim.removed if it was never known.
	Size int64 `json:"size,omitzero"`
}

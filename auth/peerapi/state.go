package peerapi

import (
	"slices"
	"strings"
	"time"
)

// State is what the cluster as a whole is at with a CID, in the words of the Pinning
// Services API.
type State string

// The states.
const (
	StateUnpinned State = "" // no peer is to hold it
	StateQueued   State = "queued"
	StatePinning  State = "pinning"
	StatePinned   State = "pinned"
	StateFailed   State = "failed"
)

// Status is what the peers say of a CID.
type Status struct {
	// State is judged by the same rule as by the Pinning Services API of our peers: by
	// those that are to hold the CID and can be asked. It is pinned when one of them
	// has it and none is still at work, and failed when all of them have failed.
	State   State
	Created time.Time // of the pin, in whole seconds; zero if it is not pinned
	// Holders are the peers that are to hold it, sorted by ID.
	Holders []Holder
	// Delegates are the addresses of their IPFS daemons, each once, at most 20. If none
	// of them says its addresses, they are those of other peers. There may be none:
	// then Addresses knows some.
	Delegates []string
}

// Holder is what one peer says.
type Holder struct {
	ID, Name string
	// Status is upstream's word, such as pin_error.
	Status string
	// Error is what went wrong, at most 1,000 bytes.
	Error   string
	Updated time.Time
}

const (
	maxDelegates   = 20 // by the specification
	maxHolderError = 1000
)

// infoJSON is what is read of upstream's api.GlobalPinInfo.
type infoJSON struct {
	Cid     string              `json:"cid"`
	Created time.Time           `json:"created"`
	Peers   map[string]peerJSON `json:"peer_map"`
}

// peerJSON is what is read of upstream's api.PinInfoShort.
type peerJSON struct {
	Name      string    `json:"peername"`
	Addresses []string  `json:"ipfs_peer_addresses"`
	Status    string    `json:"status"`
	Timestamp time.Time `json:"timestamp"`
	Error     string    `json:"error"`
}

// holds tells whether a peer is to hold the CID, by what it says. "undefined" and words
// that are not known, of a later version, say nothing else.
func (p peerJSON) holds() bool {
	switch p.Status {
	case "remote", "sharded", "unpinned", "unpin_queued", "unpinning", "unpin_error":
		return false
	}
	return true
}

// known tells whether what a peer that holds the CID says is one of upstream's words.
func (p peerJSON) known() bool {
	switch p.Status {
	case "pinned", "pinning", "pin_queued", "unexpectedly_unpinned", "pin_error", clusterError:
		return true
	}
	return false
}

// absent tells whether the entry stands for a peer that cannot be asked.
func (p peerJSON) absent() bool { return p.Status == clusterError && Absent(p.Error) }

// clusterError is the status of a peer that has not said what it does.
const clusterError = "cluster_error"

// Absent tells whether the error of an entry with cluster_error says that the peer cannot be
// asked, because it is dead, not in the cluster or without an IPFS daemon. Our peers say so
// in these words, and upstream's in none.
func Absent(message string) bool {
	return strings.Contains(message, "the peer has sent no heartbeat since") ||
		strings.Contains(message, "the peer is not in the cluster, or has joined within seconds") ||
		message == "the peer has no IPFS daemon: it runs in the role api"
}

// status is what all say.
func (i infoJSON) status() Status {
	said := make(map[string]bool)
	corrupt := false
	var ids, others []string
	for id, p := range i.Peers {
		if !p.holds() {
			others = append(others, id)
			continue
		}
		ids = append(ids, id)
		if !p.absent() && p.known() {
			said[p.Status] = true
		}
		corrupt = corrupt || strings.Contains(p.Error, "the stored pin of "+i.Cid+" is corrupt")
	}
	slices.Sort(ids) // the same order at each look
	slices.Sort(others)
	var s Status
	switch {
	case len(ids) == 0:
	case corrupt:
		s.State = StateFailed // nobody can pin what cannot be decoded
	default:
		s.State = stateFor(said)
	}
	if s.State != StateUnpinned {
		s.Created = i.Created
	}
	for _, id := range ids {
		p := i.Peers[id]
		s.Holders = append(s.Holders, Holder{ID: id, Name: p.Name, Status: p.Status, Error: cut(p.Error), Updated: p.Timestamp})
	}
	s.Delegates = i.addresses(ids)
	if len(s.Delegates) == 0 {
		s.Delegates = i.addresses(others)
	}
	return s
}

// stateFor is what a CID is at if some say this and some say that. As long as one is at
// work it is not done. One that does not know has not failed, and what IPFS has lost a
// recovery makes a pin again.
func stateFor(said map[string]bool) State {
	switch {
	case said["pin_queued"], said["unexpectedly_unpinned"]:
		return StateQueued
	case said["pinning"]:
		return StatePinning
	case said["pinned"]:
		return StatePinned
	case said["pin_error"] && len(said) == 1:
		return StateFailed
	default:
		return StateQueued
	}
}

// addresses are those of some peers, each once.
func (i infoJSON) addresses(ids []string) []string {
	var all []string
	for _, id := range ids {
		for _, a := range i.Peers[id].Addresses {
			if len(all) < maxDelegates && a != "" && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

func cut(s string) string {
	if len(s) > maxHolderError {
		s = s[:maxHolderError]
	}
	return strings.ToValidUTF8(s, "")
}

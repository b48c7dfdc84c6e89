package role

import (
	"fmt"

	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

var logger = logging.Logger("role")

// Role is what a peer is for. The values are stored.
type Role string

// Roles of a peer.
const (
	// Full holds pins and serves the API.
	Full Role = membership.RoleFull
	// API serves the API only. It has no IPFS daemon.
	API Role = membership.RoleAPI
	// Worker holds pins and serves no public API.
	Worker Role = membership.RoleWorker
)

// Parse returns the role with that name, and Full for an empty one.
func Parse(text string) (Role, error) {
	switch r := Role(text); r {
	case "":
		return Full, nil
	case Full, API, Worker:
		return r, nil
	default:
		return "", fmt.Errorf("role %q is none of %q, %q and %q", text, Full, API, Worker)
	}
}

// ForwardedMethods names the RPC methods, beside those that upstream opens by
// itself, that an API peer calls at peers with an IPFS daemon. The RPC policy
// of these has to open them to trusted peers.
func ForwardedMethods() []string {
	return []string{"IPFSConnector.BlockGet", "IPFSConnector.Resolve"}
}

// refusal is what an API peer answers to what needs a daemon.
func refusal(id peer.ID, what string) error {
	return fmt.Errorf("peer %s has the role api and no IPFS daemon: %s", id, what)
}

package membership_test

import (
	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

var _ ipfscluster.PeerMonitor = (*membership.Monitor)(nil)

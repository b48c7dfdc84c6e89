// Command ipfs-cluster-service runs a peer of an IPFS cluster whose pinset is
// in a CQL database, or one with upstream's crdt or raft consensus.
package main

import (
	"os"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/service"
)

func main() {
	os.Exit(service.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// Command pin-gateway is the door to a cluster: it knows who asks, decides whether they may,
// records it, and gives every tenant pins of its own.
package main

import (
	"os"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/gateway"
)

func main() {
	os.Exit(gateway.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// Command pin-billing counts what the tenants of a gateway hold, closes days, and says what they
// cost.
package main

import (
	"os"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/billing"
)

func main() {
	os.Exit(billing.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

package cqltest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// holderEnv makes the test binary a process that only holds a server.
const holderEnv = "CQLTEST_HOLD_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(holderEnv) != "" {
		if err := hold(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cqltest.Main(m))
}

// hold starts a server, prints its address, and never stops it.
func hold() error {
	cluster, err := engine.Reserve(engine.Options{})
	if err != nil {
		return err
	}
	if err := cluster.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(cluster.Hosts()[0])
	select {}
}

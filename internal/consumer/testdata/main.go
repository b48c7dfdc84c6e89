// Command consumer uses the store as a module of somebody else does. Without
// arguments it prints the default configuration. With a CID it pins it, and
// prints the stored pin and the number of pins. CLUSTER_SCYLLA_HOSTS,
// CLUSTER_SCYLLA_KEYSPACE and so on say where, and CLUSTER_SECRET, 64 hex digits,
// for which cluster: it is the secret that the peers of the pinset have.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := &scyllastate.Config{}
	if err := cfg.Default(); err != nil {
		return err
	}
	if len(args) == 0 {
		text, err := cfg.ToJSON()
		if err != nil {
			return err
		}
		fmt.Println(string(text))
		return nil
	}
	cid, err := api.DecodeCid(args[0])
	if err != nil {
		return err
	}
	store, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(pin(ctx, store, cid), store.Close())
}

// open opens the pinset that the environment names.
func open(ctx context.Context, cfg *scyllastate.Config) (*scyllastate.Store, error) {
	if err := cfg.ApplyEnvVars(); err != nil {
		return nil, err
	}
	var err error
	if cfg.Secret, err = hex.DecodeString(os.Getenv("CLUSTER_SECRET")); err != nil {
		return nil, fmt.Errorf("CLUSTER_SECRET: %w", err)
	}
	return scyllastate.Open(ctx, cfg)
}

// pin works on any store.
func pin(ctx context.Context, pinset state.Store, cid api.Cid) error {
	if err := pinset.Add(ctx, api.PinCid(cid)); err != nil {
		return err
	}
	stored, err := pinset.Get(ctx, cid)
	if err != nil {
		return err
	}
	n, err := count(ctx, pinset)
	if err != nil {
		return err
	}
	fmt.Println(stored.Cid, n)
	return nil
}

// count works on any store.
func count(ctx context.Context, pinset state.Store) (int, error) {
	n := 0
	pins, done := make(chan api.Pin), make(chan error, 1)
	go func() { done <- pinset.List(ctx, pins) }()
	for range pins {
		n++
	}
	return n, <-done
}

// Command consumer uses the store as a module of somebody else does. Without
// arguments it prints the default configuration; with a keyspace it prints how
// many pins are in it.
package main

import (
	"context"
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
		if err := cfg.ValidateAll(); err != nil {
			return err
		}
		text, err := cfg.ToJSON()
		if err != nil {
			return err
		}
		fmt.Println(string(text))
		return nil
	}
	cfg.Keyspace = args[0]
	store, err := scyllastate.Open(ctx, cfg)
	if err != nil {
		return err
	}
	n, err := count(ctx, store)
	if err != nil {
		return err
	}
	fmt.Println(n)
	return store.Close()
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

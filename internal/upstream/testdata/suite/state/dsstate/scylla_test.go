package dsstate_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/state"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// keyspaces are the names of keyspaces without rows, which may not exist yet, one
// for each state that a test makes.
var keyspaces = strings.Split(os.Getenv("UPSTREAM_KEYSPACES"), ",")

// newState opens a store on the next of them.
func newState(t *testing.T) state.State {
	t.Helper()
	if len(keyspaces) == 0 {
		t.Fatal("a test makes more states than UPSTREAM_KEYSPACES has names")
	}
	ctx := context.Background()
	cfg := &scyllastate.Config{}
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ApplyEnvVars(); err != nil {
		t.Fatal(err)
	}
	cfg.Keyspace, keyspaces = keyspaces[0], keyspaces[1:]
	cfg.Secret = []byte("the secret of all peers of the test")
	store, err := scyllastate.Open(ctx, cfg)
	if err != nil {
		t.Fatal("opening the pinset: ", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

package audittable

import (
	"errors"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// When the database hangs nothing may be begun, and all that waits comes back; when it
// answers again, records are kept, and what hung is in the chain once or not at all.
func TestFrozenDatabase(t *testing.T) {
	own := cqltest.StartOwn(t, engine.Options{Volatile: true})
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = own.Hosts(), own.Port(), own.Keyspace(t)
	db := openDB(t, conf)
	o := options("gw-1")
	o.leaseTime, o.writeTime = leaseTime, writeTime
	table := openTable(t, db, o)
	r, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{table}, Timeout: time.Second})
	must(t, err)
	pending, err := r.Begin(t.Context(), event())
	must(t, err)

	must(t, own.Cluster().Freeze(0))
	resume := func() { must(t, own.Cluster().Resume(0)) }
	frozen := true
	defer func() {
		if frozen {
			resume()
		}
	}()
	failed := make(chan error)
	for range 100 {
		go func() {
			_, err := r.Begin(t.Context(), event())
			failed <- err
		}()
	}
	for range 100 {
		if err := <-failed; !errors.Is(err, audit.ErrUnavailable) {
			t.Fatalf("the database hangs, and something may be begun: %v", err)
		}
	}
	if err := pending.End(t.Context(), audit.Result{Verdict: audit.Success}); err == nil {
		t.Error("an outcome was recorded")
	}
	resume()
	frozen = false
	cqltest.WaitFor(t, "the database to answer again", func() bool {
		return pending.End(t.Context(), audit.Result{Verdict: audit.Success}) == nil
	})
	must(t, table.Close())
	mustBeIntact(t, db, nil)
	if f := search(t, db)[pending.ID()]; f.Result.Verdict != audit.Success {
		t.Errorf("%+v", f)
	}

	// One that is closed while the database hangs ends.
	table = openTable(t, db, o)
	must(t, appendIntent(t.Context(), table, "a"))
	must(t, own.Cluster().Freeze(0))
	frozen = true
	if err := table.Close(); err == nil {
		t.Error("the last checkpoint was not written, and nobody is told")
	}
}

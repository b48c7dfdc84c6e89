package ingest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// Facts of a closed day are never there without being noted as late, also if the process that
// has written them dies, and another one that is given the same finds them.
func TestKilledBeforeLateIsNoted(t *testing.T) {
	db := openDB(t)
	for left, dead := 0, true; dead; left++ {
		owner := fmt.Sprint("owner", left)
		in, other := instance(t, &dying{DB: db, left: left}, policy()), instance(t, db, policy())
		_, err := other.store.BeginClose(t.Context(), dayOf(now)-1, ledger.ShardOf(owner), 1)
		must(t, err)
		d := claimed(owner, "r", 13*time.Hour)
		d.Removed = d.Accepted.Add(time.Minute)
		batch := told(d, events.ClaimAdded, events.ClaimRemoved)
		dead = in.Claims(t.Context(), batch) != nil
		handle(t, other, batch...)
		if len(factsOn(t, other, owner, dayOf(now)-1)) != 2 {
			t.Errorf("dead after %d writes: the facts are not there", left)
		}
		if !slices.Contains(lateOn(t, other, dayOf(now)), owner+" -1") {
			t.Errorf("dead after %d writes: the day is not noted as late", left)
		}
	}
}

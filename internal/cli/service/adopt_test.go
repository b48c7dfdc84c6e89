package service

import (
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// TestAdoptText shows what is said before a keyspace is adopted.
func TestAdoptText(t *testing.T) {
	since := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ours := scyllastate.Owner{Name: "ours", UnpinGrace: time.Hour}
	owner := func(name string, grace time.Duration) scyllastate.Owner {
		return scyllastate.Owner{Name: name, Claimed: since, ClaimedBy: "host pid 1", UnpinGrace: grace}
	}
	const theirs = `The keyspace k belongs to the cluster "theirs" since 2026-11-29T12:00:00Z (by host pid 1). Its peers, which must be stopped, will be refused.`
	const grace = " Its unpin_grace is 24h0m0s and will be 1h0m0s, for all peers."
	for _, tt := range []struct {
		present scyllastate.Owner
		want    string
	}{
		{scyllastate.Owner{}, "The keyspace k belongs to no cluster."},
		{owner("theirs", time.Hour), theirs},
		{owner("theirs", 24*time.Hour), theirs + grace},
		{owner("theirs", 0), theirs}, // of a version that had none
		{owner("ours", 24*time.Hour), "The keyspace k belongs to this cluster. Its peers must be stopped." + grace},
	} {
		if got := adoptText("k", tt.present, ours); got != tt.want {
			t.Errorf("%s\nwant\n%s", got, tt.want)
		}
	}
}

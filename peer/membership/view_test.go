package membership

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func viewOf(n int) View {
	v := View{Self: "peer-03"}
	for i := range n {
		v.Peers = append(v.Peers, Peer{ID: peer.ID(fmt.Sprintf("peer-%02d", i)), Role: RoleFull, Live: true})
	}
	return v
}

// TestOwnerIsFixed: peers of two versions that run side by side must agree.
func TestOwnerIsFixed(t *testing.T) {
	v := viewOf(5)
	var got []peer.ID
	for i := range 8 {
		got = append(got, v.Owner([]byte("key"+strconv.Itoa(i))))
	}
	want := []peer.ID{"peer-02", "peer-03", "peer-01", "peer-00", "peer-04", "peer-03", "peer-02", "peer-01"}
	if !slices.Equal(got, want) {
		t.Errorf("owners = %q, want %q", got, want)
	}
}

func TestOwner(t *testing.T) {
	const keys = 10000
	v := viewOf(10)
	owners := make([]peer.ID, keys)
	share := make(map[peer.ID]int)
	mine := 0
	for i := range owners {
		key := []byte(strconv.Itoa(i))
		owners[i] = v.Owner(key)
		share[owners[i]]++
		if v.Mine(key) {
			mine++
		}
	}
	for id, n := range share {
		if n < keys/10*8/10 || n > keys/10*12/10 {
			t.Errorf("%s owns %d of %d", id, n, keys)
		}
	}
	if len(share) != 10 || mine != share[v.Self] {
		t.Errorf("%d peers own something; %d keys are mine, and %d of %s", len(share), mine, share[v.Self], v.Self)
	}
	for name, spoil := range map[string]func(*Peer){
		"dead":    func(p *Peer) { p.Live = false },
		"removed": func(p *Peer) { p.Removed = true },
		"leaving": func(p *Peer) { p.Leaving = true },
		"api":     func(p *Peer) { p.Role = RoleAPI },
	} {
		w := viewOf(10)
		spoil(&w.Peers[7])
		for i, before := range owners {
			now := w.Owner([]byte(strconv.Itoa(i)))
			if before != "peer-07" && now != before || now == "peer-07" {
				t.Fatalf("%s: key %d went from %s to %s", name, i, before, now)
			}
		}
	}
	w := viewOf(2)
	w.Peers[0].Role, w.Peers[1].Role = RoleWorker, ""
	work := make(map[peer.ID]bool)
	for i := range 100 {
		work[w.Owner([]byte(strconv.Itoa(i)))] = true
	}
	if !work["peer-00"] || !work["peer-01"] {
		t.Errorf("a worker, or a peer without a role, does no work: %v", work)
	}
	nobody := View{}
	if nobody.Owner([]byte("x")) != "" || nobody.Mine([]byte("x")) {
		t.Error("somebody owns work where nobody is")
	}
}

// TestMine: exactly the owner finds a piece of work its own.
func TestMine(t *testing.T) {
	v := viewOf(12)
	v.Peers[1].Live = false
	v.Peers[4].Leaving = true
	v.Peers[7].Removed = true
	v.Peers[9].Role = RoleAPI
	v.Peers[10].Role = RoleFollower
	for i := range 1000 {
		key := []byte(strconv.Itoa(i))
		owner := v.Owner(key)
		for _, p := range v.Peers {
			v.Self = p.ID
			if got := v.Mine(key); got != (p.ID == owner) {
				t.Fatalf("key %d of %s is that of %s: %t", i, owner, p.ID, got)
			}
		}
	}
	if v.Self = "peer-03x"; v.Mine([]byte("x")) {
		t.Error("who is no member owns work")
	}
}

// BenchmarkMine looks through the buckets of one peer that is gone, as one of 1,000
// does when a peer joins, leaves or dies.
func BenchmarkMine(b *testing.B) {
	v := View{Self: "peer-0500"}
	for i := range 1000 {
		v.Peers = append(v.Peers, Peer{ID: peer.ID(fmt.Sprintf("peer-%04d", i)), Role: RoleFull, Live: true})
	}
	for b.Loop() {
		mine := 0
		for bucket := range state.Buckets {
			if v.Mine(strconv.AppendInt([]byte("the one that is gone|"), int64(bucket), 10)) {
				mine++
			}
		}
		b.ReportMetric(float64(mine), "mine")
	}
}

func TestViewLiveGet(t *testing.T) {
	v := viewOf(6)
	v.Peers[1].Live = false
	v.Peers[2].Leaving = true
	v.Peers[3].Removed = true
	v.Peers[4].Role = RoleAPI
	if got := v.Live(); !slices.Equal(got, []peer.ID{"peer-00", "peer-04", "peer-05"}) {
		t.Errorf("Live = %q", got)
	}
	for _, p := range v.Peers {
		if got, ok := v.Get(p.ID); !ok || got != p {
			t.Errorf("Get(%s) = %v, %v", p.ID, got, ok)
		}
	}
	for _, id := range []peer.ID{"", "peer-02x", "zzz"} {
		if p, ok := v.Get(id); ok || p != (Peer{}) {
			t.Errorf("Get(%q) = %v, %v", id, p, ok)
		}
	}
	if (Peer{Live: true}).Dead() || (Peer{}).Dead() || !(Peer{DeadSince: time.Now()}).Dead() {
		t.Error("Dead is wrong")
	}
}

package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// TestPeersThatDieTogether are found dead one after another, and the stop rule
// counts them all before the pins of the first have moved.
func TestPeersThatDieTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		held, fed := w.add(1, 1, 1, bob), w.addUnheld(2, 1, 1, bob)
		defer w.run(alice)()
		dying := []peer.ID{bob, carol, dave}
		for _, p := range dying {
			w.member(p, func(m *membership.Peer) { m.Heard = time.Now() })
		}
		for _, p := range dying {
			pass(10 * time.Minute)
			w.die(p)
		}
		pass(20 * time.Minute)
		w.wantHolders(held, bob)
		w.wantHolders(fed, bob)
		w.revive(carol)
		w.revive(dave)
		pass(time.Minute)
		w.wantHolders(held, alice)
		w.wantHolders(fed, alice)
	})
}

func TestStopRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave, erin)
		w.member("mallory", func(m *membership.Peer) { m.Role, m.Live = membership.RoleAPI, true })
		c := w.add(1, 1, 1, bob)
		fed := w.addUnheld(2, 1, 1, carol)
		defer w.run(alice, dave, erin)()
		w.die(bob, carol, dave)
		pass(30 * time.Minute)
		w.wantHolders(c, bob)
		w.wantHolders(fed, carol)
		w.revive(dave)
		pass(time.Minute)
		w.wantHolders(c, alice)
		w.wantHolders(fed, alice)
	})
}

func TestStopRuleEndsAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		c := w.add(1, 1, 1, bob)
		defer w.run(alice)()
		w.die(bob, carol)
		pass(59 * time.Minute)
		w.wantHolders(c, bob)
		pass(2 * time.Minute)
		w.wantHolders(c, alice)
	})
}

func TestStopRuleCounts(t *testing.T) {
	now := time.Now()
	live := membership.Peer{Role: membership.RoleFull, Live: true, Seen: true}
	dead := membership.Peer{Role: membership.RoleWorker, Seen: true, DeadSince: now.Add(-time.Minute)}
	old := membership.Peer{Role: membership.RoleFull, Seen: true, DeadSince: now.Add(-2 * time.Hour)}
	removed := membership.Peer{Role: membership.RoleFull, Seen: true, DeadSince: now, Removed: true}
	before := membership.Peer{Role: membership.RoleFull, DeadSince: now} // this process started
	gate := membership.Peer{Role: membership.RoleAPI, Seen: true, DeadSince: now}
	for name, c := range map[string]struct {
		peers []membership.Peer
		want  bool
	}{
		"nobody":             {nil, false},
		"one of one":         {[]membership.Peer{dead}, false},
		"one of two":         {[]membership.Peer{live, dead}, false},
		"half":               {[]membership.Peer{live, live, dead, dead}, false},
		"more than half":     {[]membership.Peer{live, dead, dead}, true},
		"dead for long":      {[]membership.Peer{live, old, old, old, dead}, false},
		"dead before":        {[]membership.Peer{live, before, before, before}, false},
		"removed":            {[]membership.Peer{live, removed, removed, removed}, false},
		"api peers":          {[]membership.Peer{live, gate, gate, gate}, false},
		"api peers are live": {[]membership.Peer{live, dead, dead, {Role: membership.RoleAPI, Live: true}}, true},
	} {
		s := stopRule{share: 0.5}
		if got := s.holds(membership.View{Peers: c.peers}, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	s := stopRule{share: 0.5}
	storm := []membership.Peer{live, dead, dead}
	s.holds(membership.View{Peers: storm}, now)
	if !s.holds(membership.View{Peers: []membership.Peer{live}, Frozen: true}, now) {
		t.Error("a frozen view ended the rule")
	}
}

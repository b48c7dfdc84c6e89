package reconcile

import (
	"cmp"
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

// counted is a view with so many peers of each kind, in one zone or none.
type counted struct {
	live, dead, unseen, old, removed, api int
	zone                                  string
	role                                  string // of all but API peers, RoleFull by default
}

func (c counted) peers() []membership.Peer {
	var peers []membership.Peer
	add := func(n int, p membership.Peer) {
		p.Zone = c.zone
		for range n {
			if p.Role == "" {
				p.Role = cmp.Or(c.role, membership.RoleFull)
			}
			if !p.Live {
				p.DeadSince = time.Unix(1, 0)
			}
			peers = append(peers, p)
		}
	}
	add(c.live, membership.Peer{Live: true, Seen: true, Role: c.role})
	add(c.dead, membership.Peer{Seen: true, Died: judged - time.Minute})
	add(c.unseen, membership.Peer{Died: judged - time.Minute})
	add(c.old, membership.Peer{Died: judged - time.Hour})
	add(c.removed, membership.Peer{Died: judged, Removed: true})
	add(c.api, membership.Peer{Died: judged, Role: membership.RoleAPI})
	return peers
}

// judged is for how long the viewer could judge others. Before that lies its start.
const judged = 10 * time.Minute

func TestStopRuleCounts(t *testing.T) {
	for name, c := range map[string]struct {
		peers []counted
		want  bool
	}{
		"nobody":                              {nil, false},
		"one":                                 {[]counted{{live: 1}}, false},
		"one, and identities of long ago":     {[]counted{{live: 1, old: 3}}, false},
		"one, and identities of lately":       {[]counted{{live: 1, unseen: 1}}, true},
		"one, and identities that it removed": {[]counted{{live: 1, removed: 3}}, false},

		"two, both live":                       {[]counted{{live: 2}}, false},
		"two, one died":                        {[]counted{{live: 1, dead: 1}}, false},
		"two, one died before the other began": {[]counted{{live: 1, unseen: 1}}, true},
		"two, one died long ago":               {[]counted{{live: 1, old: 1}}, false},
		"two of one zone, one died":            {[]counted{{live: 1, dead: 1, zone: "a"}}, false},

		"three, one died":        {[]counted{{live: 2, dead: 1}}, false},
		"three, two died":        {[]counted{{live: 1, dead: 2}}, true},
		"three, one long ago":    {[]counted{{live: 1, dead: 1, old: 1}}, false},
		"three, one not seen":    {[]counted{{live: 2, unseen: 1}}, true},
		"three, a cold start":    {[]counted{{live: 1, unseen: 2}}, true},
		"three, two are removed": {[]counted{{live: 1, removed: 2}}, false},

		"exactly half":                {[]counted{{live: 2, dead: 2}}, true},
		"less than half":              {[]counted{{live: 3, dead: 2}}, false},
		"one of many not seen":        {[]counted{{live: 9, unseen: 1}}, true},
		"some of many not seen":       {[]counted{{live: 8, unseen: 2}}, true},
		"dead for long":               {[]counted{{live: 1, old: 3, dead: 1}}, false},
		"removed do not count":        {[]counted{{live: 3, dead: 2, removed: 9}}, false},
		"api peers do not count":      {[]counted{{live: 1, api: 3}}, false},
		"api peers do not count live": {[]counted{{live: 1, dead: 2}, {api: 5}}, true},

		"followers not seen":  {[]counted{{live: 1}, {unseen: 3, role: membership.RoleFollower}}, true},
		"followers that died": {[]counted{{live: 2}, {live: 1, dead: 3, role: membership.RoleFollower}}, true},
		"few followers":       {[]counted{{live: 2}, {live: 3, dead: 2, role: membership.RoleFollower}}, false},
		"a site of followers": {[]counted{{live: 8, zone: "a"}, {dead: 2, zone: "b", role: membership.RoleFollower}}, true},

		"a whole zone":                     {[]counted{{live: 8, zone: "a"}, {dead: 2, zone: "b"}}, true},
		"a zone of one":                    {[]counted{{live: 8, zone: "a"}, {dead: 1, zone: "b"}}, false},
		"zones of one":                     {[]counted{{live: 8, zone: "a"}, {dead: 1, zone: "b"}, {dead: 1, zone: "c"}}, false},
		"not the whole zone":               {[]counted{{live: 8, zone: "a"}, {live: 1, dead: 2, zone: "b"}}, false},
		"a whole zone but who was removed": {[]counted{{live: 8, zone: "a"}, {dead: 2, removed: 1, zone: "b"}}, true},
		"a zone that is dead for long":     {[]counted{{live: 8, zone: "a"}, {old: 4, zone: "b"}}, false},
		"what has no zone is none":         {[]counted{{live: 8, zone: "a"}, {dead: 3}}, false},
	} {
		v := membership.View{Judged: judged}
		for _, some := range c.peers {
			v.Peers = append(v.Peers, some.peers()...)
		}
		s := stopRule{share: DefaultStopShare, lately: DefaultStopFor}
		if got := s.holds(v); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestStopShare(t *testing.T) {
	for _, c := range []struct {
		share      float64
		live, dead int
		want       bool
	}{
		{0.55, 9, 11, true}, {0.55, 10, 10, false}, // 0.55 * 20 is more than 11
		{0.1, 18, 2, true}, {0.1, 19, 2, false},
		{1, 1, 99, false},
		{0.01, 99, 1, false}, // a single one never does
	} {
		s := stopRule{share: c.share, lately: DefaultStopFor}
		if got := s.holds(membership.View{Judged: judged, Peers: counted{live: c.live, dead: c.dead}.peers()}); got != c.want {
			t.Errorf("%d of %d, share %g: %v", c.dead, c.live+c.dead, c.share, got)
		}
	}
}

func TestStopRuleOfAFrozenView(t *testing.T) {
	s := stopRule{share: DefaultStopShare, lately: DefaultStopFor}
	s.holds(membership.View{Judged: judged, Peers: counted{live: 1, dead: 2}.peers()})
	if !s.holds(membership.View{Judged: judged, Peers: counted{live: 1}.peers(), Frozen: true}) {
		t.Error("a frozen view ended the rule")
	}
}

// TestColdStart: who comes back first, or second, leaves the pins of the others alone,
// also when it is started again. When all are back a single death moves pins again.
func TestColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		held, fed := w.add(1, 1, 1, bob), w.addUnheld(2, 1, 1, bob)
		w.coldStart(bob, carol, dave)
		stop := w.run(alice)
		pass(20 * time.Minute)
		stop()
		defer w.run(alice)()
		pass(20 * time.Minute)
		w.wantHolders(held, bob)
		w.revive(carol)
		w.revive(dave)
		pass(10 * time.Minute)
		w.wantHolders(held, bob) // the only one that is not back
		w.wantHolders(fed, bob)
		w.revive(bob)
		pass(time.Minute)
		w.die(bob)
		pass(2 * time.Minute)
		w.wantHolders(held, alice)
		w.wantHolders(fed, alice)
	})
}

// TestColdStartEndsAfterAnHour: who has not come back by then is dead for good.
func TestColdStartEndsAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		c := w.add(1, 1, 1, bob)
		w.coldStart(bob, carol)
		defer w.run(alice)()
		pass(59 * time.Minute)
		w.wantHolders(c, bob)
		pass(2 * time.Minute)
		w.wantHolders(c, alice)
	})
}

// TestRemovedDuringAColdStart: the operator says who will not come back.
func TestRemovedDuringAColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		c := w.add(1, 1, 1, bob)
		w.coldStart(bob, carol)
		defer w.run(alice)()
		pass(10 * time.Minute)
		w.remove(bob)
		pass(2 * time.Minute)
		w.wantHolders(c, bob) // the other one may be on its way
		w.remove(carol)
		pass(2 * time.Minute)
		w.wantHolders(c, alice)
	})
}

// TestUndecidedPeersStopMoves: while it is not known whether somebody is alive it is not
// known either how many have died. A process that starts after a power cut is there for a
// moment.
func TestUndecidedPeersStopMoves(t *testing.T) {
	for _, role := range []string{membership.RoleFull, membership.RoleFollower} {
		t.Run(role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol)
				c := w.add(1, 1, 1, bob)
				w.remove(bob)
				w.member(carol, func(m *membership.Peer) { m.Live, m.Seen, m.Role = false, false, role })
				w.member("mallory", func(m *membership.Peer) { m.Role = membership.RoleAPI }) // never does
				defer w.run(alice)()
				pass(2 * time.Minute)
				w.wantHolders(c, bob)
				w.revive(carol)
				pass(2 * time.Minute)
				w.wantHolders(c, alice)
			})
		})
	}
}

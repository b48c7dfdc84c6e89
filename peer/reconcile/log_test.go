package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// logLines collects what the package logs from warnings on.
func logLines(t *testing.T) func(part string) int {
	t.Helper()
	return logtest.Lines(t, "reconcile", logging.LevelWarn)
}

func TestStopRuleIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob, carol, dave)
		defer w.run(alice)()
		w.die(bob, carol, dave)
		pass(20 * time.Minute)
		if n := logged("3 of 4 peers died"); n != 1 {
			t.Errorf("the stop rule was announced %d times", n)
		}
		w.revive(bob)
		w.revive(carol)
		pass(20 * time.Minute)
		if n := logged("no more than 1 of 4 peers died within 1h0m0s, and this peer has seen all of them live: the pins of dead peers are given to others again"); n != 1 {
			t.Errorf("its end was announced %d times", n)
		}
	})
}

func TestStarvedPinsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob)
		for n := range 20 {
			w.add(n, 2, 2, alice, bob)
		}
		clear(w.store.feeds)
		w.die(bob)
		defer w.run(alice)()
		pass(4 * time.Minute)
		if n := logged("20 pins of"); n != 1 || logged("not enough") != 1 {
			t.Errorf("20 pins that nobody can take make %d lines, %d of them counting all", logged("not enough"), n)
		}
		w.leave(alice)
		w.add(30, 1, 1, alice)
		pass(time.Second)
		before := logged("cannot leave")
		pass(30 * time.Second)
		if n := logged("cannot leave") - before; n != 1 {
			t.Errorf("a pass of the drain says %d times that pins cannot leave", n)
		}
	})
}

func TestFailuresAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice)
		w.store.fail = failAll
		defer w.run(alice)()
		pass(35 * time.Minute)
		if n := logged("removing pins that have run out: "); n != 4 {
			t.Errorf("a failure of all 16 shards was logged %d times in 35 minutes, want 4", n)
		}
	})
}

// TestOnlyCopiesAreLogged: how many pins of a dead peer no live one has, again and again
// until one has them.
func TestOnlyCopiesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob, carol)
		w.member(carol, func(m *membership.Peer) { m.Role = membership.RoleFollower })
		w.idle = true
		var only []api.Cid
		for n := range 5 {
			only = append(only, w.add(n, 1, 1, bob))
		}
		w.add(6, 1, 2, bob, alice)
		failed, missing := w.add(7, 1, 2, bob, alice), w.addUnheld(8, 2, 2, bob, alice)
		w.store.hold(alice, failed, state.PlacementPinError)
		w.store.hold(bob, missing, state.PlacementPinned)
		clear(w.store.feeds) // they are not new
		w.die(bob)
		defer w.run(alice)()
		pass(10 * time.Minute)
		const text = " of the pins of "
		if n := logged("7" + text + bob.String() + ", which is dead"); n != 1 {
			t.Errorf("they were announced %d times", n)
		}
		for _, c := range only {
			w.has(alice, c)
		}
		pass(4 * time.Hour)
		if n := logged("2" + text + bob.String() + ", which is dead"); n < 2 || n > 6 {
			t.Errorf("those that are left were announced %d times", n)
		}
		w.has(alice, failed)
		w.has(alice, missing)
		before := logged(text)
		pass(4 * time.Hour)
		if n := logged(text) - before; n != 0 {
			t.Errorf("what others have is announced %d times", n)
		}
	})
}

// TestOnlyCopiesAreLoggedWhoeverFindsThem: in the feed of a dead peer, of a removed one, and
// by the scrub.
func TestOnlyCopiesAreLoggedWhoeverFindsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob, dave)
		w.idle = true
		for n := range 3 {
			w.addUnheld(n, 1, 1, bob) // it had not come to them
		}
		for n := range 4 {
			w.add(10+n, 1, 1, dave)
		}
		w.store.feeds[dave] = nil
		w.die(bob)
		w.remove(dave)
		stop := w.run(alice)
		pass(10 * time.Minute)
		if n := logged("no live peer had 3 of the pins that " + bob.String() + " was given"); n != 1 {
			t.Errorf("those in its feed were announced %d times", n)
		}
		if n := logged("no live peer has 4 of the pins that " + dave.String() + " held, which was removed"); n != 1 {
			t.Errorf("those of a removed peer were announced %d times", n)
		}
		stop()
		w.addUnheld(20, 1, 1, dave)
		pass(2 * scrubAge)
		report, err := w.reconciler(alice).ScrubOnce(t.Context())
		if err != nil || report.Alone != 1 {
			t.Errorf("the scrub reports %+v, %v", report, err)
		}
	})
}

package reconcile

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// addExpiring stores a pin that runs out.
func (w *world) addExpiring(n int, at time.Time) api.Cid {
	c := testCid(w.t, n)
	pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1, ExpireAt: at.Truncate(time.Second)})
	pin.Allocations = []peer.ID{alice}
	w.store.write(c, &pin)
	return c
}

func (w *world) extend(c api.Cid, to time.Time) {
	pin := *w.store.pin(c)
	pin.ExpireAt = to
	w.store.write(c, &pin)
}

func TestPinsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		start := time.Now()
		var kinds []api.Cid
		for n, kind := range []api.PinType{api.DataType, api.ShardType, api.ClusterDAGType, api.MetaType} {
			c := w.addExpiring(n, start.Add(10*time.Minute))
			pin := *w.store.pin(c)
			pin.Type = kind
			w.store.write(c, &pin)
			kinds = append(kinds, c)
		}
		past := w.addExpiring(10, start.Add(-time.Hour))
		never := w.add(11, 1, 1, alice)
		extended := w.addExpiring(12, start.Add(10*time.Minute))
		shortened := w.addExpiring(13, start.Add(48*time.Hour))
		defer w.run(alice, bob)()
		pass(9 * time.Minute)
		w.extend(extended, start.Add(time.Hour))
		w.extend(shortened, start.Add(10*time.Minute))
		if w.store.pin(past) != nil {
			t.Error("what had run out before is still there")
		}
		pass(59 * time.Second)
		for _, c := range kinds {
			if w.store.pin(c) == nil {
				t.Error("a pin was removed before its time")
			}
		}
		pass(15 * time.Second)
		for _, c := range append(kinds, shortened) {
			if w.store.pin(c) != nil {
				t.Errorf("the %s pin has run out and is still there", w.store.pin(c).Type)
			}
		}
		if w.store.pin(never) == nil || w.store.pin(extended) == nil {
			t.Fatal("a pin was removed that has not run out")
		}
		pass(50 * time.Minute)
		if w.store.pin(extended) != nil {
			t.Error("a pin that was extended did not run out later")
		}
	})
}

func TestExpiryIsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		start := time.Now()
		const n = 5000 // in 3 minutes: 100,000 an hour
		var mu sync.Mutex
		late := map[api.Cid]time.Duration{}
		w.store.slow = 20 * time.Millisecond
		due := map[api.Cid]time.Time{}
		for i := range n {
			at := start.Add(2*time.Minute + time.Duration(i)*180*time.Second/n)
			due[w.addExpiring(i, at)] = at.Truncate(time.Second)
		}
		w.store.beforeWrite = func(c api.Cid) {
			mu.Lock()
			defer mu.Unlock()
			late[c] = time.Since(due[c])
		}
		defer w.run(alice)()
		pass(10 * time.Minute)
		if len(late) != n {
			t.Errorf("%d of %d pins ran out", len(late), n)
		}
		tooLate := 0
		for _, l := range late {
			if l > time.Minute {
				tooLate++
			}
		}
		if tooLate > n/100 {
			t.Errorf("%d of %d are more than a minute late", tooLate, n)
		}
		if w.store.mostBusy > 16 || w.store.mostBusy < 8 {
			t.Errorf("%d pins were looked at at once, want up to 16", w.store.mostBusy)
		}
		if reads := w.store.count("GetVersion"); reads != n {
			t.Errorf("%d pins were read %d times: rows that are read again are not to be verified again", n, reads)
		}
	})
}

func TestExpiryGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		start := time.Now()
		c := w.addExpiring(1, start.Add(time.Minute))
		touched := w.addExpiring(2, start.Add(time.Minute))
		extended, races := false, 0
		w.store.beforeWrite = func(id api.Cid) {
			switch {
			case id.Equals(c) && !extended:
				extended = true
				w.extend(c, start.Add(time.Hour))
			case id.Equals(touched) && races < maxRaces-1:
				races++
				w.store.write(id, w.store.pin(id))
			}
		}
		defer w.run(alice)()
		pass(80 * time.Second)
		if w.store.pin(c) == nil {
			t.Error("a pin that was extended at the last moment was removed")
		}
		if races != maxRaces-1 || w.store.pin(touched) != nil {
			t.Errorf("a pin that was changed %d times and still has run out was not looked at again at once", races)
		}
		pass(time.Hour)
		if w.store.pin(c) != nil {
			t.Error("it does not run out any more")
		}
	})
}

// TestExpiryOfALateWriter: the expiry is announced, and the pin appears after it
// was looked for.
func TestExpiryOfALateWriter(t *testing.T) {
	for name, older := range map[string]bool{"new pin": false, "replaced pin": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice)
				due := time.Now().Truncate(time.Minute).Add(70 * time.Second)
				c := testCid(t, 1)
				if older {
					c = w.add(1, 1, 1, alice)
				}
				w.store.mu.Lock()
				w.store.announce(c, due, time.Now())
				w.store.mu.Unlock()
				defer w.run(alice)()
				pass(time.Until(due) + fakeWindow - 5*time.Second)
				if w.store.count("GetVersion") == 0 {
					t.Fatal("nobody has looked")
				}
				pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1, ExpireAt: due})
				pin.Allocations = []peer.ID{alice}
				w.store.mu.Lock()
				w.store.seq++
				w.store.pins[c] = version{&pin, timeuuid(time.Now(), w.store.seq)}
				w.store.mu.Unlock()
				pass(2 * time.Minute)
				if w.store.pin(c) != nil {
					t.Error("a pin whose expiry was announced before it was written stays for ever")
				}
				reads := w.store.count("GetVersion")
				pass(time.Hour)
				if n := w.store.count("GetVersion"); n != reads {
					t.Errorf("and is looked at %d more times", n-reads)
				}
			})
		})
	}
}

func TestExpiryPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		start := time.Now()
		bad := w.addExpiring(1, start.Add(5*time.Minute))
		good := w.addExpiring(2, start.Add(6*time.Minute))
		shard := hashOf(bad, 16)
		var broken atomic.Bool
		broken.Store(true)
		w.store.fail = func(call string, c api.Cid) error {
			if broken.Load() && call == "GetVersion" && c.Equals(bad) {
				return errors.New("it cannot be read")
			}
			return nil
		}
		position := func(shard int) time.Time {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			return w.store.duePos[shard]
		}
		defer w.run(alice)()
		pass(20 * time.Minute)
		if w.store.pin(good) != nil {
			t.Error("one pin that cannot be read holds up the others")
		}
		if got, want := position(shard), start.Truncate(time.Minute).Add(5*time.Minute); got.After(want) {
			t.Errorf("the position is %s: it passed what is not done at %s", got, want)
		}
		for other := range 16 {
			p := position(other)
			if p.After(time.Now().Add(-fakeWindow)) {
				t.Errorf("the position of shard %d is %s ago: rows may still appear there", other, time.Since(p))
			}
			if other != shard && time.Since(p) > fakeWindow+2*time.Minute {
				t.Errorf("the position of shard %d stays behind by %s", other, time.Since(p))
			}
		}
		pass(time.Hour)
		if p := position(shard); time.Since(p) > fakeWindow+2*time.Minute {
			t.Errorf("one pin that cannot be read holds up its shard for ever: %s", time.Since(p))
		}
	})
}

func TestExpiryGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		start := time.Now()
		stop := w.run(alice)
		pass(10 * time.Minute)
		stop()
		c := w.addExpiring(1, start.Add(20*time.Minute))
		pass(72 * time.Hour) // more than a shard begins back
		w.store.calls = map[string]int{}
		stop = w.run(alice)
		pass(time.Minute)
		if w.store.pin(c) != nil {
			t.Error("what ran out while nobody looked is still there")
		}
		stop()
		w.store.calls = map[string]int{}
		defer w.run(alice)()
		pass(5 * time.Second)
		if n := w.store.count("Due"); n > 16*5 {
			t.Errorf("a restart reads %d minutes of 16 shards", n)
		}
	})
}

func TestExpiryBeginsBack(t *testing.T) {
	for name, ahead := range map[string]bool{"nobody has begun": false, "the position is in the future": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice)
				c := w.addExpiring(1, time.Now().Add(time.Hour))
				away := 90 * time.Minute
				if ahead {
					away = 20 * time.Hour
				}
				pass(away)
				for shard := range 16 {
					if ahead {
						w.store.duePos[shard] = time.Now().Add(24 * time.Hour)
					}
				}
				defer w.run(alice)()
				pass(time.Minute)
				if w.store.pin(c) != nil {
					t.Error("what ran out before is still there")
				}
			})
		})
	}
}

func TestExpiryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		start := time.Now()
		var cids []api.Cid
		for n := range 50 {
			cids = append(cids, w.addExpiring(n, start.Add(30*time.Minute)))
		}
		stop := w.run(alice, bob, carol)
		defer func() { stop() }()
		pass(20 * time.Minute)
		w.die(carol) // she is stopped with the others below; her view does not count
		pass(15 * time.Minute)
		for _, c := range cids {
			if w.store.pin(c) != nil {
				t.Error("a pin did not run out after its owner died")
			}
		}
		// 2 minutes within the window, 6 looks a minute, 16 shards.
		before := w.store.count("Due")
		pass(time.Minute)
		if n := w.store.count("Due") - before; n > 16*6*3 {
			t.Errorf("%d minutes are read in one: the peers do each other's work", n)
		}
	})
}

// TestExpiryWithoutMemory: more runs out in one minute than is remembered.
func TestExpiryWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		due := time.Now().Add(90 * time.Second)
		c := w.addExpiring(1, due)
		w.store.write(c, nil) // removed by its user; the row stays
		e := newExpiry(w.reconciler(alice), hashOf(c, 16))
		if err := e.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.known = maxExpired
		for range 30 {
			pass(10 * time.Second)
			if err := e.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !e.position.After(due) {
			t.Errorf("the position stays at %s, before what is not remembered", e.position)
		}
	})
}

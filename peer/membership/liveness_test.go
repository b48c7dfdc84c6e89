package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestPeersComeAndGo: two peers see each other, and one notices that the other
// stopped.
func TestPeersComeAndGo(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		wantPeers(t, a, "A")
		b := startPeer(t, options(db, "B"))
		wantPeers(t, b, "A", "B")
		after(interval / 2)
		wantPeers(t, a, "A", "B")
		after(time.Hour)
		wantPeers(t, a, "A", "B")
		wantPeers(t, b, "A", "B")
		wantAlerts(t, a)
		if p := get(t, a, "B"); !p.Live || p.Dead() || p.Name != "name-B" || p.Role != RoleFull || p.Incarnation != b.incarnation {
			t.Errorf("the view says %v", p)
		}
		if v := a.View(); v.Frozen || len(v.Peers) != 2 || !slices.Equal(v.Live(), []peer.ID{"A", "B"}) {
			t.Errorf("the view is %v", v)
		}

		stop(t, b)
		stopped := time.Now()
		after(ttl - interval)
		wantPeers(t, a, "A", "B")
		wantAlerts(t, a)
		after(2 * interval)
		wantPeers(t, a, "A")
		wantAlerts(t, a, "B")
		if p := get(t, a, "B"); p.Live || p.DeadSince.Sub(stopped) > ttl+interval || p.DeadSince.Sub(stopped) < ttl-interval {
			t.Errorf("the view says %v, %s after the stop", p, p.DeadSince.Sub(stopped))
		}
		since := get(t, a, "B").DeadSince
		after(time.Hour)
		wantAlerts(t, a) // one is enough
		if p := get(t, a, "B"); !p.DeadSince.Equal(since) {
			t.Errorf("it dies again: %s, %s", since, p.DeadSince)
		}

		b = startPeer(t, options(db, "B"))
		after(interval / 2)
		wantPeers(t, a, "A", "B")
		if p := get(t, a, "B"); !p.Live || !p.DeadSince.IsZero() {
			t.Errorf("the view says %v", p)
		}
		stop(t, b)
		after(time.Minute)
		wantAlerts(t, a, "B")
	})
}

// TestFirstSight: what a peer that has just started thinks of others.
func TestFirstSight(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		for _, id := range []peer.ID{"beats", "silent", "old", "taken"} {
			db.edit(id, func(m *state.Member) { *m = holder(id) })
		}
		db.edit("silent", func(m *state.Member) { *m = identity(*m) })
		db.edit("old", func(m *state.Member) { m.BeatOf = state.Incarnation{9} })
		db.edit("taken", func(m *state.Member) { m.Beat = taken })
		a := startPeer(t, options(db, "A"))
		wantPeers(t, a, "A", "beats")
		if !a.View().Frozen {
			t.Error("it judges others at once")
		}
		for _, id := range []peer.ID{"silent", "old", "taken"} {
			if p := get(t, a, id); p.Live || p.Dead() {
				t.Errorf("%s is %v at first sight", id, p)
			}
		}
		after(ttl + interval)
		for _, id := range []peer.ID{"silent", "old", "taken"} {
			if p := get(t, a, id); p.Live || !p.Dead() {
				t.Errorf("%s is %v after a TTL", id, p)
			}
		}
		if a.View().Frozen {
			t.Error("it never judges others")
		}
		wantPeers(t, a, "A", "beats") // its TTL is longer
		wantAlerts(t, a)              // they were never seen alive
		after(30 * time.Second)
		wantPeers(t, a, "A")
		wantAlerts(t, a, "beats")
	})
}

// TestOutage: ten minutes in which the database answers nobody, or not all kinds
// of requests, kill no peer.
func TestOutage(t *testing.T) {
	for name, fail := range map[string]func(*table, error){
		"all":    (*table).fail,
		"reads":  func(db *table, err error) { db.set(func(db *table) { db.readErr = err }) },
		"writes": func(db *table, err error) { db.set(func(db *table) { db.beatErr = err }) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, db *table) {
				a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
				publish(t, b, "disk", "1", time.Minute)
				after(settled + interval)
				fail(db, errDown)
				after(interval + time.Second)
				if !a.View().Frozen {
					t.Error("it judges others")
				}
				for range 20 {
					after(30 * time.Second)
					wantPeers(t, a, "A", "B")
					wantPeers(t, b, "A", "B")
					wantValues(t, a, "disk", "B=1")
					if !a.View().Frozen {
						t.Error("it judges others")
					}
				}
				fail(db, nil)
				after(beatAgain)
				if !a.View().Frozen {
					t.Error("it judges others at once")
				}
				after(settled)
				if a.View().Frozen {
					t.Error("it is frozen for ever")
				}
				wantPeers(t, a, "A", "B")
				wantPeers(t, b, "A", "B")
				wantAlerts(t, a)
				wantAlerts(t, b)
				stop(t, b)
				after(time.Minute)
				wantAlerts(t, a, "B")
				wantValues(t, a, "disk")
			})
		})
	}
}

// TestOutageThenDeath: who does not come back after an outage is dead, a TTL
// later.
func TestOutageThenDeath(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		b := startPeer(t, options(db, "B"))
		after(settled)
		db.fail(errDown)
		after(time.Minute)
		stop(t, b)
		after(time.Minute)
		db.fail(nil)
		after(ttl - 2*time.Second)
		wantPeers(t, a, "A", "B")
		wantAlerts(t, a)
		after(interval + 2*time.Second)
		wantPeers(t, a, "A")
		wantAlerts(t, a, "B")
	})
}

// beatBy writes one heartbeat of a peer that no Monitor runs as.
func beatBy(t *testing.T, db *table, id peer.ID, beat int64, ttl time.Duration) {
	t.Helper()
	db.mu.Lock()
	if _, ok := db.rows[id]; !ok {
		db.rows[id] = state.Member{ID: id, Incarnation: state.Incarnation{1}}
	}
	db.mu.Unlock()
	if err := db.Beat(t.Context(), id, state.Heartbeat{Incarnation: state.Incarnation{1}, Beat: beat, TTL: ttl}); err != nil {
		t.Fatal(err)
	}
}

// TestShortOutage: of reads only, shorter than a TTL, while which another peer
// could not write. It is given its time from the end of the outage on, and this
// peer's, too.
func TestShortOutage(t *testing.T) {
	for _, tt := range []struct {
		mine, its       time.Duration // intervals
		outage, silence time.Duration
	}{
		{interval, interval, 15 * time.Second, 18 * time.Second},
		{time.Second, interval, 8 * time.Second, 15 * time.Second},
		{interval, time.Second, 8 * time.Second, 15 * time.Second},
	} {
		inBubble(t, func(t *testing.T, db *table) {
			opts := options(db, "A")
			opts.Interval = tt.mine
			a := startPeer(t, opts)
			beat := int64(0)
			for range settled / time.Second {
				beat++
				beatBy(t, db, "B", beat, 2*tt.its)
				after(time.Second)
			}
			after(4 * time.Second / 10)
			if tt.its > time.Second {
				after(4 * time.Second)
			}
			db.set(func(db *table) { db.readErr = errDown })
			after(tt.outage)
			db.set(func(db *table) { db.readErr = nil })
			after(tt.silence - time.Second)
			wantAlerts(t, a)
			wantPeers(t, a, "A", "B")
			after(time.Minute)
			wantAlerts(t, a, "B")
		})
	}
}

// TestSlowRead: what a read says was so when it began, not when it ended.
func TestSlowRead(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		begin := time.Now()
		at := func(d time.Duration) { after(time.Until(begin.Add(d))) }
		for i := range int64(5) {
			at(time.Duration(i)*interval + 4900*time.Millisecond)
			beatBy(t, db, "B", i+1, ttl)
		}
		at(54 * time.Second) // last heard of at 45 s
		db.set(func(db *table) { db.stall = 14 * time.Second })
		at(55100 * time.Millisecond) // a little late
		beatBy(t, db, "B", 6, ttl)
		at(69100 * time.Millisecond)
		wantAlerts(t, a)
		wantPeers(t, a, "A", "B")
	})
}

// TestReadsInOrder: an answer that comes late does not undo what is known.
func TestReadsInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		beatBy(t, db, "B", 1, time.Hour)
		after(interval)
		wantPeers(t, a, "A", "B")
		db.set(func(db *table) { db.stall = 4 * time.Second })
		after(interval/2 + time.Second) // the read is under way
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Fatal(err)
		}
		wantPeers(t, a, "A")
		after(time.Until(time.Now().Truncate(interval/2).Add(interval/2)) - time.Millisecond)
		wantPeers(t, a, "A")
	})
}

// TestHangingReads are an outage, too.
func TestHangingReads(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		slow := &pausing{table: db, onlyReads: true}
		a := startPeer(t, options(slow, "A"))
		startPeer(t, options(db, "B"))
		after(settled)
		until := time.Now().Add(10 * time.Minute)
		slow.until.Store(&until)
		after(time.Minute)
		if !a.View().Frozen {
			t.Error("it judges others while a read hangs")
		}
		after(20 * time.Minute)
		wantAlerts(t, a)
		wantPeers(t, a, "A", "B")
	})
}

// pausing stops a whole process by making its calls of the table take long.
type pausing struct {
	*table
	until     atomic.Pointer[time.Time]
	onlyReads bool
}

func (p *pausing) pause() {
	if until := p.until.Load(); until != nil {
		time.Sleep(time.Until(*until))
	}
}

func (p *pausing) ListMembers(ctx context.Context) ([]state.Member, error) {
	rows, err := p.table.ListMembers(ctx)
	p.pause()
	return rows, err
}

func (p *pausing) Beat(ctx context.Context, id peer.ID, h state.Heartbeat) error {
	if !p.onlyReads {
		p.pause()
	}
	return p.table.Beat(ctx, id, h)
}

// TestPausedProcess: one that stood still, as by SIGSTOP, takes nobody for dead
// when it goes on, though it sees what it had asked for long ago.
func TestPausedProcess(t *testing.T) {
	for _, length := range []time.Duration{ttl - time.Second, ttl + interval, time.Hour} {
		for offset := range 10 {
			inBubble(t, func(t *testing.T, db *table) {
				slow := &pausing{table: db}
				a := startPeer(t, options(slow, "A"))
				time.Sleep(time.Duration(offset) * time.Second)
				b := startPeer(t, options(db, "B"))
				after(settled + time.Millisecond)
				until := time.Now().Add(length)
				slow.until.Store(&until)
				after(length + time.Millisecond)
				wantAlerts(t, a)
				wantPeers(t, a, "A", "B")
				if length > ttl+interval && !a.View().Frozen {
					t.Errorf("after %s it judges at once", length)
				}
				after(settled)
				wantAlerts(t, a)
				wantPeers(t, a, "A", "B")
				if length > ttl {
					wantAlerts(t, b, "A")
				}
			})
		}
	}
}

// TestRestart within the TTL is no death, and the old process's heartbeats are
// not those of the new one.
func TestRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		b := startPeer(t, options(db, "B"))
		after(settled)
		stop(t, b)
		after(ttl / 2)
		b = startPeer(t, options(db, "B"))
		after(time.Minute)
		wantAlerts(t, a)
		wantPeers(t, a, "A", "B")
		if p := get(t, a, "B"); p.Incarnation != b.incarnation {
			t.Errorf("the view says %v", p)
		}
		stop(t, b)
		// The identity is taken, but that process never works; the one
		// before goes on to send.
		mustClaim(t, options(db, "B"))
		for beat := range int64(10) {
			h := state.Heartbeat{Incarnation: b.incarnation, Beat: 100 + beat, TTL: ttl}
			if err := db.Beat(t.Context(), "B", h); err != nil {
				t.Fatal(err)
			}
			after(interval / 2)
		}
		wantAlerts(t, a, "B")
		wantPeers(t, a, "A")
	})
}

// TestOthersTTL: each peer is judged by its own TTL, and one that beats seldom
// is given the time after an outage, too.
func TestOthersTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		quick := options(db, "Q")
		quick.Interval = time.Second
		q, a := startPeer(t, quick), startPeer(t, options(db, "A"))
		begin := time.Now()
		after(time.Second)
		publish(t, q, "disk", "q", 2*time.Second)
		publish(t, a, "disk", "a", time.Minute)
		for range 200 {
			after(500 * time.Millisecond)
			publish(t, q, "disk", "q", 2*time.Second)
			publish(t, a, "disk", "a", time.Minute)
			wantPeers(t, q, "A", "Q")
			if time.Since(begin) > interval {
				wantValues(t, a, "disk", "A=a", "Q=q")
				wantValues(t, q, "disk", "A=a", "Q=q")
			}
		}
		db.fail(errDown)
		after(time.Minute)
		db.fail(nil)
		after(settled)
		wantAlerts(t, a)
		wantAlerts(t, q)
	})
}

func TestLost(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		var lost []error
		opts := options(db, "A")
		opts.Lost = func(err error) { lost = append(lost, err) }
		a := startPeer(t, opts)
		after(settled)
		if lost != nil {
			t.Fatal(lost)
		}
		db.edit("A", func(m *state.Member) { m.Incarnation, m.Instance = state.Incarnation{4}, "thief:/data" })
		after(interval)
		_, beats, _ := db.counts()
		after(time.Hour)
		publish(t, a, "ping", "x", time.Minute)
		after(time.Second)
		if len(lost) != 1 {
			t.Fatalf("Lost was called %d times", len(lost))
		}
		wantRefused(t, lost[0], peer.ID("A").String(), "thief:/data")
		if _, now, _ := db.counts(); now != beats {
			t.Errorf("%d more heartbeats", now-beats)
		}
		// Upstream must not think that this peer was removed: it would clean up.
		wantPeers(t, a, "A")
		wantValues(t, a, "ping")
		if len(a.View().Live()) != 0 {
			t.Error("it still takes itself for alive")
		}
	})
}

// TestTakenOver: the first of two processes of one folder is told.
func TestTakenOver(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		lost := make(chan error, 2)
		opts := options(db, "A")
		opts.Lost = func(err error) { lost <- err }
		startPeer(t, opts)
		after(settled)
		second := startPeer(t, options(db, "A"))
		after(time.Minute)
		if len(lost) != 1 {
			t.Errorf("Lost was called %d times", len(lost))
		}
		if !second.mayBeat() {
			t.Error("the second one lost it, too")
		}
	})
}

func TestRemovedSelf(t *testing.T) {
	for name, remove := range map[string]func(*table){
		"removed": func(db *table) {
			db.edit("A", func(m *state.Member) { m.Removed, m.Incarnation = time.Now(), state.Incarnation{5} })
		},
		"same incarnation": func(db *table) { db.edit("A", func(m *state.Member) { m.Removed = time.Now() }) },
		"vanished":         func(db *table) { db.set(func(db *table) { delete(db.rows, "A") }) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, db *table) {
				opts := options(db, "A")
				opts.Lost = func(err error) { t.Errorf("Lost(%v)", err) }
				a := startPeer(t, opts)
				startPeer(t, options(db, "B"))
				publish(t, a, "ping", "a", time.Minute)
				after(settled)
				db.set(func(db *table) { db.readErr = errDown })
				remove(db)
				after(interval)
				wantPeers(t, a, "A", "B") // no read has said so
				db.set(func(db *table) { db.readErr = nil })
				after(interval)
				wantPeers(t, a, "B")
				wantValues(t, a, "ping")
				_, before, _ := db.counts()
				after(settled)
				if _, now, _ := db.counts(); now-before > 4 { // of B
					t.Errorf("%d heartbeats", now-before)
				}
			})
		})
	}
}

// TestAlertsAreBounded: nobody reads them.
func TestAlertsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		for i := range alertsKept + 20 {
			id := peer.ID(fmt.Sprintf("%03d", i))
			db.edit(id, func(m *state.Member) { *m = holder(id) })
		}
		a := startPeer(t, options(db, "A"))
		after(5 * time.Minute)
		wantPeers(t, a, "A")
		if n := len(a.Alerts()); n != alertsKept {
			t.Errorf("%d alerts wait", n)
		}
	})
}

func TestShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := mustClaim(t, options(db, "A"))
		stop(t, a)
		a.Start(nil) // too late
		after(time.Minute)
		if reads, _, _ := db.counts(); reads != 2 { // those of Claim
			t.Errorf("%d reads", reads)
		}
		b := mustClaim(t, options(db, "B"))
		b.Start(nil)
		b.Start(nil)
		after(time.Minute)
		stop(t, b)
		stop(t, b)
		reads, beats, _ := db.counts()
		after(time.Minute)
		if r, w, _ := db.counts(); r != reads || w != beats {
			t.Errorf("%d reads and %d heartbeats after Shutdown", r-reads, w-beats)
		}
		select {
		case _, ok := <-b.Alerts():
			t.Errorf("the alerts gave something: %v", ok)
		default:
		}
		// A call that hangs does not hold up Shutdown for ever.
		c := mustClaim(t, options(db, "C"))
		db.set(func(db *table) { db.stall = time.Hour })
		c.Start(nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown returns %v", err)
		}
		time.Sleep(time.Hour)
	})
}

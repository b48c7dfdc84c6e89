package membership

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// holder is a row of another host, with a heartbeat.
func holder(id peer.ID) state.Member {
	return state.Member{
		ID: id, Name: "old", Role: RoleAPI, Addresses: []string{"/ip4/10.0.0.1/tcp/9096"},
		Incarnation: state.Incarnation{1}, Instance: "elsewhere:/data",
		Beat: 7, BeatOf: state.Incarnation{1}, TTL: 40 * time.Second,
	}
}

func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("the identity was taken")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %s", part, err)
		}
	}
}

func TestClaimNew(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		begin := time.Now()
		m := mustClaim(t, options(db, "A"))
		row := db.row("A")
		want := state.Member{
			ID: "A", Name: "name-A", Role: RoleFull, Incarnation: m.incarnation, Instance: "host-A",
			Beat: taken, BeatOf: m.incarnation, TTL: ttl,
		}
		if fmt.Sprint(row) != fmt.Sprint(want) || m.incarnation == (state.Incarnation{}) {
			t.Errorf("the row is %v, want %v", row, want)
		}
		if reads, beats, _ := db.counts(); reads != 2 || beats != 1 || time.Since(begin) > 0 {
			t.Errorf("%d reads, %d heartbeats, %s", reads, beats, time.Since(begin))
		}
		wantPeers(t, m, "A") // before Start
		if v := m.View(); !v.Frozen || len(v.Peers) != 1 || v.Self != "A" {
			t.Errorf("the view is %v", v)
		}
		if m, err := newMonitor(options(db, "B")); err != nil {
			t.Error(err)
		} else if _, err := m.Peers(t.Context()); err == nil || !m.View().Frozen {
			t.Error("Peers has an answer before the first read")
		}
	})
}

func TestClaimOptions(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"no table": func(o *Options) { o.Members = nil }, "no ID": func(o *Options) { o.ID = "" },
		"no interval": func(o *Options) { o.Interval = 0 }, "role": func(o *Options) { o.Role = "boss" },
	} {
		opts := options(newTable(), "A")
		spoil(&opts)
		if _, err := Claim(t.Context(), opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestClaimHeld: what becomes of a row that is there.
func TestClaimHeld(t *testing.T) {
	removed := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		row     func(*state.Member)
		rejoin  bool
		during  func(*table) // 12 s after the start
		took    time.Duration
		refused []string
	}{
		{name: "same instance", row: func(m *state.Member) { m.Instance = "host-A" }},
		{name: "ran out", row: func(m *state.Member) { m.Beat = 0 }},
		{name: "stopped", took: 40*time.Second + interval},
		{name: "runs out meanwhile", during: func(db *table) {
			db.edit("A", func(m *state.Member) { *m = identity(*m) })
		}, took: 15 * time.Second},
		{name: "runs", during: func(db *table) {
			db.edit("A", func(m *state.Member) { m.Beat++ })
		}, refused: []string{
			"peer ID " + peer.ID("A").String() + " is in use by elsewhere:/data, which sent a heartbeat 5 s ago",
			"stop that peer, or give this one an identity of its own",
		}},
		{name: "restarted", during: func(db *table) {
			db.edit("A", func(m *state.Member) { m.Incarnation, m.Instance = state.Incarnation{2}, "third" })
		}, refused: []string{"in use by third, which took it 5 s ago"}},
		{name: "database was down", during: func(db *table) {
			db.fail(errDown)
			time.Sleep(time.Minute)
			db.fail(nil)
		}, took: 12*time.Second + time.Minute + 40*time.Second + interval},
		{name: "removed", row: func(m *state.Member) { m.Removed = removed; m.Instance = "host-A" },
			refused: []string{"removed from the cluster on 2026-03-04T05:06:07Z", "--bootstrap"}},
		{name: "removed, rejoins", rejoin: true, row: func(m *state.Member) { m.Removed, m.Beat = removed, 0 }},
		{name: "removed while it waits", during: func(db *table) {
			db.edit("A", func(m *state.Member) { m.Removed, m.Incarnation = removed, state.Incarnation{3} })
		}, refused: []string{"removed"}},
		{name: "removed while it waits, rejoins", rejoin: true, during: func(db *table) {
			db.edit("A", func(m *state.Member) { m.Removed, m.Incarnation = removed, state.Incarnation{3} })
		}, took: 15*time.Second + 40*time.Second + interval},
		{name: "leaving, rejoins", rejoin: true, row: func(m *state.Member) { m.Leaving, m.Beat = removed, 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, db *table) {
				db.edit("A", func(m *state.Member) {
					*m = holder("A")
					if tt.row != nil {
						tt.row(m)
					}
				})
				if tt.during != nil {
					go func() {
						time.Sleep(12 * time.Second)
						tt.during(db)
					}()
				}
				opts := options(db, "A")
				opts.Rejoin = tt.rejoin
				begin := time.Now()
				m, err := Claim(t.Context(), opts)
				took := time.Since(begin)
				if tt.during != nil {
					time.Sleep(2 * time.Minute)
					synctest.Wait()
				}
				if tt.refused != nil {
					wantRefused(t, err, tt.refused...)
					if row := db.row("A"); row.Name != "old" {
						t.Errorf("the row was changed to %v", row)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if took < tt.took || took > tt.took+lastRetry {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				row := db.row("A")
				if row.Incarnation != m.incarnation || row.Instance != "host-A" || row.Name != "name-A" || row.Role != RoleFull ||
					!row.Removed.IsZero() || !row.Leaving.IsZero() || len(row.Addresses) != 1 {
					t.Errorf("the row is %v", row)
				}
			})
		})
	}
}

// TestClaimTells: why it waits, for the database and for the process that had the identity.
func TestClaimTells(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		db.edit("A", func(m *state.Member) { *m = holder("A") })
		db.fail(errDown)
		go func() {
			time.Sleep(time.Minute)
			db.fail(nil)
		}()
		var told []string
		opts := options(db, "A")
		opts.Waiting = func(err error) {
			if text := err.Error(); len(told) == 0 || told[len(told)-1] != text {
				told = append(told, text)
			}
		}
		mustClaim(t, opts)
		if len(told) != 2 || !strings.Contains(told[0], errDown.Error()) || !strings.Contains(told[1], "another process, elsewhere:/data, has the identity of peer") {
			t.Errorf("told %q", told)
		}
	})
}

// TestClaimLeaving: a restart does not end the hand-over.
func TestClaimLeaving(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		leaving := time.Now()
		db.edit("A", func(m *state.Member) { *m = holder("A"); m.Leaving, m.Instance = leaving, "host-A" })
		mustClaim(t, options(db, "A"))
		if row := db.row("A"); !row.Leaving.Equal(leaving) {
			t.Errorf("the row is %v", row)
		}
	})
}

func TestClaimRetries(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		db.set(func(db *table) { db.readErr = errDown })
		go func() {
			time.Sleep(10 * time.Minute)
			db.set(func(db *table) { db.readErr, db.putErr = nil, errDown })
			time.Sleep(10 * time.Minute)
			db.set(func(db *table) { db.putErr, db.lostAnswer = nil, true })
		}()
		begin := time.Now()
		m := mustClaim(t, options(db, "A"))
		if took := time.Since(begin); took < 20*time.Minute || took > 20*time.Minute+2*lastRetry {
			t.Errorf("took %s", took)
		}
		if row := db.row("A"); row.Incarnation != m.incarnation {
			t.Errorf("the row is %v", row)
		}
		// The pauses grow: 20 minutes are not 12000 tries.
		if reads, _, puts := db.counts(); reads > 300 || puts > 150 || puts < 100 {
			t.Errorf("%d reads, %d writes", reads, puts)
		}
	})
	inBubble(t, func(t *testing.T, db *table) {
		db.fail(errDown)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := Claim(ctx, options(db, "A"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) {
			t.Errorf("the end of the context gives %v", err)
		}
	})
	inBubble(t, func(t *testing.T, db *table) { // also while a holder is watched
		db.edit("A", func(m *state.Member) { *m = holder("A") })
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if _, err := Claim(ctx, options(db, "A")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the end of the context gives %v", err)
		}
	})
}

// TestClaimRace: of many that take an identity at once, one has it.
func TestClaimRace(t *testing.T) {
	for _, held := range []bool{false, true} {
		inBubble(t, func(t *testing.T, db *table) {
			if held {
				db.edit("A", func(m *state.Member) { *m = identity(holder("A")) })
			}
			var mu sync.Mutex
			var won []*Monitor
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					opts := options(db, "A")
					opts.Instance = fmt.Sprint("host ", i)
					m, err := Claim(t.Context(), opts)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, m)
						m.Start(nil)
					} else if !strings.Contains(err.Error(), "in use by host ") {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 || db.row("A").Incarnation != won[0].incarnation {
				t.Errorf("%d have the identity", len(won))
			}
			for _, m := range won {
				stop(t, m)
			}
		})
	}
	// One read before the other wrote, and writes after.
	inBubble(t, func(t *testing.T, db *table) {
		db.beforePut = func() { mustClaim(t, options(db, "A")) }
		opts := options(db, "A")
		opts.Instance = "late"
		_, err := Claim(t.Context(), opts)
		wantRefused(t, err, "in use by host-A, which took it 1 s ago")
	})
}

// TestClaimManyDead: dead peers in the table cost nothing.
func TestClaimManyDead(t *testing.T) {
	count := func(dead int) (claim, all int) {
		inBubble(t, func(t *testing.T, db *table) {
			for i := range dead {
				id := peer.ID(fmt.Sprint("dead", i))
				db.edit(id, func(m *state.Member) {
					*m = holder(id)
					if i%2 == 0 {
						*m = identity(*m)
					}
				})
			}
			begin := time.Now()
			m := mustClaim(t, options(db, "A"))
			claim, _, _ = db.counts()
			m.Start(nil)
			defer stop(t, m)
			synctest.Wait()
			if _, err := m.Peers(t.Context()); err != nil {
				t.Error(err)
			}
			all, _, _ = db.counts()
			if took := time.Since(begin); took > 0 {
				t.Errorf("with %d dead peers it takes %s", dead, took)
			}
		})
		return claim, all
	}
	claim0, all0 := count(0)
	claim50, all50 := count(50)
	if claim0 != claim50 || all0 != all50 {
		t.Errorf("reads with 50 dead peers: %d and %d, without: %d and %d", claim50, all50, claim0, all0)
	}
}

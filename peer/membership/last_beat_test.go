package membership

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// wantDeadFor compares for how long a peer was dead, as exactly as that is known.
func wantDeadFor(t *testing.T, what string, m *Monitor, id peer.ID, want time.Duration) {
	t.Helper()
	v := m.View()
	p, ok := v.Get(id)
	if !ok || !p.Dead() {
		t.Fatalf("%s: %s is %v, want it dead", what, id, p)
	}
	// It is found dead some time after it died.
	const exact = DefaultLastBeatEvery + settled + interval
	if got := v.DeadFor(p); got < want-exact || got > want+exact {
		t.Errorf("%s: %s is dead for %s, want %s", what, id, got, want)
	}
}

func startPeers(t *testing.T, db *table, ids ...peer.ID) map[peer.ID]*Monitor {
	t.Helper()
	all := make(map[peer.ID]*Monitor)
	for _, id := range ids {
		all[id] = startPeer(t, mover(db, id))
	}
	return all
}

// TestDeadForAcrossRestarts: a process that starts while another peer is dead knows
// for how long that was.
func TestDeadForAcrossRestarts(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		all := startPeers(t, db, "A", "B", "C")
		a := all["A"]
		after(2 * time.Hour)
		stop(t, all["B"])
		after(30 * time.Minute)
		wantDeadFor(t, "seen", a, "B", 30*time.Minute)
		if !get(t, a, "B").Seen {
			t.Error("it was not seen live")
		}
		for _, dead := range []time.Duration{30 * time.Minute, 50 * time.Minute, 70 * time.Minute} {
			stop(t, a)
			a = startPeer(t, mover(db, "A"))
			after(settled)
			if get(t, a, "B").Seen {
				t.Error("it was seen live")
			}
			wantDeadFor(t, "after a restart", a, "B", dead)
			after(20*time.Minute - settled)
			wantDeadFor(t, "later", a, "B", dead+20*time.Minute)
		}
	})
}

// TestHeartbeatOfBefore: the heartbeat of before the start of a process, which has not run
// out, says that a peer is alive, and not that it was seen: both may have lost power.
func TestHeartbeatOfBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		all := startPeers(t, db, "A", "B", "C")
		after(2 * time.Hour)
		for _, id := range []peer.ID{"A", "B"} {
			stop(t, all[id])
		}
		a := startPeer(t, mover(db, "A"))
		if p := get(t, a, "B"); !p.Live || p.Seen {
			t.Errorf("at first sight it is %v", p)
		}
		after(settled)
		if p := get(t, a, "B"); !p.Dead() || p.Seen {
			t.Errorf("when its heartbeat has run out it is %v", p)
		}
		wantDeadFor(t, "the one that did not return", a, "B", settled)
		if p := get(t, a, "C"); !p.Live || !p.Seen {
			t.Errorf("the one that ran on is %v", p)
		}
		after(20 * time.Minute)
		wantDeadFor(t, "later", a, "B", 20*time.Minute+settled)
		startPeer(t, mover(db, "B"))
		after(interval)
		if p := get(t, a, "B"); !p.Live || !p.Seen {
			t.Errorf("when it is back it is %v", p)
		}
	})
}

// TestTimeWithoutPowerIsNone for whoever comes back first, second or later, and so is
// that in which nobody runs who could act on a death.
func TestTimeWithoutPowerIsNone(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, db *table){
		"nobody runs": func(*testing.T, *table) { after(8 * time.Hour) },
		"an API peer runs": func(t *testing.T, db *table) {
			opts := mover(db, "api")
			opts.Role = RoleAPI
			api := startPeer(t, opts)
			after(8 * time.Hour)
			stop(t, api)
		},
		"a follower runs": func(t *testing.T, db *table) {
			opts := mover(db, "follower")
			opts.Role = RoleFollower
			follower := startPeer(t, opts)
			after(8 * time.Hour)
			stop(t, follower)
		},
		"a peer without repinning runs": func(t *testing.T, db *table) {
			a := startPeer(t, options(db, "A"))
			after(8 * time.Hour)
			wantDeadFor(t, "where repinning is disabled", a, "C", 0)
			stop(t, a)
		},
		"one of which repinning is enabled runs": func(t *testing.T, db *table) {
			var moves atomic.Bool
			opts := options(db, "A")
			opts.HandOver = moves.Load
			a := startPeer(t, opts)
			after(8 * time.Hour)
			moves.Store(true)
			after(time.Minute)
			stop(t, a)
		},
		"two short starts": func(t *testing.T, db *table) {
			for range 2 {
				after(4 * time.Hour)
				b := startPeer(t, mover(db, "B"))
				after(time.Minute)
				stop(t, b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, db *table) {
				all := startPeers(t, db, "A", "B", "C", "D")
				after(2 * time.Hour)
				for _, m := range all {
					stop(t, m)
				}
				meanwhile(t, db)
				a := startPeer(t, mover(db, "A"))
				after(2 * time.Minute)
				wantDeadFor(t, "the first", a, "C", 2*time.Minute)
				b := startPeer(t, mover(db, "B"))
				after(2 * time.Minute)
				wantDeadFor(t, "the second", b, "C", 4*time.Minute)
				after(40 * time.Minute)
				wantDeadFor(t, "the first, later", a, "C", 44*time.Minute)
				wantDeadFor(t, "the second, later", b, "C", 44*time.Minute)
				d := startPeer(t, mover(db, "D"))
				after(30 * time.Minute)
				wantDeadFor(t, "the third", d, "C", 74*time.Minute)
				if p := get(t, d, "A"); !p.Live || !p.Seen {
					t.Errorf("the third takes the first for %v", p)
				}
			})
		})
	}
}

// TestOneWithoutRepinningRunsOn: who starts after it, or beside it, takes nobody for dead
// for longer than some peer that moves pins could judge.
func TestOneWithoutRepinningRunsOn(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		all := startPeers(t, db, "A", "B", "C", "D")
		after(2 * time.Hour)
		for _, m := range all {
			stop(t, m)
		}
		after(8 * time.Hour)
		var moves atomic.Bool
		opts := options(db, "A")
		opts.HandOver = moves.Load
		a := startPeer(t, opts)
		after(48 * time.Hour)
		b := startPeer(t, mover(db, "B"))
		after(2 * time.Minute)
		for _, id := range []peer.ID{"C", "D"} {
			wantDeadFor(t, "the second", b, id, 2*time.Minute)
		}
		after(28 * time.Minute)
		wantDeadFor(t, "the second, later", b, "C", 30*time.Minute)
		wantDeadFor(t, "the first", a, "C", 30*time.Minute)
		moves.Store(true)
		after(10 * time.Minute)
		wantDeadFor(t, "the first, enabled", a, "C", 40*time.Minute)
		wantDeadFor(t, "the second, then", b, "C", 40*time.Minute)
	})
}

// TestTimeOfAnOutageIsNone: while the database is away nobody is dead for longer, also
// for one that was down by then.
func TestTimeOfAnOutageIsNone(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		all := startPeers(t, db, "A", "B", "C")
		a := all["A"]
		after(time.Hour)
		stop(t, all["C"])
		after(10 * time.Minute)
		db.fail(errDown)
		after(3 * time.Hour)
		db.fail(nil)
		after(10 * time.Minute)
		wantDeadFor(t, "seen", a, "C", 20*time.Minute)
		stop(t, a)
		a = startPeer(t, mover(db, "A"))
		after(settled)
		wantDeadFor(t, "after a restart", a, "C", 20*time.Minute)
	})
}

// TestClockOfABlindPeer follows that of the others, so that its death is not taken for
// an old one.
func TestClockOfABlindPeer(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		broken := &blind{table: db}
		b := startPeer(t, mover(broken, "B"))
		all := startPeers(t, db, "A", "C")
		after(time.Hour)
		broken.set(true)
		after(3 * time.Hour)
		broken.set(false)
		after(DefaultLastBeatEvery + settled)
		stop(t, b)
		stop(t, all["A"])
		after(time.Minute) // the last heartbeat runs out
		a := startPeer(t, mover(db, "A"))
		after(time.Minute)
		wantDeadFor(t, "the peer that was blind", a, "B", 2*time.Minute)
	})
}

// blind cuts one peer off from the table.
type blind struct {
	*table
	cut bool
}

func (b *blind) set(cut bool) { b.table.set(func(*table) { b.cut = cut }) }

func (b *blind) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut {
		return errDown
	}
	return nil
}

func (b *blind) ListMembers(ctx context.Context) ([]state.Member, error) {
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.table.ListMembers(ctx)
}

func (b *blind) Beat(ctx context.Context, id peer.ID, h state.Heartbeat) error {
	if err := b.err(); err != nil {
		return err
	}
	return b.table.Beat(ctx, id, h)
}

func (b *blind) PutLastBeat(ctx context.Context, id peer.ID, last state.LastBeat) error {
	if err := b.err(); err != nil {
		return err
	}
	return b.table.PutLastBeat(ctx, id, last)
}

func (b *blind) LastBeats(ctx context.Context, ids []peer.ID) (map[peer.ID]state.LastBeat, error) {
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.table.LastBeats(ctx, ids)
}

// TestDeadForWithoutNotes: of a peer of a version that makes none, the time counts
// from the start of whoever looks; while nobody can read notes, none counts.
func TestDeadForWithoutNotes(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		db.edit("old", func(m *state.Member) { *m = identity(holder("old")) })
		a := startPeer(t, mover(db, "A"))
		after(40 * time.Minute)
		wantDeadFor(t, "no note", a, "old", 40*time.Minute)

		db.set(func(db *table) { db.noteErr = errDown })
		b := startPeer(t, mover(db, "B"))
		after(2 * time.Hour)
		wantDeadFor(t, "notes that cannot be read", b, "old", 0)
		if _, ok := db.notes["B"]; ok {
			t.Error("it has made a note before it knew those of others")
		}
		db.set(func(db *table) { db.noteErr = nil })
		after(interval)
		wantDeadFor(t, "notes that can be read", b, "old", 2*time.Hour)
		after(DefaultLastBeatEvery + interval)
		if note := db.notes["B"]; note.At.IsZero() || note.At.Sub(db.notes["A"].At).Abs() > DefaultLastBeatEvery {
			t.Errorf("it noted %v, the other peer %v", note, db.notes["A"])
		}
	})
}

// TestNotes are made at the start, then every five minutes, by peers that hold pins. One
// that moves none repeats what it has read.
func TestNotes(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		opts := mover(db, "A")
		opts.Zone = "rack-1"
		startPeer(t, opts)
		first := db.note("A")
		if first.Zone != "rack-1" || first.At.IsZero() {
			t.Errorf("at its start it noted %v", first)
		}
		for _, role := range []string{RoleAPI, RoleFollower} {
			opts := mover(db, peer.ID(role))
			opts.Role, opts.Zone = role, "rack-2"
			startPeer(t, opts)
		}
		opts = options(db, "idle")
		opts.Zone = "rack-2"
		startPeer(t, opts)
		for _, id := range []peer.ID{RoleFollower, "idle"} {
			if note := db.note(id); note.At != first.At || note.Zone != "rack-2" {
				t.Errorf("a peer that moves nothing (%s) noted %v", string(id), note)
			}
		}
		after(DefaultLastBeatEvery - time.Second)
		if note := db.note("A"); note != first {
			t.Errorf("it noted %v in between", note)
		}
		after(2 * time.Second)
		if d := db.note("A").At.Sub(first.At); d < DefaultLastBeatEvery-settled || d > DefaultLastBeatEvery {
			t.Errorf("it noted a time %s later", d)
		}
		if note := db.note(RoleAPI); note != (state.LastBeat{}) {
			t.Errorf("a peer that holds no pins noted %v", note)
		}
		b := startPeer(t, mover(db, "B"))
		if p := get(t, b, "A"); p.Zone != "rack-1" {
			t.Errorf("the zone of the first is %q", p.Zone)
		}
	})
}

func (t *table) note(id peer.ID) state.LastBeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notes[id]
}

func TestContradiction(t *testing.T) {
	in := func(id peer.ID, zone string) Peer {
		return Peer{ID: id, Name: "name-" + string(id), Role: RoleFull, Live: true, Zone: zone}
	}
	dead, api, removed := in("d", ""), in("e", ""), in("f", "")
	dead.Live, api.Role, removed.Removed = false, RoleAPI, true
	for name, c := range map[string]struct {
		peers []Peer
		want  string
	}{
		"none has one":     {[]Peer{in("a", ""), in("b", "")}, ""},
		"all have one":     {[]Peer{in("a", "x"), in("b", "y"), dead, api, removed}, ""},
		"some have one":    {[]Peer{in("a", ""), in("b", "x"), in("c", "")}, `peer b (name-b) is in zone "x"; in none: 2, such as peer a (name-a)`},
		"nobody else runs": {[]Peer{in("a", "x"), dead}, ""},
	} {
		// A peer ID is printed in its own encoding.
		want := c.want
		for _, id := range []peer.ID{"a", "b"} {
			want = strings.ReplaceAll(want, "peer "+string(id)+" ", "peer "+id.String()+" ")
		}
		if got := contradiction(c.peers); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func incarnation(n byte) state.Incarnation { return state.Incarnation{15: n} }

func member(label string, inc state.Incarnation) state.Member {
	return state.Member{
		ID: statetest.Peer(label), Name: label, Role: "full", Addresses: []string{"/ip4/10.0.0.1/tcp/9096", "/ip6/::1/tcp/9096"},
		Incarnation: inc, Instance: "host:/folder",
	}
}

// listed returns the member with the ID, nil when it is not there.
func listed(t *testing.T, s *Store, id peer.ID) *state.Member {
	t.Helper()
	all, err := s.ListMembers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found *state.Member
	for _, m := range all {
		if m.ID != id {
			continue
		}
		if found != nil {
			t.Fatalf("%s is listed twice", id)
		}
		found = &m
	}
	return found
}

func wantMember(t *testing.T, s *Store, what string, want state.Member) {
	t.Helper()
	got := listed(t, s, want.ID)
	if got == nil {
		t.Fatalf("%s: it is not listed", what)
	}
	if !got.Leaving.Equal(want.Leaving) || !got.Removed.Equal(want.Removed) {
		t.Errorf("%s: leaving %s, removed %s, want %s, %s", what, got.Leaving, got.Removed, want.Leaving, want.Removed)
	}
	got.Leaving, got.Removed = want.Leaving, want.Removed
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("%s: is %+v, want %+v", what, *got, want)
	}
}

// TestMembers takes a peer through its life: it joins, starts again, leaves, is
// removed and comes back.
func TestMembers(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	var none state.Member
	refused := func(what string, m, was state.Member) {
		t.Helper()
		before := listed(t, s, m.ID)
		if err := s.PutMember(ctx, m, was); !errors.Is(err, state.ErrMemberChanged) {
			t.Errorf("%s: %v", what, err)
		}
		if after := listed(t, s, m.ID); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: is now %+v", what, after)
		}
	}
	m := member("a", incarnation(1))
	refused("nobody is changed", m, member("a", incarnation(9)))
	must(t, s.PutMember(ctx, m, none))
	wantMember(t, s, "joined", m)
	refused("joined again", m, none)
	other := member("b", incarnation(7))
	other.Addresses, other.Name = nil, ""
	must(t, s.PutMember(ctx, other, none))
	wantMember(t, s, "another", other)

	again := member("a", incarnation(2))
	again.Name, again.Addresses = "renamed", []string{"/ip4/10.0.0.2/tcp/9096"}
	must(t, s.PutMember(ctx, again, m))
	wantMember(t, s, "started again", again)
	refused("the old process", m, m)

	alive := again
	again.Leaving = time.UnixMilli(1_700_000_000_123)
	must(t, s.PutMember(ctx, again, alive))
	wantMember(t, s, "leaving", again)
	restarted := member("a", incarnation(3))
	refused("a process that starts and has not seen that the peer is to leave", restarted, alive)
	refused("new addresses, the same", alive, alive)
	must(t, s.PutMember(ctx, alive, again))
	wantMember(t, s, "not leaving", alive)
	refused("a stale removal", again, again)

	again = alive
	again.Removed = time.UnixMilli(1_700_000_001_456)
	must(t, s.PutMember(ctx, again, alive))
	wantMember(t, s, "removed", again)
	must(t, s.PutMember(ctx, again, again))
	wantMember(t, s, "removed twice", again)
	refused("the removed process brings itself back", alive, alive)

	beat := state.Heartbeat{Incarnation: again.Incarnation, Beat: 5, TTL: time.Hour, Metrics: []byte("m")}
	must(t, s.Beat(ctx, again.ID, beat))
	again.Beat, again.BeatOf, again.TTL, again.Metrics = 5, beat.Incarnation, time.Hour, beat.Metrics
	wantMember(t, s, "a heartbeat of a removed one", again)

	back := member("a", incarnation(3))
	must(t, s.PutMember(ctx, back, again))
	back.Beat, back.BeatOf, back.TTL, back.Metrics = again.Beat, again.BeatOf, again.TTL, again.Metrics
	wantMember(t, s, "back", back)
	wantMember(t, s, "another, still", other)
}

// TestHeartbeats shows what a heartbeat leaves, and that it runs out.
func TestHeartbeats(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	m := member("a", incarnation(1))
	nobody := statetest.Peer("nobody")
	must(t, s.Beat(ctx, nobody, state.Heartbeat{Incarnation: incarnation(1), Beat: 1, TTL: time.Hour}))
	if listed(t, s, nobody) != nil {
		t.Error("a heartbeat made a member")
	}
	must(t, s.PutMember(ctx, m, state.Member{}))
	must(t, s.Beat(ctx, m.ID, state.Heartbeat{Incarnation: incarnation(1), Beat: 1, TTL: 90500 * time.Millisecond, Metrics: []byte("metrics")}))
	seen := m
	seen.Beat, seen.BeatOf, seen.TTL, seen.Metrics = 1, incarnation(1), 90500*time.Millisecond, []byte("metrics")
	wantMember(t, s, "a heartbeat", seen)
	var left int
	must(t, s.db.Session.Query("SELECT TTL(beat) FROM beats WHERE shard = ? AND peer = ?", shardOfPeer(nobody), nobody.String()).Scan(&left))
	if left < 3500 || left > 3600 {
		t.Errorf("a heartbeat for an hour stays for %d s", left)
	}
	for ttl, want := range map[time.Duration]int{1: 1, time.Millisecond: 1, time.Second: 1, 2500 * time.Millisecond: 3, time.Hour: 3600, time.Hour + 1: 3601} {
		if got := wholeSeconds(ttl); got != want {
			t.Errorf("a heartbeat for %s stays for %d s, want %d", ttl, got, want)
		}
	}
	must(t, s.Beat(ctx, m.ID, state.Heartbeat{Incarnation: incarnation(1), Beat: 2, TTL: time.Second}))
	waitFor(t, "the heartbeat to run out", func() bool { return listed(t, s, m.ID).Beat == 0 })
	wantMember(t, s, "ran out", m)

	// Who joins where there are only heartbeats is new.
	must(t, s.PutMember(ctx, member("nobody", incarnation(4)), state.Member{}))
}

// TestMemberRace lets many processes take one identity at once.
func TestMemberRace(t *testing.T) {
	s := newTestStore(t)
	was := state.Member{}
	for round := range 3 {
		var won atomic.Int32
		var winner atomic.Int32
		var g errgroup.Group
		for i := range 8 {
			g.Go(func() error {
				m := member("a", incarnation(byte(1+round*8+i)))
				err := s.PutMember(context.Background(), m, was)
				if err == nil {
					won.Add(1)
					winner.Store(int32(m.Incarnation[15]))
				}
				if errors.Is(err, state.ErrMemberChanged) {
					err = nil
				}
				return err
			})
		}
		must(t, g.Wait())
		got := listed(t, s, statetest.Peer("a"))
		if won.Load() != 1 || got.Incarnation != incarnation(byte(winner.Load())) {
			t.Fatalf("%d processes took it, the last one that says so is %d; it is that of %v", won.Load(), winner.Load(), got.Incarnation)
		}
		was = *got
	}
}

// TestRowsThatAreNoPeers shows that they hide none.
func TestRowsThatAreNoPeers(t *testing.T) {
	s := newTestStore(t)
	m := member("a", incarnation(1))
	must(t, s.PutMember(t.Context(), m, state.Member{}))
	must(t, s.db.Session.Query("UPDATE peers SET incarnation = uuid() WHERE cluster = ? AND peer = '0'", peersPartition).Exec()) // the first row
	wantMember(t, s, "beside a row without a peer ID", m)
	for i := range membersPage {
		must(t, s.PutMember(t.Context(), member(fmt.Sprint(i), incarnation(1)), state.Member{}))
	}
	if all, err := s.ListMembers(t.Context()); err != nil || len(all) != membersPage+1 {
		t.Errorf("%d peers are listed, want %d: %v", len(all), membersPage+1, err)
	}
}

func TestMemberBounds(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		want   string
		change func(*state.Member)
	}{
		{"", func(m *state.Member) {
			m.Name, m.Role, m.Instance = long(maxMemberName), long(100), long(maxMemberText)
		}},
		{"empty peer ID", func(m *state.Member) { m.ID = "" }},
		{"no incarnation", func(m *state.Member) { m.Incarnation = state.Incarnation{} }},
		{"its name has 257 bytes", func(m *state.Member) { m.Name = long(maxMemberName + 1) }},
		{"its role has 4097 bytes", func(m *state.Member) { m.Role = long(maxMemberText + 1) }},
		{"its instance has 4097 bytes", func(m *state.Member) { m.Instance = long(maxMemberText + 1) }},
		{"it has 65 addresses", func(m *state.Member) { m.Addresses = make([]string, maxMemberAddresses+1) }},
		{"an address has 1025 bytes", func(m *state.Member) { m.Addresses = []string{long(maxMemberAddress + 1)} }},
	} {
		m := member("a", incarnation(1))
		tt.change(&m)
		err := s.PutMember(ctx, m, state.Member{})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	for _, tt := range []struct {
		want   string
		change func(*state.Heartbeat)
	}{
		{"", func(h *state.Heartbeat) { h.Metrics = make([]byte, maxMetrics) }},
		{"its metrics have 65537 bytes", func(h *state.Heartbeat) { h.Metrics = make([]byte, maxMetrics+1) }},
		{"no incarnation", func(h *state.Heartbeat) { h.Incarnation = state.Incarnation{} }},
		{"its number is 0", func(h *state.Heartbeat) { h.Beat = 0 }},
		{"it is to count for 0s", func(h *state.Heartbeat) { h.TTL = 0 }},
		{"it is to count for 720h0m0.000000001s", func(h *state.Heartbeat) { h.TTL = maxBeatTTL + 1 }},
	} {
		h := state.Heartbeat{Incarnation: incarnation(1), Beat: 1, TTL: time.Minute}
		tt.change(&h)
		err := s.Beat(ctx, statetest.Peer("a"), h)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

// TestMemberResolve asks again after each fate that a write with a lost answer
// can have.
func TestMemberResolve(t *testing.T) {
	s := newTestStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the caller has left
	lost := errors.New("lost")
	resolve := func(what string, m, was state.Member, want bool) {
		t.Helper()
		mine, err := s.resolveMember(ctx, m, was, lost)
		if err != nil || mine != want {
			t.Errorf("%s: mine %t, %v", what, mine, err)
		}
	}
	m, was := member("a", incarnation(1)), state.Member{}
	resolve("never applied", m, was, true)
	wantMember(t, s, "written again", m)
	resolve("applied", m, was, true)

	// The incarnation alone does not tell.
	removed := m
	removed.Removed = time.UnixMilli(1_700_000_000_000)
	must(t, s.PutMember(t.Context(), removed, m))
	resolve("removed meanwhile", m, was, false)
	wantMember(t, s, "removed meanwhile", removed)
	named := m
	named.Name = "renamed"
	resolve("a change of a removed one", named, m, false)
	resolve("removed", removed, m, true)

	back := member("a", incarnation(2))
	must(t, s.PutMember(t.Context(), back, removed))
	resolve("another process meanwhile", m, was, false)
	wantMember(t, s, "another process meanwhile", back)
	s.conf.RequestTimeout = 20 * time.Millisecond
	s.db.Close()
	mine, err := s.resolveMember(ctx, m, was, lost)
	if mine || !errors.Is(err, state.ErrOutcomeUnknown) || !errors.Is(err, lost) {
		t.Errorf("without a database: mine %t, %v", mine, err)
	}
}

// memberLostAnswer freezes the database until the caller of PutMember has given
// up: what it is told is what became of the write.
func memberLostAnswer(t *testing.T, own *cqltest.Own) {
	s := openStore(t, configOn(t, &own.Server, own.Keyspace(t)))
	m := member("a", incarnation(1))
	must(t, s.PutMember(t.Context(), member("warm", incarnation(1)), state.Member{}))

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	must(t, own.Cluster().Freeze(0))
	done := make(chan error, 1)
	go func() { done <- s.PutMember(ctx, m, state.Member{}) }()
	<-ctx.Done()
	must(t, own.Cluster().Resume(0))
	must(t, <-done)
	wantMember(t, s, "written", m)
	if err := s.PutMember(ctx, member("late", incarnation(1)), state.Member{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call after the end: %v", err)
	}
	if listed(t, s, statetest.Peer("late")) != nil {
		t.Error("a call after the end wrote")
	}

	s.conf.RequestTimeout = 2 * time.Second // it gives up soon
	checkOutageTold(t, s, func() error {
		must(t, own.Cluster().Freeze(0))
		return s.PutMember(t.Context(), member("b", incarnation(1)), state.Member{})
	})
	must(t, own.Cluster().Resume(0))
}

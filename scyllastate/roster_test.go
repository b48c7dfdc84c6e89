package scyllastate

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// beat sends a heartbeat and returns m as it is listed then.
func beat(t *testing.T, s *Store, m state.Member, inc state.Incarnation, number int64, metrics string) state.Member {
	t.Helper()
	h := state.Heartbeat{Incarnation: inc, Beat: number, TTL: time.Hour, Metrics: []byte(metrics)}
	must(t, s.Beat(t.Context(), m.ID, h))
	m.Beat, m.BeatOf, m.TTL, m.Metrics = number, inc, h.TTL, h.Metrics
	if metrics == "" {
		m.Metrics = nil
	}
	return m
}

// TestListingFollows shows that a store lists what another one has written since
// its last listing.
func TestListingFollows(t *testing.T) {
	conf := testConfig(t)
	s, other := openStore(t, conf), openStore(t, conf)
	m, still := member("a", incarnation(1)), member("b", incarnation(9))
	must(t, other.PutMember(t.Context(), m, state.Member{}))
	must(t, other.PutMember(t.Context(), still, state.Member{}))
	still = beat(t, other, still, incarnation(9), 3, "of b")
	follow := func(what string, want state.Member) {
		t.Helper()
		wantMember(t, s, what, want)
		wantMember(t, s, what+", again", want)
		wantMember(t, s, what+", another", still)
	}
	follow("no heartbeat", m)
	m = beat(t, other, m, incarnation(1), -1, "")
	follow("one without metrics", m)
	m = beat(t, other, m, incarnation(1), 1, "of 1")
	follow("metrics", m)
	m = beat(t, other, m, incarnation(1), 2, "of 2")
	follow("other metrics", m)
	m = beat(t, other, m, incarnation(1), 3, "of 2")
	follow("the same metrics", m)
	m = beat(t, other, m, incarnation(1), 4, "")
	follow("none any more", m)
	m = beat(t, other, m, incarnation(1), 5, "of 5")
	follow("some again", m)

	// A process that starts again counts from 1, like its predecessor.
	was := m
	m.Incarnation, m.Addresses = incarnation(2), []string{"/ip4/10.0.0.9/tcp/9096"}
	must(t, other.PutMember(t.Context(), m, was))
	follow("another process, without a heartbeat", m)
	for number, metrics := range []string{"new 1", "new 2", "of 2"} {
		m = beat(t, other, m, incarnation(2), int64(number+1), metrics)
		follow("another process", m)
	}
	was = m
	m.Removed = time.UnixMilli(1_700_000_000_000)
	must(t, other.PutMember(t.Context(), m, was))
	follow("removed", m)
	if n := len(s.roster.Load().metrics); n != 2 {
		t.Errorf("the metrics of %d peers are kept, want 2", n)
	}
	must(t, other.Beat(t.Context(), m.ID, state.Heartbeat{Incarnation: incarnation(2), Beat: 4, TTL: time.Second, Metrics: []byte("last")}))
	waitFor(t, "the heartbeat to run out", func() bool { return listed(t, s, m.ID).Beat == 0 })
	m.Beat, m.BeatOf, m.TTL, m.Metrics = 0, state.Incarnation{}, 0, nil
	follow("removed and silent", m)
	if kept := s.roster.Load().metrics; len(kept) != 1 || string(kept[still.ID].metrics) != "of b" {
		t.Errorf("the metrics %v are kept, want those of one peer", kept)
	}
}

// TestListingOfTornWrites lists what replicas may show while they repair each
// other: parts of a write, which later come together.
func TestListingOfTornWrites(t *testing.T) {
	s := newTestStore(t)
	m := member("a", incarnation(1))
	must(t, s.PutMember(t.Context(), m, state.Member{}))
	m = beat(t, s, m, incarnation(1), 1, "old")
	wantMember(t, s, "whole", m)
	write := func(text string, values ...any) {
		t.Helper()
		must(t, s.db.Session.Query(text, values...).Exec())
	}
	version := newUUID(time.Now())
	write("UPDATE peers SET latest = ? WHERE cluster = ?", version, peersPartition)
	wantMember(t, s, "the version alone", m)
	wantMember(t, s, "the version alone, again", m)
	write("UPDATE peers SET version = ?, name = 'renamed' WHERE cluster = ? AND peer = ?", version, peersPartition, m.ID.String())
	m.Name = "renamed"
	wantMember(t, s, "the row", m)
	if s.roster.Load().version != version {
		t.Error("the peers will be read again although nothing changes")
	}

	key := []any{shardOfPeer(m.ID), m.ID.String()}
	write("UPDATE beats SET beat = (?, ?, ?, ?) WHERE shard = ? AND peer = ?",
		append([]any{2, gocql.UUID(incarnation(1)), time.Hour.Milliseconds(), hashOfMetrics([]byte("new"))}, key...)...)
	m.Beat = 2
	wantMember(t, s, "a heartbeat with the metrics of the one before", m)
	write("UPDATE beats SET metrics = ? WHERE shard = ? AND peer = ?", append([]any{[]byte("new")}, key...)...)
	m.Metrics = []byte("new")
	wantMember(t, s, "the metrics", m)
}

// TestListingOfRowsByHand shows that a row which was not written by a peer is
// listed after a while.
func TestListingOfRowsByHand(t *testing.T) {
	s := newTestStore(t)
	m := member("a", incarnation(1))
	must(t, s.PutMember(t.Context(), m, state.Member{}))
	wantMember(t, s, "as it was", m)
	must(t, s.db.Session.Query("UPDATE peers SET name = 'by hand' WHERE cluster = ? AND peer = ?", peersPartition, m.ID.String()).Exec())
	now := time.Now().Add(rosterKept - 10*time.Second)
	s.now = func() time.Time { return now }
	wantMember(t, s, "too soon", m)
	now = now.Add(time.Minute)
	m.Name = "by hand"
	wantMember(t, s, "later", m)
}

// TestListingAtOnce lists from several goroutines while members change: each
// listing has at least what was acknowledged before it.
func TestListingAtOnce(t *testing.T) {
	conf := testConfig(t)
	s, other := openStore(t, conf), openStore(t, conf)
	const members, rounds = 20, 8
	var done [members]atomic.Int64
	first := make([]state.Member, members)
	for i := range first {
		first[i] = member(fmt.Sprint(i), incarnation(1))
		first[i].Name = "0"
		must(t, other.PutMember(t.Context(), first[i], state.Member{}))
	}
	index := make(map[string]int, members)
	for i, m := range first {
		index[m.ID.String()] = i
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers, readers errgroup.Group
	for i, m := range first {
		writers.Go(func() error {
			for n := int64(1); n <= rounds; n++ {
				if i%2 == 0 { // else it only sends heartbeats
					was := m
					m.Name = strconv.FormatInt(n, 10)
					m.Incarnation = incarnation(byte(n + 1))
					if err := other.PutMember(ctx, m, was); err != nil {
						return err
					}
				}
				h := state.Heartbeat{Incarnation: m.Incarnation, Beat: n, TTL: time.Hour, Metrics: []byte(strconv.FormatInt(n, 10))}
				if err := other.Beat(ctx, m.ID, h); err != nil {
					return err
				}
				done[i].Store(n)
			}
			return nil
		})
	}
	for range 4 {
		readers.Go(func() error {
			for ctx.Err() == nil {
				var least [members]int64
				for i := range least {
					least[i] = done[i].Load()
				}
				all, err := s.ListMembers(context.WithoutCancel(ctx))
				if err != nil || len(all) != members {
					return fmt.Errorf("%d peers are listed: %w", len(all), err)
				}
				for _, m := range all {
					i := index[m.ID.String()]
					name, _ := strconv.ParseInt(m.Name, 10, 64)
					metrics, _ := strconv.ParseInt(string(m.Metrics), 10, 64)
					if m.Beat < least[i] || metrics < least[i] || i%2 == 0 && name < least[i] {
						return fmt.Errorf("peer %d is listed with name %s, beat %d, metrics %s; %d were acknowledged", i, m.Name, m.Beat, m.Metrics, least[i])
					}
				}
			}
			return nil
		})
	}
	err := writers.Wait()
	stop()
	must(t, err)
	must(t, readers.Wait())
}

// TestShardOfPeer holds the shards, which stored rows depend on.
func TestShardOfPeer(t *testing.T) {
	seen := make(map[int]bool)
	for i := range 300 {
		shard := shardOfPeer(statetest.Peer(fmt.Sprint(i)))
		if shard < 0 || shard >= beatShards {
			t.Fatalf("there is no shard %d", shard)
		}
		seen[shard] = true
	}
	if len(seen) != beatShards {
		t.Errorf("300 peers lie in %d shards, want %d", len(seen), beatShards)
	}
	if got, hash := shardOfPeer(statetest.Peer("a")), hashOfMetrics([]byte("a")); got != 14 || hash != -3848465438864589366 {
		t.Errorf("shard %d, hash %d", got, hash)
	}
}

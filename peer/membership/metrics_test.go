package membership

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestHeartbeatsAreFew: what is published together is written together, and only
// a ping or a new name is worth a write of its own.
func TestHeartbeatsAreFew(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		expect := func(what string, want int) {
			t.Helper()
			_, got, _ := db.counts()
			if got != want {
				t.Errorf("%s: %d heartbeats, want %d", what, got, want)
			}
		}
		expect("at first", 2) // the announcement, and the first one
		for i := range 5 {
			publish(t, a, fmt.Sprint("new", i), "1", time.Hour)
		}
		publish(t, a, "ping", "1", time.Hour)
		after(50 * time.Millisecond)
		expect("new names", 3)
		publish(t, a, "new1", "2", time.Hour)
		after(interval / 2)
		expect("a known name", 3)
		publish(t, a, "ping", "2", time.Hour)
		after(50 * time.Millisecond)
		expect("a ping", 4)
		if metrics, err := decodeMetrics(db.row("A").Metrics); err != nil || len(metrics) != 6 || metrics[0].Value != "2" || metrics[2].Value != "2" {
			t.Errorf("%v, %v", metrics, err)
		}
		for range 10 {
			after(interval - 50*time.Millisecond)
			publish(t, a, "ping", "3", time.Hour)
			publish(t, a, "new1", "3", time.Hour)
			after(50 * time.Millisecond)
		}
		expect("ten pings in ten intervals", 14)
		after(10 * interval)
		expect("no pings in ten intervals", 24)
		// One that could not be written is not known yet.
		db.set(func(db *table) { db.beatErr = errDown })
		publish(t, a, "late", "1", time.Hour)
		after(100 * time.Millisecond)
		db.set(func(db *table) { db.beatErr = nil })
		_, before, _ := db.counts()
		publish(t, a, "late", "2", time.Hour)
		after(50 * time.Millisecond)
		expect("a name that was not sent", before+1)
	})
}

// TestMetricsTravel: from one peer to another, as they are, with times of the
// receiver's clock.
func TestMetricsTravel(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
		ping := metric("ping", `{"peername":"b","ipfs_id":"","x":"\u2028"}`, 2*interval)
		ping.Peer = "somebody else"
		disk := metric("disk", "17", 30*time.Second)
		disk.Weight, disk.Partitionable = -17, true
		for _, m := range []api.Metric{ping, disk, {Name: "tag", Valid: false, Expire: disk.Expire}, {Name: "expired", Valid: true, Expire: 1}} {
			if err := b.PublishMetric(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		for _, bad := range []string{"", "\xff"} {
			if err := b.PublishMetric(t.Context(), metric(bad, "x", time.Minute)); err == nil {
				t.Errorf("a metric is named %q", bad)
			}
		}
		wantValues(t, b, "ping", "B="+ping.Value) // its own at once
		after(interval / 2)
		// A has seen them just now.
		seen := time.Now()
		got := a.LatestMetrics(t.Context(), "disk")
		want := disk
		want.Peer, want.Expire, want.ReceivedAt = "B", seen.Add(30*time.Second).UnixNano(), seen.UnixNano()
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		want = ping
		want.Peer, want.Expire, want.ReceivedAt = "B", seen.Add(ttl).UnixNano(), seen.UnixNano()
		if got := a.LatestForPeer(t.Context(), "ping", "B"); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		publish(t, a, "ping", "a", ttl)
		publish(t, a, "mine", "a", ttl)
		wantValues(t, a, "ping", "A=a", "B="+ping.Value)
		if got := a.MetricNames(t.Context()); !slices.Equal(got, []string{"disk", "mine", "ping"}) {
			t.Errorf("names: %q", got)
		}
		if got := a.LatestForPeer(t.Context(), "ping", "nobody"); got.Defined() {
			t.Errorf("a metric of nobody: %v", got)
		}
		wantValues(t, a, "nothing")
		if got := a.LatestMetrics(t.Context(), "nothing"); got == nil {
			t.Error("no metrics are nil, which is no JSON list")
		}
	})
}

// TestMetricsExpire where their source is silent, though the peer lives; the
// last value is still there for who asks for it.
func TestMetricsExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
		publish(t, b, "ping", "p", time.Minute)
		publish(t, b, "disk", "d", time.Minute)
		publish(t, b, "short", "s", 3*time.Second)
		after(settled)
		wantValues(t, a, "disk", "B=d")
		wantValues(t, b, "disk", "B=d")
		after(2 * time.Minute)
		wantPeers(t, a, "A", "B")
		wantValues(t, a, "disk")
		wantValues(t, b, "disk")
		if got := a.LatestForPeer(t.Context(), "disk", "B"); got.Value != "d" {
			t.Errorf("the last one is %v", got)
		}
		if got := b.LatestForPeer(t.Context(), "disk", "B"); got.Value != "d" {
			t.Errorf("the last own one is %v", got)
		}
		// One that is renewed often enough is always there, also when its TTL
		// is shorter than the time between heartbeats.
		publish(t, b, "short", "s", 3*time.Second)
		after(interval)
		for range 100 {
			publish(t, b, "short", "s", 3*time.Second)
			after(time.Second)
			wantValues(t, a, "short", "B=s")
			metrics, err := decodeMetrics(db.row("B").Metrics)
			if err != nil || len(metrics) != 1 || metrics[0].ttl < ttl {
				t.Fatalf("sent are %v, %v", metrics, err)
			}
		}
		// A restart forgets what is not published again.
		stop(t, b)
		b = startPeer(t, options(db, "B"))
		publish(t, b, "disk", "d2", time.Minute)
		after(interval)
		wantValues(t, a, "disk", "B=d2")
		wantValues(t, a, "ping")
		if got := a.LatestForPeer(t.Context(), "ping", "B"); got.Value != "p" {
			t.Errorf("a restart makes the ping %v", got)
		}
		publish(t, b, "disk", "d2", time.Hour)
		after(2 * interval)
		stop(t, b)
		after(time.Minute)
		wantValues(t, a, "disk")
		if got := a.LatestForPeer(t.Context(), "disk", "B"); got.Value != "d2" {
			t.Errorf("the last one of a dead peer is %v", got)
		}
	})
}

// TestFrozenMetrics do not expire, also this peer's own.
func TestFrozenMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
		publish(t, a, "disk", "a", time.Minute)
		publish(t, b, "disk", "b", time.Minute)
		after(settled)
		db.fail(errDown)
		after(time.Hour)
		wantValues(t, a, "disk", "A=a", "B=b")
		db.fail(nil)
		after(settled)
		wantValues(t, a, "disk")
	})
}

func TestRoles(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		opts := options(db, "B")
		opts.Role = RoleAPI
		b := startPeer(t, opts)
		opts = options(db, "A")
		opts.Role = RoleWorker
		a := startPeer(t, opts)
		for _, m := range []*Monitor{a, b} {
			publish(t, m, "ping", "p", time.Minute)
			publish(t, m, "other", "o", time.Minute)
		}
		after(interval)
		for _, m := range []*Monitor{a, b} {
			wantPeers(t, m, "A", "B")
			wantValues(t, m, "ping", "A=p")
			wantValues(t, m, "other", "A=o", "B=o")
			if got := m.LatestForPeer(t.Context(), "ping", "B"); got.Value != "p" {
				t.Errorf("the ping of B is %v", got)
			}
		}
		if owner := b.View().Owner([]byte("x")); owner != "A" {
			t.Errorf("%s does the work", owner)
		}
	})
}

// TestLagging: a peer that lags gets no allocations, from nobody.
func TestLagging(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		var lagging atomic.Bool
		opts := options(db, "B")
		opts.Lagging = lagging.Load
		a, b := startPeer(t, options(db, "A")), startPeer(t, opts)
		step := func(on bool, want ...string) {
			t.Helper()
			lagging.Store(on)
			publish(t, b, "ping", "p", time.Hour)
			publish(t, b, "disk", "d", time.Hour)
			wantValues(t, b, "disk", want...)
			after(interval)
			wantValues(t, a, "disk", want...)
			wantValues(t, a, "ping", "B=p")
			wantPeers(t, a, "A", "B")
		}
		step(false, "B=d")
		step(true)
		step(false, "B=d")
	})
}

// TestLogMetric: what upstream makes up for a peer it connects to.
func TestLogMetric(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		log := func(id peer.ID, ttl time.Duration) {
			t.Helper()
			m := metric("ping", "", ttl)
			m.Peer = id
			if err := a.LogMetric(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		log("stranger", time.Hour)
		log("A", time.Hour)
		log("B", time.Hour)
		log("C", interval)
		log("R", time.Hour)
		wantValues(t, a, "ping")
		for _, id := range []peer.ID{"stranger", "A", "B"} {
			if got := a.LatestForPeer(t.Context(), "ping", id); got.Defined() {
				t.Errorf("peer %s, which is none, has %v", id, got)
			}
		}
		b := startPeer(t, options(db, "B"))
		c := startPeer(t, options(db, "C"))
		opts := options(db, "R")
		opts.Role = RoleAPI
		startPeer(t, opts)
		after(interval / 2)
		wantValues(t, a, "ping", "B=", "C=")
		if got := a.LatestForPeer(t.Context(), "ping", "B"); got.Name != "ping" {
			t.Errorf("the ping of B is %v", got)
		}
		publish(t, b, "ping", "real", ttl)
		after(interval)
		wantValues(t, a, "ping", "B=real")
		log("B", time.Hour) // when the real one is there
		wantValues(t, a, "ping", "B=real")
		after(settled)
		wantValues(t, a, "ping") // the real one has expired
		if got := a.LatestForPeer(t.Context(), "ping", "B"); got.Value != "real" {
			t.Errorf("the ping of B is %v", got)
		}
		log("B", time.Hour)
		wantValues(t, a, "ping")
		log("C", time.Hour)
		wantValues(t, a, "ping", "C=")
		stop(t, b)
		stop(t, c)
		after(time.Minute)
		wantValues(t, a, "ping")
		if got := a.LatestForPeer(t.Context(), "ping", "C"); got.Defined() {
			t.Errorf("the ping of C, which is dead, is %v", got)
		}
		for i := range 2 * maxLogged {
			log(peer.ID(fmt.Sprint(i)), time.Minute)
		}
		kept := func() int {
			a.mu.RLock()
			defer a.mu.RUnlock()
			return len(a.logged)
		}
		if n := kept(); n > maxLogged {
			t.Errorf("%d are kept", n)
		}
		after(2 * time.Hour)
		if n := kept(); n != 0 {
			t.Errorf("%d are kept for ever", n)
		}
	})
}

// TestGarbledMetrics: a peer whose metrics cannot be read lives nevertheless.
func TestGarbledMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		db.edit("B", func(m *state.Member) { *m = identity(holder("B")) })
		a := startPeer(t, options(db, "A"))
		good, _, err := encodeMetrics([]ttlMetric{{api.Metric{Name: "disk", Value: "d", Valid: true}, time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		for beat := range int64(20) {
			blob := good
			if beat%10 >= 5 {
				blob = []byte("garbage " + strings.Repeat("x", int(beat)))
			}
			h := state.Heartbeat{Incarnation: state.Incarnation{1}, Beat: beat + 1, TTL: ttl, Metrics: blob}
			if err := db.Beat(t.Context(), "B", h); err != nil {
				t.Fatal(err)
			}
			after(interval)
			wantPeers(t, a, "A", "B")
			if beat%10 >= 5 {
				wantValues(t, a, "disk")
			} else {
				wantValues(t, a, "disk", "B=d")
			}
		}
		wantAlerts(t, a)
	})
}

// TestTooManyMetrics: bounded here, in the table and from others.
func TestTooManyMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
		for round := range 3 {
			for i := range maxMetrics {
				publish(t, b, fmt.Sprintf("%d-%03d", round, i), "", time.Second)
			}
			if err := b.PublishMetric(t.Context(), metric("one more", "", time.Second)); err == nil {
				t.Error("there is no bound")
			}
			after(interval)
			// Those that have expired give way.
		}
		if n := len(a.MetricNames(t.Context())); n > maxMetrics {
			t.Errorf("%d names of one peer", n)
		}
		publish(t, b, "ping", "p", time.Hour)
		publish(t, b, "a big one", strings.Repeat("x", maxMetricsSize), time.Hour)
		after(interval)
		wantValues(t, a, "ping", "B=p")
		wantValues(t, a, "a big one")
		if n := len(db.row("B").Metrics); n > maxMetricsSize {
			t.Errorf("%d bytes", n)
		}
	})
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		opts := options(db, "A")
		opts.Interval = 100 * time.Millisecond
		a := startPeer(t, opts)
		startPeer(t, options(db, "B"))
		ctx := t.Context()
		for i := range 8 {
			go func() {
				for n := range 50 {
					time.Sleep(time.Duration(7+i) * time.Millisecond)
					if err := a.PublishMetric(ctx, metric(fmt.Sprint(n), "v", time.Second)); err != nil {
						t.Error(err)
					}
					if err := a.LogMetric(ctx, api.Metric{Name: "ping", Peer: "B", Valid: true, Expire: time.Now().Add(time.Second).UnixNano()}); err != nil {
						t.Error(err)
					}
					_ = a.LatestMetrics(ctx, "ping")
					_ = a.LatestForPeer(ctx, "ping", "B")
					_ = a.MetricNames(ctx)
					_ = a.View().Owner([]byte{byte(n)})
					if _, err := a.Peers(ctx); err != nil {
						t.Error(err)
					}
					if err := a.Remove(ctx, "stranger"); err == nil || errors.Is(err, state.ErrMemberChanged) {
						t.Error(err)
					}
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	})
}

// TestUnchangedMetricsAreTheSameBytes: metrics that are published again with the
// same values give the heartbeat the same bytes, however long their source took.
func TestUnchangedMetricsAreTheSameBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		beats := func(took time.Duration, freespace string) []byte {
			t.Helper()
			for name, value := range map[string]string{"ping": `{"peername":"a"}`, "freespace": freespace, "tag:group": "x"} {
				publish(t, a, name, value, time.Minute-took)
			}
			after(interval)
			return db.row("A").Metrics
		}
		first := beats(0, "100")
		for _, took := range []time.Duration{time.Nanosecond, 3 * time.Millisecond, 900 * time.Millisecond, 0} {
			if again := beats(took, "100"); string(again) != string(first) {
				t.Errorf("after %s: %s, before: %s", took, again, first)
			}
		}
		if other := beats(0, "99"); string(other) == string(first) {
			t.Error("another value has the same bytes")
		}
	})
}

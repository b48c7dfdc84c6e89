package membership

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestRemove(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a, b := startPeer(t, options(db, "A")), startPeer(t, options(db, "B"))
		publish(t, b, "disk", "b", time.Hour)
		after(interval)
		wantValues(t, a, "disk", "B=b")
		wantRefused(t, a.Remove(t.Context(), "nobody"), peer.ID("nobody").String(), "not in the cluster")
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Fatal(err)
		}
		wantPeers(t, a, "A") // at once
		wantValues(t, a, "disk")
		if p := get(t, a, "B"); !p.Removed || !p.RemovedAt.Equal(time.Now()) {
			t.Errorf("the view says %v", p)
		}
		_, _, puts := db.counts()
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Error(err)
		}
		if _, _, now := db.counts(); now != puts {
			t.Error("a second removal writes")
		}
		wantRefused(t, a.Remove(t.Context(), "A"), "last peer")
		after(interval)
		wantPeers(t, b, "A")
		after(time.Hour)
		wantAlerts(t, a)
		// It is not in the way of a last one.
		wantRefused(t, a.Remove(t.Context(), "A"), "last peer")

		stop(t, b)
		opts := options(db, "B")
		_, err := Claim(t.Context(), opts)
		wantRefused(t, err, "--bootstrap")
		opts.Rejoin = true
		opts.Lost = func(err error) { t.Error(err) }
		b = startPeer(t, opts)
		after(interval)
		wantPeers(t, a, "A", "B")
		wantPeers(t, b, "A", "B")
		if err := a.Remove(t.Context(), "A"); err != nil {
			t.Error(err)
		}
		wantPeers(t, a, "B")
	})
}

// TestRemoveRaces: what others write meanwhile does not undo a removal, nor does
// a removal take what has changed.
func TestRemoveRaces(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := startPeer(t, options(db, "A"))
		b := startPeer(t, options(db, "B"))
		after(interval)
		// B writes its addresses and has read its row before the removal.
		db.set(func(db *table) {
			db.beforePut = func() {
				if err := a.Remove(context.Background(), "B"); err != nil {
					t.Error(err)
				}
			}
		})
		if err := b.writeAddresses(t.Context(), []string{"/ip4/1.2.3.4/tcp/1"}); err != nil {
			t.Errorf("the late write gives %v", err)
		}
		if row := db.row("B"); row.Removed.IsZero() || len(row.Addresses) != 0 {
			t.Error("the removal was undone")
		}
	})
	inBubble(t, func(t *testing.T, db *table) {
		// A restart of B comes between the read and the write of the removal.
		a := startPeer(t, options(db, "A"))
		startPeer(t, options(db, "B"))
		after(interval)
		var again *Monitor
		db.set(func(db *table) {
			db.beforePut = func() { again = mustClaim(t, options(db, "B")) }
		})
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Fatal(err)
		}
		if row := db.row("B"); row.Removed.IsZero() || again == nil {
			t.Errorf("the row is %v", row)
		}
		wantPeers(t, a, "A")
	})
	inBubble(t, func(t *testing.T, db *table) {
		// And the removal between those of a restart.
		a := startPeer(t, options(db, "A"))
		stop(t, startPeer(t, options(db, "B")))
		db.set(func(db *table) {
			db.beforePut = func() {
				if err := a.Remove(context.Background(), "B"); err != nil {
					t.Error(err)
				}
			}
		})
		_, err := Claim(t.Context(), options(db, "B"))
		wantRefused(t, err, "removed")
	})
	inBubble(t, func(t *testing.T, db *table) {
		// It is never still: given up, with nothing written.
		a := startPeer(t, options(db, "A"))
		startPeer(t, options(db, "B"))
		db.set(func(db *table) { db.putErr = state.ErrMemberChanged })
		if err := a.Remove(t.Context(), "B"); !errors.Is(err, state.ErrMemberChanged) {
			t.Errorf("endless conflicts give %v", err)
		}
		db.set(func(db *table) { db.putErr = errDown })
		if err := a.Remove(t.Context(), "B"); !errors.Is(err, errDown) {
			t.Errorf("a broken database gives %v", err)
		}
		db.set(func(db *table) { db.putErr, db.readErr = nil, errDown })
		if err := a.Remove(t.Context(), "B"); !errors.Is(err, errDown) {
			t.Errorf("a broken database gives %v", err)
		}
	})
}

func TestHandOver(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		var handOver atomic.Bool
		handOver.Store(true)
		opts := options(db, "A")
		opts.HandOver = handOver.Load
		a, b := startPeer(t, opts), startPeer(t, options(db, "B"))
		c, d := startPeer(t, options(db, "C")), startPeer(t, options(db, "D"))
		publish(t, b, "ping", "b", time.Minute)
		after(interval)
		if err := a.Finish(t.Context(), "B"); err == nil {
			t.Error("a peer is finished that does not leave")
		}
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Fatal(err)
		}
		first := db.row("B")
		if first.Leaving.IsZero() || !first.Removed.IsZero() || first.Incarnation != b.incarnation {
			t.Errorf("the row is %v", first)
		}
		wantPeers(t, a, "A", "B", "C", "D")
		wantValues(t, a, "ping", "B=b")
		if p := get(t, a, "B"); !p.Leaving || !p.Live || slices.Contains(a.View().Live(), "B") {
			t.Errorf("the view says %v", p)
		}
		after(interval)
		if p := get(t, b, "B"); !p.Leaving {
			t.Errorf("B does not know that it leaves: %v", p)
		}
		if err := a.Remove(t.Context(), "B"); err != nil {
			t.Error(err)
		}
		if row := db.row("B"); !row.Leaving.Equal(first.Leaving) {
			t.Error("it leaves again")
		}
		if err := b.Finish(t.Context(), "B"); err != nil {
			t.Error(err)
		}
		wantPeers(t, b, "A", "C", "D")
		if err := b.Finish(t.Context(), "B"); err != nil {
			t.Error(err)
		}

		stop(t, c) // a dead one has nothing to hand over
		after(time.Minute)
		if err := a.Remove(t.Context(), "C"); err != nil || db.row("C").Removed.IsZero() {
			t.Errorf("the row is %v, %v", db.row("C"), err)
		}
		handOver.Store(false)
		if err := a.Remove(t.Context(), "D"); err != nil || db.row("D").Removed.IsZero() {
			t.Errorf("the row is %v, %v", db.row("D"), err)
		}
		stop(t, d)
	})
}

// onlyPeerstore is all that Connect may use of a host.
type onlyPeerstore struct {
	host.Host
	store peerstore.Peerstore
}

func (h onlyPeerstore) Peerstore() peerstore.Peerstore { return h.store }

// TestAddresses: of live peers, for as long as they live.
func TestAddresses(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		store, err := pstoremem.NewPeerstore()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		addrs := func(id peer.ID) []string { return texts(store.Addrs(id)) }
		want := func(id peer.ID, want ...string) {
			t.Helper()
			if got := addrs(id); !slices.Equal(got, want) {
				t.Errorf("addresses of %s: %q, want %q", id, got, want)
			}
		}
		db.edit("dead", func(m *state.Member) { *m = identity(holder("dead")) })
		a, b := startPeer(t, options(db, "A")), mustClaim(t, options(db, "B"))
		defer stop(t, b)
		listen := make(chan string, 1)
		current := []ma.Multiaddr{ma.StringCast("/ip4/10.0.0.2/tcp/9096"), ma.StringCast("/dns4/b.example/tcp/9096")}
		b.Start(func() []ma.Multiaddr {
			select {
			case text := <-listen:
				current = []ma.Multiaddr{ma.StringCast(text)}
			default:
			}
			slices.Reverse(current) // another order is no change
			return current
		})
		synctest.Wait()
		_, _, puts := db.counts()
		if got := db.row("B").Addresses; !slices.Equal(got, []string{"/dns4/b.example/tcp/9096", "/ip4/10.0.0.2/tcp/9096"}) || puts != 3 {
			t.Errorf("the row has %q after %d writes", got, puts)
		}
		after(time.Hour)
		if _, _, now := db.counts(); now != puts {
			t.Errorf("%d more writes", now-puts)
		}
		want("B")
		a.Connect(onlyPeerstore{store: store})
		want("B", "/dns4/b.example/tcp/9096", "/ip4/10.0.0.2/tcp/9096")
		want("dead")
		want("A")
		// A change is not worth a heartbeat, but is seen.
		beatBy(t, db, "M", 1, time.Hour)
		after(interval)
		db.edit("M", func(m *state.Member) { m.Addresses = []string{"/ip4/10.0.0.9/tcp/1"} })
		after(interval / 2)
		want("M", "/ip4/10.0.0.9/tcp/1")
		listen <- "/ip4/10.0.0.3/tcp/9096"
		after(2 * interval)
		if !slices.Contains(addrs("B"), "/ip4/10.0.0.3/tcp/9096") {
			t.Errorf("addresses of B: %q", addrs("B"))
		}
		after(time.Hour)
		want("B", "/ip4/10.0.0.3/tcp/9096")
		db.edit("B", func(m *state.Member) { m.Addresses = append(m.Addresses, "nonsense") })
		after(interval)
		want("B", "/ip4/10.0.0.3/tcp/9096")
		stop(t, b)
		after(time.Hour)
		want("B")
		a.Connect(onlyPeerstore{store: store})
		want("B")
	})
}

// TestAddressesFail: they hold up no heartbeats, nor does an error of theirs freeze.
func TestAddressesFail(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		a := mustClaim(t, options(db, "A"))
		defer stop(t, a)
		db.set(func(db *table) { db.putErr = errDown })
		a.Start(func() []ma.Multiaddr { return []ma.Multiaddr{ma.StringCast("/ip4/10.0.0.2/tcp/9096")} })
		after(settled)
		if _, beats, _ := db.counts(); beats < 4 {
			t.Errorf("%d heartbeats", beats)
		}
		if a.View().Frozen {
			t.Error("it is frozen")
		}
		db.set(func(db *table) { db.putErr = nil })
		after(interval)
		if len(db.row("A").Addresses) != 1 {
			t.Error("the addresses are never written")
		}
	})
}

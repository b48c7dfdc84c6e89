package scyllastate

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestOwner shows that a keyspace serves the cluster that opened it first, and
// no other, until it is adopted.
func TestOwner(t *testing.T) {
	conf := testConfig(t)
	conf.ClusterName, conf.Secret = "ours", []byte("secret")
	openStore(t, conf)
	openStore(t, conf) // another peer of the same cluster

	other := func(name, secret string) *Config {
		c := *conf
		c.ClusterName, c.Secret = name, []byte(secret)
		return &c
	}
	for _, tt := range []struct{ name, secret, want string }{
		{"theirs", "secret", `the keyspace ` + conf.Keyspace + ` belongs to the cluster "ours"`},
		{"theirs", "another", `this peer is of the cluster "theirs": correct state.scylla.keyspace or state.scylla.cluster_name`},
		{"ours", "another", `belongs to a cluster "ours" with another secret`},
		{"ours", "a third", `state adopt`},
	} {
		s, err := Open(t.Context(), other(tt.name, tt.secret))
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !scylla.Permanent(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with secret %q: %v, want %s", tt.name, tt.secret, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), conf.owner().fingerprint) {
			t.Errorf("the error shows the fingerprint: %v", err)
		}
	}

	moved := other("ours", "new secret")
	refused := errors.New("no")
	if err := Adopt(t.Context(), moved, func(Owner, Owner) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("an adoption that was not confirmed: %v", err)
	}
	openStore(t, conf) // nothing has changed
	var asked Owner
	confirm := func(o, _ Owner) error { asked = o; return nil }
	if err := Adopt(t.Context(), moved, confirm); err != nil {
		t.Fatal(err)
	}
	if asked.Name != "ours" || asked.Claimed.IsZero() || asked.ClaimedBy != scylla.Process() {
		t.Errorf("was asked about %+v", asked)
	}
	openStore(t, moved)
	if s, err := Open(t.Context(), conf); err == nil {
		_ = s.Close()
		t.Error("the old secret still opens the keyspace")
	}
	asked = Owner{}
	if err := Adopt(t.Context(), moved, confirm); err != nil || asked.Name != "" {
		t.Errorf("adopting one's own keyspace: %v, asked about %+v", err, asked)
	}
}

// TestOwnerAtOnce lets peers of two clusters open an empty keyspace at the same
// moment: one cluster gets it.
func TestOwnerAtOnce(t *testing.T) {
	conf := freshConfig(t)
	const peers = 4
	errs := make([]error, 2*peers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := *conf
			c.ClusterName = fmt.Sprint("cluster", i%2)
			s, err := Open(t.Context(), &c)
			if err == nil {
				err = s.Close()
			}
			errs[i] = err
		}()
	}
	wg.Wait()
	won := make(map[int]int)
	for i, err := range errs {
		if err == nil {
			won[i%2]++
		} else if !strings.Contains(err.Error(), "belongs to the cluster") {
			t.Error(err)
		}
	}
	if len(won) != 1 || won[0]+won[1] != peers {
		t.Errorf("%d peers of one cluster and %d of the other opened the keyspace", won[0], won[1])
	}
}

// TestUnclaimedKeyspace shows that a keyspace from before the table cluster
// existed goes to the next peer that opens it, also without rights on the
// schema, but not to a tool.
func TestUnclaimedKeyspace(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	if err := s.db.Session.Query("DELETE FROM cluster WHERE id = ? IF EXISTS", ownerRow).Exec(); err != nil {
		t.Fatal(err)
	}
	conf.Schema, conf.ClusterName = SchemaVerify, "next"
	tool, err := OpenExisting(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	must(t, tool.Close())
	if owner, err := readOwner(t.Context(), s.db); err != nil || owner.Name != "" {
		t.Errorf("a tool made %+v the owner, %v", owner, err)
	}
	openStore(t, conf)
	if owner, err := readOwner(t.Context(), s.db); err != nil || owner.Name != "next" {
		t.Errorf("the owner is %+v, %v", owner, err)
	}
}

// TestForeignPeerChangesNothing shows that a peer which is refused has not
// brought the tables to its version first, and that tools make nothing.
func TestForeignPeerChangesNothing(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	foreign := *conf
	foreign.Secret = []byte("another")
	if _, err := openVersion(t, &foreign, nextVersion(t, current(t)+1)); err == nil || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("a peer with another secret and a newer schema: %v", err)
	}
	var versions int
	if err := s.db.Session.Query("SELECT COUNT(*) FROM schema_history").Scan(&versions); err != nil || versions != current(t) {
		t.Errorf("schema_history has %d versions, %v; want %d", versions, err, current(t))
	}
	openStore(t, conf)

	nowhere := *conf
	nowhere.Keyspace += "_not"
	for what, err := range map[string]error{
		"OpenExisting": func() error { _, err := OpenExisting(t.Context(), &nowhere); return err }(),
		"Adopt":        Adopt(t.Context(), &nowhere, func(Owner, Owner) error { t.Error("was asked"); return nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), "the keyspace "+nowhere.Keyspace+" does not exist") {
			t.Errorf("%s of a keyspace that does not exist: %v", what, err)
		}
	}
}

// TestFingerprint shows that the secret is not in the database, and that its
// fingerprint is the same in every version.
func TestFingerprint(t *testing.T) {
	conf := testConfig(t)
	conf.Secret = []byte("0123456789abcdef0123456789abcdef")
	s := openStore(t, conf)
	row := make(map[string]any)
	must(t, s.db.Session.Query("SELECT * FROM cluster WHERE id = ?", ownerRow).MapScan(row))
	text := fmt.Sprint(row)
	for _, form := range []string{string(conf.Secret), hex.EncodeToString(conf.Secret), base64.StdEncoding.EncodeToString(conf.Secret)} {
		if strings.Contains(text, form) {
			t.Errorf("the secret is in %s", text)
		}
	}
	const want = "484d2fd6bf48c2d6642c71f18c92d708d177ac0f0a8ca57306e5fdd489d71913"
	if row["fingerprint"] != want {
		t.Errorf("the fingerprint is %v, want %s: peers of other versions would be refused", row["fingerprint"], want)
	}
	conf.Secret = nil
	if _, err := Open(t.Context(), conf); err == nil || !strings.Contains(err.Error(), "cluster.secret is empty") {
		t.Errorf("opening without a secret: %v", err)
	}
}

// TestAdoptBesideRunningPeer shows that a keyspace is not adopted under a peer
// that uses it.
func TestAdoptBesideRunningPeer(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	id := statetest.Peer("running")
	if _, err := s.OpenFeed(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	moved := *conf
	moved.ClusterName = "moved"
	err := Adopt(t.Context(), &moved, func(Owner, Owner) error { t.Error("was asked"); return nil })
	if err == nil || !strings.Contains(err.Error(), "the peer "+id.String()+" uses the keyspace") {
		t.Errorf("adopting beside a peer that has just started: %v", err)
	}
	must(t, s.db.Session.Query("UPDATE cursors SET position = ? WHERE feed = ? AND consumer = ?",
		time.Now().Add(-quiet), id.String(), id.String()).Exec())
	api := statetest.Peer("api") // reads no changes
	must(t, s.Beat(t.Context(), api, state.Heartbeat{Incarnation: incarnation(1), Beat: 1, TTL: time.Hour}))
	err = Adopt(t.Context(), &moved, func(Owner, Owner) error { t.Error("was asked"); return nil })
	if err == nil || !strings.Contains(err.Error(), "the peer "+api.String()+" uses the keyspace") {
		t.Errorf("adopting beside a peer without a feed: %v", err)
	}
	must(t, s.Beat(t.Context(), api, state.Heartbeat{Incarnation: incarnation(1), Beat: 2, TTL: time.Second}))
	waitFor(t, "the heartbeat to run out", func() bool {
		busy, err := beating(t.Context(), s.db)
		must(t, err)
		return busy == ""
	})
	must(t, Adopt(t.Context(), &moved, func(Owner, Owner) error { return nil }))
}

// TestAnyBusy shows that the first peer found ends the reading of all shards, and
// that one which cannot be read is an error only when no peer is found.
func TestAnyBusy(t *testing.T) {
	broken := errors.New("broken")
	nobody := func(context.Context) (string, error) { return "", nil }
	breaks := func(context.Context) (string, error) { return "", broken }
	found := func(context.Context) (string, error) { return "peer", nil }
	foundThenBroken := func(context.Context) (string, error) { return "peer", broken }
	hangs := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	for _, tt := range []struct {
		name        string
		one, others func(context.Context) (string, error)
		busy        string
		err         error
	}{
		{"nobody", nobody, nobody, "", nil},
		{"found while others hang", found, hangs, "peer", nil},
		{"found while others break", found, breaks, "peer", nil},
		{"found in a shard that breaks", foundThenBroken, nobody, "peer", nil},
		{"one cannot be read", breaks, nobody, "", broken},
	} {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Int32
			busy, err := anyBusy(t.Context(), func(ctx context.Context, shard int) (string, error) {
				defer ended.Add(1)
				if shard == beatShards/2 {
					synctest.Wait() // the others come first
					return tt.one(ctx)
				}
				return tt.others(ctx)
			})
			if busy != tt.busy || !errors.Is(err, tt.err) {
				t.Errorf("%s: %q, %v", tt.name, busy, err)
			}
			if n := ended.Load(); n != beatShards {
				t.Errorf("%s: %d of %d shards were left", tt.name, n, beatShards)
			}
		})
	}
}

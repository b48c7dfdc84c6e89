package scyllastate

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
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
		{"ours", "", `state adopt`},
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
	if err := Adopt(t.Context(), moved, func(Owner) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("an adoption that was not confirmed: %v", err)
	}
	openStore(t, conf) // nothing has changed
	var asked Owner
	confirm := func(o Owner) error { asked = o; return nil }
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
	conf := testConfig(t)
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
// existed goes to whoever opens it next, also without rights on the schema.
func TestUnclaimedKeyspace(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	if err := s.db.Query("DELETE FROM cluster WHERE id = ? IF EXISTS", ownerRow).Exec(); err != nil {
		t.Fatal(err)
	}
	conf.Schema, conf.ClusterName = SchemaVerify, "next"
	openStore(t, conf)
	owner, err := readOwner(t.Context(), s.db)
	if err != nil || owner.Name != "next" {
		t.Errorf("the owner is %+v, %v", owner, err)
	}
}

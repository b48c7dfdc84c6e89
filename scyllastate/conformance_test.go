package scyllastate

import (
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestConformance(t *testing.T) {
	keyspaces := &keyspaces{owner: t}
	suite := statetest.Suite{
		New: func(tb testing.TB) state.Store { return keyspaces.open(tb) },
		NewBatching: func(tb testing.TB) (state.BatchingStore, state.Store) {
			s := keyspaces.open(tb)
			return s.Batching(), s
		},
		Corrupt: func(tb testing.TB, s state.Store, c api.Cid) { corrupt(tb, s.(*Store), c) },
	}
	t.Run("contract", func(t *testing.T) { statetest.Run(t, suite) })
	t.Run("strict", func(t *testing.T) { statetest.RunStrict(t, suite) })
	t.Run("updater", func(t *testing.T) {
		statetest.RunUpdater(t, func(tb testing.TB) statetest.UpdatingStore { return keyspaces.open(tb) })
	})
}

// keyspaces gives each test of the suite an empty one. To make one takes more
// than most tests do, so the next test gets that of the last, emptied. Tests
// that run at once must not share it.
type keyspaces struct {
	owner *testing.T // drops them when it ends
	free  []*Config
}

// open opens a store on a keyspace that no other open store has.
func (k *keyspaces) open(tb testing.TB) *Store {
	tb.Helper()
	var conf *Config
	if last := len(k.free) - 1; last < 0 {
		conf = testConfig(k.owner)
	} else {
		conf, k.free = k.free[last], k.free[:last]
		empty(tb, conf)
	}
	tb.Cleanup(func() { k.free = append(k.free, conf) }) // after the store has closed
	return openStore(tb, conf)
}

// empty removes all rows but those that say which tables there are.
func empty(tb testing.TB, conf *Config) {
	tb.Helper()
	session := cqltest.Start(tb).Session(tb)
	var table string
	tables := session.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", conf.Keyspace).Iter()
	for tables.Scan(&table) {
		if table == "schema_history" || table == "leases" || strings.Contains(table, "$") {
			continue
		}
		name := conf.Keyspace + "." + table
		rows := session.Query("SELECT * FROM " + name + " LIMIT 1").Iter()
		found := rows.NumRows() > 0
		if err := rows.Close(); err != nil {
			tb.Fatalf("looking into the table %s: %v", name, err)
		}
		if !found {
			continue
		}
		if err := session.Query("TRUNCATE " + name).Exec(); err != nil {
			tb.Fatalf("emptying the table %s: %v", name, err)
		}
	}
	if err := tables.Close(); err != nil {
		tb.Fatalf("listing the tables of %s: %v", conf.Keyspace, err)
	}
}

// TestEmptiedKeyspace shows that a test finds nothing of the one before.
func TestEmptiedKeyspace(t *testing.T) {
	keyspaces := &keyspaces{owner: t}
	c := inBuckets(t, 1)[0]
	var first string
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			s := keyspaces.open(t)
			if first == "" {
				first = s.conf.Keyspace
			} else if s.conf.Keyspace != first {
				t.Fatalf("the keyspace is %s, want that of the first test, %s", s.conf.Keyspace, first)
			}
			for table := range strings.FieldsSeq("pins changes everywhere buckets expiries") {
				var n int
				if err := s.db.Session.Query("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil || n != 0 {
					t.Errorf("%d rows in %s, %v", n, table, err)
				}
			}
			pin := api.PinCid(c)
			pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
			if err := s.Add(t.Context(), pin); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// corrupt writes bytes that are no pin into the row of c.
func corrupt(tb testing.TB, s *Store, c api.Cid) {
	tb.Helper()
	r, err := s.readRow(tb.Context(), c, s.read)
	if err != nil {
		tb.Fatal(err)
	}
	applied, err := s.db.Session.Query("UPDATE pins SET pin = ? WHERE cid = ? IF rev = ?", []byte{0x0a, 0xff}, c.Bytes(), r.rev).
		MapScanCAS(map[string]any{})
	if err != nil || !applied {
		tb.Fatalf("corrupting the row of %s: applied %t, %v", c, applied, err)
	}
}

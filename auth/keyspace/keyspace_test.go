package keyspace

import (
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	pinset "github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

func testConfig(t *testing.T) cqlsection.Config {
	server := cqltest.Start(t)
	conf := Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Keyspace(t)
	return conf
}

// Several instances that start at once make one schema, and one with verify then finds it.
func TestOpen(t *testing.T) {
	conf := testConfig(t)
	verify := conf
	verify.Schema = cqlsection.SchemaVerify
	if _, err := Open(t.Context(), verify, nil); !scylla.Permanent(err) {
		t.Fatalf("without a keyspace: %v", err)
	}
	var started sync.WaitGroup
	for range 3 {
		started.Go(func() {
			db, err := Open(t.Context(), conf, nil)
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	started.Wait()
	db, err := Open(t.Context(), verify, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"tenants", "api_keys", "key_uses", "credentials", "lists", "revocations", "nonces", "replays", "audit_records", "audit_writers", "audit_checkpoints", "pins", "todo", "todo_told", "ended"} {
		if there, err := db.HasTable(t.Context(), table); err != nil || !there {
			t.Errorf("table %s: %t, %v", table, there, err)
		}
	}
}

// A keyspace without the tables is refused where they may not be made.
func TestVerifyFindsWhatIsMissing(t *testing.T) {
	conf := testConfig(t)
	db := openBare(t, conf)
	db.Close()
	conf.Schema = cqlsection.SchemaVerify
	_, err := Open(t.Context(), conf, nil)
	if !scylla.Permanent(err) || !strings.Contains(err.Error(), "lacks schema file 0001_accounts.cql") {
		t.Errorf("got %v", err)
	}
}

// Neither the gateway nor a peer works in the keyspace of the other, nor changes it.
func TestTwoPrograms(t *testing.T) {
	files, err := scylla.ReadMigrations(pinset.Files)
	if err != nil {
		t.Fatal(err)
	}
	conf := testConfig(t)
	theirs := openBare(t, conf)
	defer theirs.Close()
	if err := theirs.ApplySchema(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{cqlsection.SchemaApply, cqlsection.SchemaVerify} {
		conf.Schema = mode
		_, err = Open(t.Context(), conf, nil)
		if !scylla.Permanent(err) || !strings.Contains(err.Error(), "holds the pinset of an ipfs-cluster") {
			t.Errorf("%s: the gateway in the keyspace of a cluster: %v", mode, err)
		}
	}
	if there, err := theirs.HasTable(t.Context(), "tenants"); err != nil || there {
		t.Errorf("it has tenants: %t, %v", there, err)
	}

	conf = testConfig(t)
	ours, err := Open(t.Context(), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	err = ours.ApplySchema(t.Context(), files) // what a peer does
	if !scylla.Permanent(err) || !strings.Contains(err.Error(), "has the tables of another program") {
		t.Errorf("a peer in the keyspace of the gateway: %v", err)
	}
}

// openBare opens the keyspace and makes no table.
func openBare(t *testing.T, conf cqlsection.Config) *scylla.DB {
	db, err := cqlsection.Program{Files: fstest.MapFS{}}.Open(t.Context(), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Each table with a conditional update in a room of the gateway has a first update.
func TestFirstUpdates(t *testing.T) { cqltest.CheckFirst(t, firstUpdates(), "../*/*.go") }

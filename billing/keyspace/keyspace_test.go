package keyspace

import (
	"os"
	"strings"
	"sync"
	"testing"

	gateway "github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

func testConfig(t *testing.T) cqlsection.Config {
	server := cqltest.Start(t)
	conf := Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Keyspace(t)
	return conf
}

// Several processes that start at once make one schema, and one with verify then finds it. The
// gateway does not work in it, nor billing in the gateway's: both have tables of one name.
func TestOpen(t *testing.T) {
	conf := testConfig(t)
	var started sync.WaitGroup
	for range 2 {
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
	verify := conf
	verify.Schema = cqlsection.SchemaVerify
	db, err := Open(t.Context(), verify, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{
		"claims", "facts", "active", "late", "days", "owner_months", "adjustments", "close_progress", "quarantine", "sizes", "unsized",
		"plans", "owner_plans", "invoices", "numbers", "series", "invoice_by_number", "movements", "payments", "unmatched", "remembered",
		"billing_events", "billing_slots", "billing_told", "runs", "held",
	} {
		if there, err := db.HasTable(t.Context(), table); err != nil || !there {
			t.Errorf("table %s: %t, %v", table, there, err)
		}
	}
	if _, err := gateway.Open(t.Context(), conf, nil); !scylla.Permanent(err) || !strings.Contains(err.Error(), "has the tables of another program") {
		t.Errorf("the gateway in the keyspace of billing: %v", err)
	}
}

// Nor is anything changed in the keyspace of another program.
func TestKeyspaceOfTheGateway(t *testing.T) {
	conf := testConfig(t)
	theirs, err := gateway.Open(t.Context(), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	for _, mode := range []string{cqlsection.SchemaApply, cqlsection.SchemaVerify} {
		conf.Schema = mode
		if _, err := Open(t.Context(), conf, nil); !scylla.Permanent(err) || !strings.Contains(err.Error(), "has the tables of another program") {
			t.Errorf("%s: billing in the keyspace of the gateway: %v", mode, err)
		}
	}
	if there, err := theirs.HasTable(t.Context(), "facts"); err != nil || there {
		t.Errorf("it has facts: %t, %v", there, err)
	}
}

// Each table with a conditional update in a room of billing has a first update.
func TestFirstUpdates(t *testing.T) { cqltest.CheckFirst(t, firstUpdates(), "../*/*.go") }

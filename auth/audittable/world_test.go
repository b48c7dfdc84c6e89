package audittable

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestMain makes this binary the process that TestKill kills.
func TestMain(m *testing.M) {
	if conf := os.Getenv("AUDIT_KILL"); conf != "" {
		if err := mutate(conf); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cqltest.Main(m))
}

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))) }

func publicKeys() []ed25519.PublicKey {
	return []ed25519.PublicKey{testKey().Public().(ed25519.PublicKey)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newKeyspace returns the configuration of an empty keyspace.
func newKeyspace(t testing.TB) cqlsection.Config {
	t.Helper()
	server := cqltest.Start(t)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(t)
	conf.RequestTimeout = cqlsection.Duration(time.Minute)
	return conf
}

func openDB(t testing.TB, conf cqlsection.Config) *scylla.DB {
	t.Helper()
	db, err := keyspace.Open(t.Context(), conf, nil)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

// options are those of a table whose lease is short, as tests wait for it, and that has time
// on a machine that is busy.
func options(writer string) Options {
	return Options{Chain: audit.ChainOptions{Writer: writer, Key: testKey()}, leaseTime: 3 * time.Second, writeTime: time.Minute}
}

func openTable(t testing.TB, db *scylla.DB, o Options) *Table {
	t.Helper()
	table, err := Open(t.Context(), db, o)
	must(t, err)
	return table
}

func event() audit.Event {
	return audit.Event{
		Actor:    audit.Actor{Principal: "alice", Tenant: "t1", Method: "apikey", Credential: "k1", IP: "192.0.2.1"},
		Action:   "pins:delete",
		Resource: audit.Resource{Kind: "pin", ID: "r1", Tenant: "t1", CID: "bafy", Name: "a <name> & \u20ac"},
		Decision: audit.Decision{Allowed: true, Version: "v"},
		HTTP:     audit.HTTP{Method: "DELETE", Route: "/pins/{requestID}"},
	}
}

func appendIntent(ctx context.Context, s audit.Sink, id string) error {
	e := event()
	return s.Append(ctx, audit.Record{Kind: audit.Intent, ID: id, Event: &e})
}

// fill appends n intents, one after the other.
func fill(t testing.TB, s audit.Sink, prefix string, n int) {
	t.Helper()
	for i := range n {
		must(t, appendIntent(t.Context(), s, fmt.Sprintf("%s-%d", prefix, i)))
	}
}

// copies keeps checkpoints.
type copies struct {
	mu  sync.Mutex
	all []audit.Checkpoint
}

func (c *copies) PutCheckpoint(_ context.Context, p audit.Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
	return nil
}

func verify(t testing.TB, db *scylla.DB, o audit.VerifyOptions) audit.Report {
	t.Helper()
	parts, err := Parts(t.Context(), db)
	must(t, err)
	o.Keys = publicKeys()
	report, err := audit.VerifyParts(parts, o)
	must(t, err)
	return report
}

func mustBeIntact(t testing.TB, db *scylla.DB, known []audit.Checkpoint) audit.Report {
	t.Helper()
	report := verify(t, db, audit.VerifyOptions{Known: known})
	for _, p := range report.Problems {
		t.Errorf("a problem: %s", p)
	}
	return report
}

func search(t testing.TB, db *scylla.DB) map[string]audit.Found {
	t.Helper()
	parts, err := Parts(t.Context(), db)
	must(t, err)
	found, unread, err := audit.SearchParts(parts, audit.Query{Limit: 1 << 20})
	if err != nil || unread > 0 {
		t.Fatalf("%d lines could not be read, %v", unread, err)
	}
	all := make(map[string]audit.Found)
	for _, f := range found {
		all[f.ID] = f
	}
	return all
}

// row is one of audit_records.
type row struct {
	writer     string
	block, seq int64
	lines      string
	process    gocql.UUID
}

func rowsOf(t testing.TB, db *scylla.DB, writer string, block int64) []row {
	t.Helper()
	var all []row
	iter := db.Session.Query("SELECT writer, block, seq, lines, process FROM audit_records WHERE writer = ? AND block = ?", writer, block).Iter()
	for r := (row{}); iter.Scan(&r.writer, &r.block, &r.seq, &r.lines, &r.process); {
		all = append(all, r)
	}
	must(t, iter.Close())
	return all
}

func change(t testing.TB, db *scylla.DB, text string, values ...any) {
	t.Helper()
	must(t, db.Session.Query(text, values...).Exec())
}

func (r row) put(t testing.TB, db *scylla.DB) {
	t.Helper()
	change(t, db, "INSERT INTO audit_records (writer, block, seq, lines, process) VALUES (?, ?, ?, ?, ?)", r.writer, r.block, r.seq, r.lines, r.process)
}

func (r row) remove(t testing.TB, db *scylla.DB) {
	t.Helper()
	change(t, db, "DELETE FROM audit_records WHERE writer = ? AND block = ? AND seq = ?", r.writer, r.block, r.seq)
}

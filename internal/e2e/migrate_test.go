package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// longTests tells whether tests have the sizes that take minutes.
func longTests() bool { return os.Getenv("TEST_LONG") == "1" }

// target is a peer of ours with an empty keyspace, into which a test brings
// the pins of others.
type target struct {
	*peer
	db      database
	session *gocql.Session
}

// newTarget makes one. k may be nil if its daemon is not started.
func newTarget(t *testing.T, k *ipfs, vars map[string]string) *target {
	t.Helper()
	return newTargetOn(t, on(t, cqltest.Start(t)), k, vars)
}

func newTargetOn(t *testing.T, db database, k *ipfs, vars map[string]string) *target {
	t.Helper()
	session := cqltest.Start(t).Session(t)
	session.SetPageSize(500) // what a busy server reads within its limit
	return &target{newPeer(t, db, k, vars), db, session}
}

// migrate runs a subcommand of migrate to its end.
func (m *target) migrate(t *testing.T, args ...string) outcome {
	t.Helper()
	return run(t, m.service(t, nil, append([]string{"migrate"}, args...)...))
}

// mustMigrate runs one that must find nothing wrong.
func (m *target) mustMigrate(t *testing.T, args ...string) outcome {
	t.Helper()
	return mustRun(t, m.service(t, nil, append([]string{"migrate"}, args...)...))
}

// status is what migrate status says of one source, for machines.
type status struct {
	Source, Phase                   string
	Run, Records, Copied, Kept, Bad int64
	Bulk                            bool
	Report                          *migrate.Report
}

// status returns that of the source, which is not there before its run.
func (m *target) status(t *testing.T, from string) (found status, there bool) {
	t.Helper()
	out := m.mustMigrate(t, "status", "--json").stdout
	for _, one := range objects[status](t, out, "migration") {
		if one.Source == from {
			return one, true
		}
	}
	return status{}, false
}

// objects returns what --json has written of one kind, a line each.
func objects[T any](t *testing.T, stdout, kind string) (found []T) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var one map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &one); err != nil || len(one) != 1 {
			t.Fatalf("--json writes the line %q (%v), want an object with one key", line, err)
		}
		if text, ok := one[kind]; ok {
			var value T
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatalf("--json writes %s: %v", text, err)
			}
			found = append(found, value)
		}
	}
	return found
}

// object returns the only one of its kind.
func object[T any](t *testing.T, got outcome, kind string) T {
	t.Helper()
	found := objects[T](t, got.stdout, kind)
	if len(found) != 1 {
		t.Fatalf("exit code %d and %d objects %q, want one:\n%s\n%s", got.code, len(found), kind, tail(got.stdout), tail(got.stderr))
	}
	return found[0]
}

// exported returns the lines of ours state export in alphabetical order.
func (m *target) exported(t *testing.T) []string {
	t.Helper()
	return exportedBy(t, m.peer, service)
}

func exportedBy(t *testing.T, p *peer, name string) []string {
	t.Helper()
	return slices.Sorted(strings.Lines(mustRun(t, p.as(t, name, "state", "export")).stdout))
}

// stored returns the pins as they are in the table, by CID.
func (m *target) stored(t *testing.T) map[string][]byte {
	t.Helper()
	rows := make(map[string][]byte)
	var key, value []byte
	iter := m.session.Query("SELECT cid, pin FROM " + m.db.keyspace + ".pins").Iter()
	for iter.Scan(&key, &value) {
		c, err := api.CastCid(key)
		if err != nil {
			t.Fatalf("a row with the key %x: %v", key, err)
		}
		if value != nil { // else it was removed
			rows[c.String()] = bytes.Clone(value)
		}
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// count returns how many pins the table has, while something may write them.
func (m *target) count() (n int, err error) {
	err = m.session.Query("SELECT count(*) FROM " + m.db.keyspace + ".pins").Scan(&n)
	return n, err
}

// opened are the tables that have rows as soon as anybody has opened a keyspace:
// whose it is, and which tables it has.
var opened = []string{"cluster", "leases", "schema_history"}

// empty fails the test if any other table has a row, except for some.
func (m *target) empty(t *testing.T, except ...string) {
	t.Helper()
	iter := m.session.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", m.db.keyspace).Iter()
	var name string
	var tables []string
	for iter.Scan(&name) {
		tables = append(tables, name)
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range tables {
		if cqltest.IsPaxos(name) || slices.Contains(opened, name) || slices.Contains(except, name) {
			continue
		}
		var n int
		if err := m.session.Query("SELECT count(*) FROM " + m.db.keyspace + "." + name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("the table %s has %d rows, want none", name, n)
		}
	}
}

// holds fails the test unless the pinset is that of the lines of an export, as
// pins and as bytes.
func (m *target) holds(t *testing.T, lines []string) {
	t.Helper()
	if got := m.exported(t); !slices.Equal(got, lines) {
		t.Errorf("ours exports %d lines, want %d; first difference:\n%s", len(got), len(lines), firstDifference(got, lines))
	}
	rows := m.stored(t)
	if len(rows) != len(lines) {
		t.Errorf("the table has %d pins, want %d", len(rows), len(lines))
	}
	for _, line := range lines {
		pin := decodeLine(t, line)
		want, err := pin.ProtoMarshal()
		if err != nil {
			t.Fatal(err)
		}
		if got := rows[pin.Cid.String()]; !bytes.Equal(got, want) {
			t.Errorf("the row of %s has the pin\n%x\nwant\n%x\nof %s", pin.Cid, got, want, line)
		}
	}
}

func decodeLine(t *testing.T, line string) api.Pin {
	t.Helper()
	var pin api.Pin
	if err := json.Unmarshal([]byte(line), &pin); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return pin
}

// firstDifference shows the first line that only one of two sorted lists has.
func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "want " + want[i]
		case i >= len(want):
			return "got  " + got[i]
		case got[i] != want[i]:
			return "got  " + got[i] + "want " + want[i]
		}
	}
	return "none"
}

// says fails the test unless the exit code is that and every text is in what the
// program has written.
func (o outcome) says(t *testing.T, code int, want ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d; stdout:\n%s\nstderr:\n%s", o.code, code, tail(o.stdout), tail(o.stderr))
	}
	for _, text := range want {
		if !strings.Contains(o.stdout+o.stderr, text) {
			t.Errorf("nothing says %q; stdout:\n%s\nstderr:\n%s", text, tail(o.stdout), tail(o.stderr))
		}
	}
}

// equals fails the test unless two counts are the same.
func equals(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// atOnce runs a part of a test for each name, all at the same time: most of it is
// waiting for programs that end a second after their work.
func atOnce(t *testing.T, names []string, part func(t *testing.T, name string)) {
	t.Helper()
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() { t.Run(name, func(t *testing.T) { part(t, name) }) })
	}
	group.Wait()
}

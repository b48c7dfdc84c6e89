package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// A run is killed again and again at random moments, and each time the same
// command goes on. In the end everything is there, and counted once.
func TestMigrateKill9(t *testing.T) {
	n, kills := 1_500, 3
	if longTests() { // alone: a busy machine would let runs end before they are killed
		n, kills = 100_000, 20
	} else {
		t.Parallel()
		t.Logf("A SLICE ONLY: %d kills with %d pins. TEST_LONG=1 tests 20 with 100000.", kills, n)
	}
	begin := time.Now()
	pins := plainPins(t, n)
	p := initPeer(t, stock, nil, nil, "--consensus", "crdt", "--datastore", "pebble")
	cmd := p.as(t, stock, "state", "import", "-f", writeExport(t, pins))
	if out, err := cmd.CombinedOutput(); err != nil { // it may take longer than run allows
		t.Fatalf("stock state import: %v\n%s", err, tail(string(out)))
	}
	t.Logf("stock has imported them in %s", time.Since(begin).Round(time.Second))
	m := newTarget(t, nil, nil)
	from := "crdt:" + p.folder
	before := fingerprints(t, p.folder)
	killed, resumed := m.killRuns(t, from, n, kills)
	if longTests() && (killed < kills || resumed == 0) {
		t.Errorf("%d runs were killed, %d of them behind a checkpoint, which tests less than it should", killed, resumed)
	}
	report := m.finish(t, from)
	equals(t, "records", report.Records, int64(n))
	equals(t, "copied", report.Copied, int64(n))
	equals(t, "bad records", report.Bad, 0)
	m.mustMigrate(t, "verify", "--from", from).says(t, 0, "both sides are the same")
	once := newTarget(t, nil, nil)
	cmd = once.service(t, nil, "migrate", "run", "--from", from)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("a run in another keyspace: %v\n%s", err, tail(string(out)))
	}
	for table, columns := range map[string]string{
		"pins":       "cid, rev, pin, rf_min, rf_max, created, peers, writetime(pin)",
		"placements": "peer, bucket, cid, rev, status, attempts, size, error, writetime(status)",
		"everywhere": "bucket, cid, rev, writetime(rev)",
		"expiries":   "slot, shard, cid, due, writetime(due)",
		"buckets":    "holder, bucket",
	} {
		got, want := m.rows(t, table, columns), once.rows(t, table, columns)
		if len(want) == 0 || !maps.Equal(got, want) {
			t.Errorf("%s has %d rows, want the %d of a run that nobody has killed", table, len(got), len(want))
		}
	}
	untouched(t, p.folder, before)
	t.Logf("%d kills, %d pins: %s", kills, n, time.Since(begin).Round(time.Second))
}

// rows returns the rows of a table as a set of texts.
func (m *target) rows(t *testing.T, table, columns string) map[string]struct{} {
	t.Helper()
	rows := make(map[string]struct{})
	iter := m.session.Query("SELECT " + columns + " FROM " + m.db.keyspace + "." + table).Iter()
	for row := make(map[string]any); iter.MapScan(row); row = make(map[string]any) {
		rows[fmt.Sprint(row)] = struct{}{} // in the order of the names
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// Bad lines are listed once, however often the run was killed behind them.
func TestMigrateKill9BadLines(t *testing.T) {
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-migrate): migrate.TestRunGoesOnAfterAnyStop has the same with a fake pinset")
	}
	const n, kills = 60_000, 8
	text, err := os.ReadFile(writeExport(t, plainPins(t, n)))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	file := writeFile(t, "pins.json", []byte(lines[0]+"{}\n"+strings.Join(lines[1:n/2], "")+"{\n"+strings.Join(lines[n/2:], "")))
	m := newTarget(t, nil, nil)
	m.killRuns(t, "export:"+file, n, kills)
	report := m.finish(t, "export:"+file)
	equals(t, "records", report.Records, int64(n+2))
	equals(t, "copied", report.Copied, int64(n))
	equals(t, "bad records", report.Bad, 2)
	equals(t, "bad records that are listed", int64(len(report.BadRecords)), 2)
	m.migrate(t, "verify", "--from", "export:"+file).says(t, 4, "2 records of the source cannot be read", "line 2: ")
	if got := len(m.stored(t)); got != n {
		t.Errorf("the table has %d pins, want %d", got, n)
	}
}

// killRuns begins so many runs and kills each at a random moment, until one ends
// first. It returns how many were killed, and how many of them had a position to go
// on from.
func (m *target) killRuns(t *testing.T, from string, n, kills int) (killed, resumed int) {
	t.Helper()
	var records int64
	patient := 3 * time.Second
	for i := range kills {
		// A run that is killed before its first checkpoint, after three seconds at
		// least, does not come nearer to the end. The others must leave some for all.
		var limit time.Duration
		switch {
		case !longTests():
			limit = time.Second / 2
		case records > int64(n*6*i/kills/10):
			limit = 2 * time.Second
		default:
			patient += 3 * time.Second
			limit = patient
		}
		cmd := m.service(t, nil, "migrate", "run", "--from", from)
		log := start(t, filepath.Join(t.TempDir(), "run.log"), cmd)
		eventually(t, runTimeout, "the run reaches the database", func() error {
			return log.logged(t, regexp.MustCompile("connected to "), 1)
		})
		select {
		case <-log.Exited():
		case <-time.After(rand.N(limit)):
		}
		log.Kill()
		now, err := m.count()
		if err != nil {
			t.Fatal(err)
		}
		at, begun := m.status(t, m.sourceID(t, from))
		if at.Phase == "done" {
			t.Logf("run %d was done before it was killed: %s", i+1, log.text(t))
			return killed, resumed
		}
		if begun && at.Records > 0 {
			resumed++
		}
		if at.Records > records {
			patient = 3 * time.Second
		}
		killed, records = killed+1, at.Records
		t.Logf("kill %d: %d pins, position %d", i+1, now, records)
	}
	return killed, resumed
}

// sourceID is how status names a folder or a file.
func (m *target) sourceID(t *testing.T, from string) string {
	t.Helper()
	kind, place, _ := strings.Cut(from, ":")
	real, err := filepath.EvalSymlinks(place)
	if err != nil {
		t.Fatal(err)
	}
	return kind + ":" + real
}

// finish runs the last run to its end, if the one before has not come to it, and
// checks that the status is the same as its report.
func (m *target) finish(t *testing.T, from string) migrate.Report {
	t.Helper()
	if at, _ := m.status(t, m.sourceID(t, from)); at.Phase == "done" {
		return *at.Report
	}
	cmd := m.service(t, nil, "migrate", "run", "--from", from, "--json")
	out, err := cmd.Output()
	if code := exitCode(t, err); code == 1 {
		t.Fatalf("the last run fails: %s", tail(string(out)))
	}
	report := object[migrate.Report](t, outcome{stdout: string(out)}, "report")
	if !report.Complete || report.Run != 1 {
		t.Errorf("the last run is number %d, complete %v, want run 1 that is complete", report.Run, report.Complete)
	}
	at, _ := m.status(t, m.sourceID(t, from))
	if at.Phase != "done" || at.Records != report.Records || at.Copied != report.Copied || at.Bad != report.Bad {
		t.Errorf("the status is %+v, the report %+v", at, report)
	}
	return report
}

package audittable

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Each change of rows behind the back of the writer is found, the last ones with copies of
// checkpoints only.
func TestVerifyFinds(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	kept := new(copies)
	for _, writer := range []string{"gw-1", "gw-2"} {
		o := options(writer)
		o.Chain.Every, o.Chain.Copies = 4, []audit.CheckpointCopy{kept}
		table := openTable(t, db, o)
		fill(t, table, "a", 10)
		must(t, table.Close())
	}
	mustBeIntact(t, db, kept.all)
	mustBeIntact(t, db, nil)
	good, other := rowsOf(t, db, "gw-1", 0), rowsOf(t, db, "gw-2", 0)

	for name, test := range map[string]struct {
		tamper  func(t *testing.T)
		copies  bool // only the copies of checkpoints show it
		problem string
	}{
		"edit": {tamper: func(t *testing.T) {
			r := good[3]
			r.lines = strings.Replace(r.lines, "alice", "bobby", 1)
			r.put(t, db)
		}, problem: "was changed"},
		"edit of a hash": {tamper: func(t *testing.T) {
			r := good[3]
			r.lines = strings.Replace(r.lines, r.lines[9:19], "0123456789", 1)
			r.put(t, db)
		}, problem: "was changed"},
		"no JSON": {tamper: func(t *testing.T) { r := good[3]; r.lines = "hello\n"; r.put(t, db) }, problem: "is no record"},
		"empty":   {tamper: func(t *testing.T) { r := good[3]; r.lines = ""; r.put(t, db) }, problem: "is no record"},
		"null": {tamper: func(t *testing.T) {
			change(t, db, "UPDATE audit_records SET lines = null WHERE writer = 'gw-1' AND block = 0 AND seq = ?", good[3].seq)
		}, problem: "is no record"},
		"without end":      {tamper: func(t *testing.T) { r := good[3]; r.lines = strings.TrimSuffix(r.lines, "\n"); r.put(t, db) }, problem: "is no record"},
		"delete":           {tamper: func(t *testing.T) { good[3].remove(t, db) }, problem: "follows"},
		"delete the first": {tamper: func(t *testing.T) { good[0].remove(t, db) }, problem: "the records before it are missing"},
		"insert a copy between": {tamper: func(t *testing.T) {
			// One with two records has a place after it.
			r := good[slices.IndexFunc(good, func(r row) bool { return strings.Count(r.lines, "\n") == 2 })]
			r.seq++
			r.put(t, db)
		}, problem: "follows"},
		"insert a copy after":     {tamper: func(t *testing.T) { r := good[3]; r.seq = 500; r.put(t, db) }, problem: "the place of 500"},
		"insert in another block": {tamper: func(t *testing.T) { r := good[3]; r.block = 7; r.put(t, db) }, problem: "follows"},
		"reorder": {tamper: func(t *testing.T) {
			a, b := good[2], good[3]
			a.lines, b.lines = b.lines, a.lines
			a.put(t, db)
			b.put(t, db)
		}, problem: "follows"},
		"all moved by one": {tamper: func(t *testing.T) {
			for _, r := range slices.Backward(good) {
				r.remove(t, db)
				r.seq += 100
				r.put(t, db)
			}
		}, problem: "the place of"},
		"two writers' rows swapped": {tamper: func(t *testing.T) {
			a, b := good[3], other[3]
			a.lines, b.lines = b.lines, a.lines
			a.put(t, db)
			b.put(t, db)
		}, problem: "the record is of the writer gw-2"},
		"a writer's rows under another name": {tamper: func(t *testing.T) {
			for _, r := range good {
				r.remove(t, db)
				r.writer = "gw-3"
				r.put(t, db)
			}
		}, problem: "the record is of the writer gw-1"},
		"truncated": {tamper: func(t *testing.T) { good[len(good)-1].remove(t, db); good[len(good)-2].remove(t, db) }, copies: true, problem: "records were cut off"},
		"truncated, and gone on with": {tamper: func(t *testing.T) {
			for _, r := range good[4:] {
				r.remove(t, db)
			}
			table := openTable(t, db, options("gw-1"))
			fill(t, table, "b", 12)
			must(t, table.Close())
		}, copies: true, problem: "another than was signed, by a copy"},
		"a writer removed": {tamper: func(t *testing.T) {
			change(t, db, "DELETE FROM audit_records WHERE writer = 'gw-1' AND block = 0")
		}, copies: true, problem: "there are checkpoints of it, and no records"},
	} {
		t.Run(name, func(t *testing.T) {
			test.tamper(t)
			alone := verify(t, db, audit.VerifyOptions{})
			if test.copies && len(alone.Problems) > 0 {
				t.Errorf("found without copies: %s", alone.Problems[0])
			}
			report := alone
			if test.copies {
				report = verify(t, db, audit.VerifyOptions{Known: kept.all})
			}
			if !slices.ContainsFunc(report.Problems, func(p audit.Problem) bool { return strings.Contains(p.String(), test.problem) }) {
				t.Errorf("%q is not among %v", test.problem, report.Problems)
			}
		})
		change(t, db, "TRUNCATE audit_records")
		for _, r := range slices.Concat(good, other) {
			r.put(t, db)
		}
	}
	mustBeIntact(t, db, kept.all)
}

// Copies of the checkpoints of files are in the table, each of two that contradict each other.
func TestCheckpoints(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	dir := t.TempDir()
	checkpoints, err := NewCheckpoints(db, time.Hour)
	must(t, err)
	write := func(dir string) {
		f, err := audit.OpenFile(audit.FileOptions{Dir: dir, Writer: "gw-1", Key: testKey(), Every: 4, Copies: []audit.CheckpointCopy{checkpoints}})
		must(t, err)
		fill(t, f, "a", 9)
		must(t, f.Close())
	}
	write(dir)
	known, err := ReadCheckpoints(t.Context(), db)
	must(t, err)
	problems := func(dir string, known []audit.Checkpoint) []audit.Problem {
		report, err := audit.Verify(dir, audit.VerifyOptions{Keys: publicKeys(), Known: known})
		must(t, err)
		return report.Problems
	}
	if p := problems(dir, known); len(p) > 0 || len(known) == 0 {
		t.Fatalf("%d checkpoints, %v", len(known), p)
	}
	anew := t.TempDir() // all files of the writer are made again
	write(anew)
	both, err := ReadCheckpoints(t.Context(), db)
	must(t, err)
	if p := problems(anew, known); len(p) == 0 {
		t.Error("files that were made anew are taken for the old ones")
	}
	if p := problems(anew, both); len(p) == 0 || len(both) <= len(known) {
		t.Errorf("%d checkpoints, then %d: %v", len(known), len(both), p)
	}
	change(t, db, "INSERT INTO audit_checkpoints (writer, block, seq, hash, checkpoint) VALUES ('gw-1', 0, 1, 'x', 'y')")
	if both, err = ReadCheckpoints(t.Context(), db); err != nil || !slices.ContainsFunc(problems(dir, both), func(p audit.Problem) bool { return p.Writer == "audit_checkpoints" }) {
		t.Errorf("one that cannot be read: %v, %v", problems(dir, both), err)
	}
}

// Records expire, and what may be gone is no problem; what may not is one.
func TestRetention(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	clock := time.Now().Add(-10 * 24 * time.Hour)
	kept := new(copies)
	o := options("gw-1")
	o.Retention = 3 * 24 * time.Hour
	o.Chain.Every, o.Chain.Copies = 3, []audit.CheckpointCopy{kept}
	o.Chain.Now = func() time.Time { clock = clock.Add(6 * time.Hour); return clock }
	table := openTable(t, db, o)
	fill(t, table, "a", 20)
	must(t, table.Close())
	all := rowsOf(t, db, "gw-1", 0)
	var left int
	must(t, db.Session.Query("SELECT ttl(lines) FROM audit_records WHERE writer = 'gw-1' AND block = 0 AND seq = ?", all[0].seq).Scan(&left))
	if left < 3*24*3600-600 || left > 3*24*3600 {
		t.Errorf("a record lives for %d s", left)
	}
	expired := audit.VerifyOptions{Known: kept.all, Expired: clock.Add(-o.Retention)}
	mustHave := func(what string, problems int) {
		t.Helper()
		if report := verify(t, db, expired); len(report.Problems) > 0 != (problems > 0) {
			t.Errorf("%s: %v", what, report.Problems)
		}
	}
	mustHave("nothing is gone", 0)
	all[1].remove(t, db) // replicas do not agree to the second when a row has expired
	mustHave("what has expired has a hole", 0)
	for _, r := range all[:5] {
		r.remove(t, db)
	}
	mustHave("the beginning has expired", 0)
	if report := verify(t, db, audit.VerifyOptions{}); len(report.Problems) == 0 {
		t.Error("the beginning is missing, and nothing expires")
	}
	for _, r := range all[:len(all)-4] {
		r.remove(t, db)
	}
	mustHave("more is gone than has expired", 1)
	for _, r := range all {
		r.remove(t, db)
	}
	mustHave("all is gone", 1)
	expired.Expired = clock.Add(time.Hour)
	mustHave("all has expired", 0)
}

// A writer whose records have all expired goes on in a later block.
func TestAllExpired(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	log := newTestLog(db, "gw-1")
	must(t, db.Write(t.Context(), scylla.Bind(updateNewest, 6, 5, "gw-1")))
	at, err := log.end(t.Context())
	must(t, err)
	if at != audit.EndBefore(6*blockRecords+1) {
		t.Errorf("it goes on at %+v", at)
	}
	table := openTable(t, db, options("gw-1"))
	fill(t, table, "a", 1)
	must(t, table.Close())
	must(t, openTable(t, db, options("gw-1")).Close())
	report := verify(t, db, audit.VerifyOptions{Expired: time.Now().Add(-time.Hour)})
	if len(report.Problems) > 0 || report.Writers[0].First != 6*blockRecords+1 || report.Writers[0].Starts != 2 {
		t.Errorf("%+v", report)
	}
}

package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// twoWriters makes the files of two writers: several files each, the first by name with
// 20 events.
func twoWriters(t testing.TB) (dir string, known []Checkpoint) {
	t.Helper()
	dir = t.TempDir()
	kept := new(copies)
	for _, writer := range []string{"gw-1", "gw-2"} {
		f := openFile(t, FileOptions{Dir: dir, Writer: writer, Every: 7, MaxBytes: 9000, Copies: []CheckpointCopy{kept}, Now: newClock().now})
		fill(t, f, 20)
		closeFile(t, f)
	}
	if n := len(files(t, dir)); n < 6 {
		t.Fatalf("only %d files", n)
	}
	return dir, kept.all
}

// of returns the files of gw-1.
func of(t testing.TB, dir string) []segment {
	return slices.DeleteFunc(files(t, dir), func(s segment) bool { return s.writer != "gw-1" })
}

// rehash makes a chain of all lines of a writer again, as an attacker without the key
// can, after a change to its records.
func rehash(t testing.TB, dir string, change func(records []Record) []Record) {
	t.Helper()
	var records []Record
	all := of(t, dir)
	for _, s := range all {
		for _, line := range readAll(t, s.path) {
			e, err := parseLine([]byte(strings.TrimSuffix(line, "\n")))
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, e.record)
		}
		if err := os.Remove(s.path); err != nil {
			t.Fatal(err)
		}
	}
	records = change(records)
	var text []byte
	var prev hash
	for i := range records {
		records[i].Seq = int64(i + 1)
		var err error
		if text, prev, err = appendLine(text, prev, &records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(segmentPath(dir, "gw-1", 1), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// resign signs the checkpoints among records again, with another key.
func resign(t testing.TB, records []Record) {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	var prev hash
	for i := range records {
		if records[i].Kind == Sealed {
			c, err := sign(key, "gw-1", int64(i), prev, records[i].Time)
			if err != nil {
				t.Fatal(err)
			}
			records[i].Checkpoint = &c
		}
		records[i].Seq = int64(i + 1)
		_, h, err := appendLine(nil, prev, &records[i])
		if err != nil {
			t.Fatal(err)
		}
		prev = h
	}
}

func isSealed(r Record) bool { return r.Kind == Sealed }

// edit changes lines of the second file of gw-1.
func edit(change func(lines []string) []string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := of(t, dir)[1].path
		writeAll(t, path, change(readAll(t, path)))
	}
}

func TestVerifyFinds(t *testing.T) {
	dir, known := twoWriters(t)
	report := mustBeIntact(t, dir, known)
	if len(report.Writers) != 2 || report.Writers[0].First != 1 || report.Writers[0].Sealed != report.Writers[0].Last-1 {
		t.Errorf("%+v", report)
	}
	mustBeIntact(t, dir, nil)

	for name, test := range map[string]struct {
		tamper  func(t *testing.T, dir string)
		copies  bool // only the copies of checkpoints show it
		every   int64
		problem string
	}{
		"edit": {tamper: edit(func(l []string) []string {
			l[3] = strings.Replace(l[3], "alice", "bobby", 1)
			if !strings.Contains(l[3], "bobby") {
				l[4] = strings.Replace(l[4], "alice", "bobby", 1)
			}
			return l
		}), problem: "was changed"},
		"edit of a hash": {tamper: edit(func(l []string) []string {
			l[3] = l[3][:hashAt] + flip(l[3][hashAt]) + l[3][hashAt+1:]
			return l
		}), problem: "was changed"},
		"edit, one line hashed anew": {tamper: edit(func(l []string) []string {
			l[3] = rehashLine(t, l[3], func(r *Record) { r.Time = "2020-01-01T00:00:00.000000000Z" })
			return l
		}), problem: "does not follow the one before"},
		"edit, all hashed anew": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record { r[3].Time = "2020-01-01T00:00:00.000000000Z"; return r })
		}, problem: "is another than was signed"},
		"edit, all signed anew by another key": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record {
				r[3].Time = "2020-01-01T00:00:00.000000000Z"
				resign(t, r)
				return r
			})
		}, problem: "a key that is not known"},
		"edit, without checkpoints": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record {
				r[3].Time = "2020-01-01T00:00:00.000000000Z"
				return slices.DeleteFunc(r, isSealed)
			})
		}, copies: true, problem: "another than was signed, by a copy"},
		"without checkpoints, by their distance": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record { return slices.DeleteFunc(r, isSealed) })
		}, every: 20, problem: "no checkpoint in 20 records"},
		"no JSON": {tamper: edit(func(l []string) []string { l[3] = "hello\n"; return l }), problem: "is no record"},
		"not canonical": {tamper: edit(func(l []string) []string {
			l[3] = strings.Replace(l[3], `"v":1`, `"v": 1`, 1)
			return l
		}), problem: "not canonical"},
		"delete": {tamper: edit(func(l []string) []string { return slices.Delete(l, 3, 4) }), problem: "record"},
		"delete, all hashed anew": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record { return slices.Delete(r, 3, 4) })
		}, problem: "the checkpoint is of record"},
		"delete the first record": {tamper: func(t *testing.T, dir string) {
			path := of(t, dir)[0].path
			writeAll(t, path, readAll(t, path)[1:])
		}, problem: "the records before it are missing"},
		"insert": {tamper: edit(func(l []string) []string { return slices.Insert(l, 3, l[2]) }), problem: "follows"},
		"insert, all hashed anew": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record { return slices.Insert(r, 3, r[2]) })
		}, problem: "the checkpoint is of record"},
		"reorder": {tamper: edit(func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }), problem: "follows"},
		"reorder, all hashed anew": {tamper: func(t *testing.T, dir string) {
			rehash(t, dir, func(r []Record) []Record { r[2], r[3] = r[3], r[2]; return r })
		}, problem: "is another than was signed"},
		"file removed between": {tamper: func(t *testing.T, dir string) { remove(t, of(t, dir)[1].path) }, problem: "follows"},
		"first file removed":   {tamper: func(t *testing.T, dir string) { remove(t, of(t, dir)[0].path) }, problem: "the records before it are missing"},
		"last file removed": {tamper: func(t *testing.T, dir string) {
			all := of(t, dir)
			remove(t, all[len(all)-1].path)
		}, copies: true, problem: "records were cut off"},
		"truncated past the last checkpoint": {tamper: func(t *testing.T, dir string) {
			all := of(t, dir)
			path := all[len(all)-1].path
			lines := readAll(t, path)
			writeAll(t, path, lines[:len(lines)-2])
		}, copies: true, problem: "records were cut off"},
		"truncated within a line": {tamper: func(t *testing.T, dir string) {
			path := of(t, dir)[1].path
			text := strings.Join(readAll(t, path), "")
			if err := os.WriteFile(path, []byte(text[:len(text)-30]), 0o600); err != nil {
				t.Fatal(err)
			}
		}, problem: "not complete"},
		"writer removed": {tamper: func(t *testing.T, dir string) {
			for _, s := range of(t, dir) {
				remove(t, s.path)
			}
		}, copies: true, problem: "there are checkpoints of it, and no records"},
		"two writers' files swapped": {tamper: func(t *testing.T, dir string) {
			a, b := segmentPath(dir, "gw-1", 1), segmentPath(dir, "gw-2", 1)
			ta, tb := readAll(t, a), readAll(t, b)
			writeAll(t, a, tb)
			writeAll(t, b, ta)
		}, problem: "the record is of the writer gw-2"},
		"a writer's files under another name": {tamper: func(t *testing.T, dir string) {
			for _, s := range of(t, dir) {
				if err := os.Rename(s.path, segmentPath(dir, "gw-3", s.first)); err != nil {
					t.Fatal(err)
				}
			}
		}, problem: "the record is of the writer gw-1"},
		"two files of one writer swapped": {tamper: func(t *testing.T, dir string) {
			all := of(t, dir)
			ta, tb := readAll(t, all[0].path), readAll(t, all[1].path)
			writeAll(t, all[0].path, tb)
			writeAll(t, all[1].path, ta)
		}, problem: "the name of"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := copyDir(t, dir)
			test.tamper(t, changed)
			alone := verify(t, changed, VerifyOptions{Every: test.every})
			if test.copies && len(alone.Problems) > 0 {
				t.Errorf("found without copies: %s", alone.Problems[0])
			}
			report := alone
			if test.copies {
				report = verify(t, changed, VerifyOptions{Known: known})
			}
			if !slices.ContainsFunc(report.Problems, func(p Problem) bool { return strings.Contains(p.String(), test.problem) }) {
				t.Errorf("%q is not among %v", test.problem, report.Problems)
			}
		})
	}
}

func flip(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// rehashLine changes the record of a line and computes the line's hash anew.
func rehashLine(t testing.TB, line string, change func(*Record)) string {
	t.Helper()
	e, err := parseLine([]byte(strings.TrimSuffix(line, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	change(&e.record)
	text, _, err := appendLine(nil, e.prev, &e.record)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An archive may have the older files; what is left must begin with a checkpoint.
func TestVerifyArchived(t *testing.T) {
	dir, known := twoWriters(t)
	remove(t, of(t, dir)[0].path)
	report := verify(t, dir, VerifyOptions{Known: known, Archived: true})
	if len(report.Problems) > 0 {
		t.Errorf("%v", report.Problems)
	}
	path := of(t, dir)[0].path
	writeAll(t, path, readAll(t, path)[1:])
	if report = verify(t, dir, VerifyOptions{Known: known, Archived: true}); len(report.Problems) == 0 {
		t.Error("it begins without a checkpoint")
	}
}

func TestCheckpointVerify(t *testing.T) {
	c, err := sign(testKey(), "gw-1", 7, hash{1}, "2026-06-01T12:00:00.000000000Z")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(publicKeys()); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Checkpoint){
		"writer":    func(c *Checkpoint) { c.Writer = "gw-2" },
		"seq":       func(c *Checkpoint) { c.Seq++ },
		"hash":      func(c *Checkpoint) { c.Hash = hash{2}.String() },
		"time":      func(c *Checkpoint) { c.Time = "" },
		"key":       func(c *Checkpoint) { c.Key = "" },
		"signature": func(c *Checkpoint) { c.Signature = "" },
		"base64":    func(c *Checkpoint) { c.Signature = "?" },
	} {
		changed := c
		change(&changed)
		if changed.Verify(publicKeys()) == nil {
			t.Errorf("another %s is accepted", name)
		}
	}
	dir, _ := twoWriters(t)
	c.Hash = hash{3}.String()
	if report := verify(t, dir, VerifyOptions{Known: []Checkpoint{c}}); len(report.Problems) != 1 {
		t.Errorf("a false copy: %v", report.Problems)
	}
	if text, err := json.Marshal(c); err != nil || strings.Contains(string(text), "\n") {
		t.Error("a checkpoint is no line of JSON")
	}
}

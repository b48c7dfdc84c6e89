package source

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCRDTKilledPeer: what a peer has written before it was killed is there, or
// there is a clear error; and nothing is repaired.
func TestCRDTKilledPeer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		folder := killPeer(t, kind)
		untouched(t, folder)
		s, err := Open(t.Context(), "crdt:"+folder, Options{})
		if kind == "badger" {
			wantError(t, err, "was not closed, or is damaged: start the peer once and stop it again")
			return
		}
		ok(t, err)
		sameValues(t, readAll(t, s).values, wantCRDT(t))
		resumes(t, s, 50)
		ok(t, s.Close())
	})
}

// TestCRDTCopyOfRunningPeer has all its pins, or there is a clear error, and
// nothing is repaired.
func TestCRDTCopyOfRunningPeer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := startCRDT(t, kind)
		folder := copyFolder(t, p.folder)
		p.stop(t)
		untouched(t, folder)
		s, err := Open(t.Context(), "crdt:"+folder, Options{})
		if err != nil {
			wantError(t, err, filepath.Join(folder, kind), "peer")
			return
		}
		sameValues(t, readAll(t, s).values, p.want)
		ok(t, s.Close())
	})
}

// TestCRDTCutCopy: with the end of a log missing there is an error, or all of
// the pins; they are not fewer, and nothing is repaired.
func TestCRDTCutCopy(t *testing.T) {
	for _, c := range []struct{ kind, pattern string }{
		{"badger", "*.vlog"}, {"badger3", "*.mem"}, {"leveldb", "*.log"}, {"pebble", "MANIFEST-*"}, {"pebble", "*.log"},
	} {
		t.Run(c.kind+" "+c.pattern, func(t *testing.T) {
			kind := c.kind
			p := startCRDT(t, kind)
			folder := copyFolder(t, p.folder)
			p.stop(t)
			cut(t, filepath.Join(folder, kind), c.pattern)
			untouched(t, folder)
			s, err := Open(t.Context(), "crdt:"+folder, Options{})
			if err != nil {
				wantError(t, err, filepath.Join(folder, kind), "peer")
				return
			}
			got, err := readFrom(t, s, Position{})
			ok(t, s.Close())
			if err == nil {
				sameValues(t, got.values, p.want)
			}
		})
	}
}

// cut removes the last bytes that are not zero of the last file of that name.
func cut(t *testing.T, folder, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	ok(t, err)
	if len(files) == 0 {
		t.Fatalf("no %s in %s", pattern, folder)
	}
	name := files[len(files)-1]
	raw, err := os.ReadFile(name)
	ok(t, err)
	used := len(bytes.TrimRight(raw, "\x00"))
	ok(t, os.WriteFile(name, raw[:used-7], 0o600))
}

// TestCRDTDamageIsAnError: no pin goes missing because a file is damaged.
func TestCRDTDamageIsAnError(t *testing.T) {
	for _, c := range []struct{ kind, pattern string }{
		{"pebble", "*.sst"}, {"badger", "*.sst"}, {"badger", "*.vlog"},
		{"badger3", "*.sst"}, {"badger3", "*.vlog"}, {"leveldb", "*.ldb"},
	} {
		t.Run(c.kind+" "+c.pattern, func(t *testing.T) {
			p := stoppedCRDT(t, c.kind)
			// The pins are in one half of the tables, blocks in the other.
			damageAll(t, filepath.Join(p.folder, c.kind), c.pattern)
			untouched(t, p.folder)
			s, err := Open(t.Context(), p.from(), Options{})
			if err == nil {
				_, err = readFrom(t, s, Position{})
				ok(t, s.Close())
			}
			wantError(t, err, "the datastore "+filepath.Join(p.folder, c.kind)+" is damaged")
		})
	}
}

// damageAll flips a bit in every 512th byte of the files.
func damageAll(t *testing.T, folder, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	ok(t, err)
	var changed int
	for _, name := range files {
		raw, err := os.ReadFile(name)
		ok(t, err)
		for i := 256; i < len(raw)-256; i += 512 {
			raw[i] ^= 4
			changed++
		}
		ok(t, os.WriteFile(name, raw, 0o600))
	}
	if changed == 0 {
		t.Fatalf("no %s in %s is large enough", pattern, folder)
	}
}

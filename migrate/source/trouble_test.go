package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What TestOpenAsAnother gets: a source, how many files it may open, and whether it
// has given up its rights.
const (
	anotherFrom  = "SOURCE_TEST_FROM"
	anotherFiles = "SOURCE_TEST_FILES"
	nobody       = 65534
)

// TestOpenAsAnother opens a source in a process of its own and says what comes of it.
func TestOpenAsAnother(t *testing.T) {
	from := os.Getenv(anotherFrom)
	if from == "" {
		t.Skip("no test: the tests of trouble run it in a process of its own, with " + anotherFrom)
	}
	if files, err := strconv.ParseUint(os.Getenv(anotherFiles), 10, 64); err == nil {
		ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}))
	} else if os.Getuid() == 0 {
		ok(t, unix.Setuid(nobody))
	}
	s, err := Open(t.Context(), from, Options{})
	if err == nil {
		_, err = readFrom(t, s, Position{})
	}
	fmt.Printf("result %v\n", err)
}

// openAsAnother returns the error of that process.
func openAsAnother(t *testing.T, from string, env ...string) string {
	t.Helper()
	temporary := t.TempDir()
	ok(t, os.Chmod(temporary, 0o777))
	ok(t, os.Chmod(filepath.Dir(temporary), 0o777))
	cmd := exec.Command(os.Args[0], "-test.run=^TestOpenAsAnother$")
	cmd.Env = append(append(os.Environ(), anotherFrom+"="+from, "TMPDIR="+temporary), env...)
	out, err := cmd.CombinedOutput()
	_, result, found := strings.Cut(string(out), "result ")
	if !found {
		t.Fatalf("%v: %s", err, out)
	}
	result, _, _ = strings.Cut(result, "\nPASS")
	return result
}

// openForAll lets everybody read a folder of a test.
func openForAll(t *testing.T, folder string) {
	t.Helper()
	ok(t, filepath.WalkDir(filepath.Dir(folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	}))
}

// TestRaftWithoutPermissionIsNotDamaged, and no snapshot is left out.
func TestRaftWithoutPermissionIsNotDamaged(t *testing.T) {
	pins := plainPins(t, 3)
	p := newRaftPeer(t, pins[:2])
	p.log(t, 3, pinOp(pins[2]))
	openForAll(t, p.folder)
	if got := openAsAnother(t, p.from()); got != "<nil>" {
		t.Errorf("with permission to read: %s", got)
	}
	for _, name := range []string{p.db(), p.snapshotFile(t, "meta.json")} {
		ok(t, os.Chmod(name, 0))
		got := openAsAnother(t, p.from())
		wantError(t, errors.New(got), "cannot be read", "run this as the user of the peer")
		if strings.Contains(got, "damaged") {
			t.Error(got)
		}
		ok(t, os.Chmod(name, 0o644))
	}
}

// TestCRDTWithoutPermissionIsNotDamaged, and the error says whose permission it is.
func TestCRDTWithoutPermissionIsNotDamaged(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := stoppedCRDT(t, kind)
		openForAll(t, p.folder)
		files, err := filepath.Glob(filepath.Join(p.folder, kind, "*"))
		ok(t, err)
		for _, mode := range []fs.FileMode{0, 0o444} {
			for _, name := range files {
				ok(t, os.Chmod(name, mode))
			}
			got := openAsAnother(t, p.from())
			if mode != 0 && kind != "badger3" {
				if got != "<nil>" {
					t.Errorf("with permission to read: %s", got)
				}
				continue
			}
			wantError(t, errors.New(got), "the datastore "+filepath.Join(p.folder, kind)+" cannot be read", "run this as the user of the peer")
			if strings.Contains(got, "damaged") || strings.Contains(got, shadowName) {
				t.Error(got)
			}
			if mode != 0 {
				wantError(t, errors.New(got), "a copy of the folder")
			}
		}
	})
}

// TestCRDTWithTooFewFilesIsNotDamaged, wherever the last one is opened.
func TestCRDTWithTooFewFilesIsNotDamaged(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		p := stoppedCRDT(t, kind)
		refused := 0
		for _, files := range []int{9, 12, 16, 24} {
			got := openAsAnother(t, p.from(), fmt.Sprint(anotherFiles, "=", files))
			if got == "<nil>" {
				break
			}
			if strings.Contains(got, "damaged") || !strings.Contains(got, "too many") {
				t.Errorf("with %d files: %s", files, got)
			}
			if strings.Contains(got, "ulimit -n") {
				refused++
			}
		}
		if refused == 0 {
			t.Error("nothing says how to have more files")
		}
	})
}

// TestTrouble: what is not damage says what to do, however an engine hands it on, and
// what a caller returns is left alone.
func TestTrouble(t *testing.T) {
	opening := &crdtSource{where: "/peer/pebble"}
	inShadow := filepath.Join(os.TempDir(), shadowName+"123", "000001.mem")
	for why, want := range map[error][]string{
		unix.ENOSPC: {os.TempDir(), "TMPDIR", inShadow},
		unix.EDQUOT: {os.TempDir(), "TMPDIR", inShadow},
		unix.EROFS:  {"a copy of the folder", "/peer/pebble/000001.mem"},
		unix.EACCES: {"as the user of the peer", "/peer/pebble/000001.mem"},
		unix.EPERM:  {"as the user of the peer"},
		unix.EMFILE: {"ulimit -n"},
		unix.ENFILE: {"ulimit -n"},
	} {
		err := opening.explain(damaged(&fs.PathError{Op: "open", Path: inShadow, Err: why}))
		wantError(t, err, append(want, "the datastore /peer/pebble cannot be read")...)
		if strings.Contains(err.Error(), "damaged") || !errors.Is(err, why) {
			t.Error(err)
		}
		open := &crdtSource{where: "/peer/pebble", store: &levelEngine{}}
		if err := open.explain(why); err != why { //nolint:errorlint // the very error
			t.Errorf("the error of a caller became %v", err)
		}
	}
	err := opening.explain(damaged(fmt.Errorf("%s: no table", inShadow)))
	wantError(t, err, "is damaged", ": /peer/pebble/000001.mem: no table")
}

// TestNoPlaceForTheShadow names the folder that has none.
func TestNoPlaceForTheShadow(t *testing.T) {
	p := stoppedCRDT(t, "pebble")
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("TMPDIR", missing)
	_, err := Open(t.Context(), p.from(), Options{})
	wantError(t, err, missing, "TMPDIR")
}

// TestCRDTOfALaterVersionIsNotDamaged.
func TestCRDTOfALaterVersionIsNotDamaged(t *testing.T) {
	for kind, change := range map[string]func(t *testing.T, folder string){
		"pebble": func(t *testing.T, folder string) {
			markers, err := filepath.Glob(filepath.Join(folder, "marker.format-version.*"))
			if ok(t, err); len(markers) != 1 {
				t.Fatal(markers)
			}
			ok(t, os.Rename(markers[0], filepath.Join(folder, "marker.format-version.000999.999")))
		},
		"badger":  laterManifest,
		"badger3": laterManifest,
	} {
		t.Run(kind, func(t *testing.T) {
			p := stoppedCRDT(t, kind)
			change(t, filepath.Join(p.folder, kind))
			_, err := Open(t.Context(), p.from(), Options{})
			wantError(t, err, "was written by a later version of it: use a later version of this program")
			if strings.Contains(err.Error(), "damaged") {
				t.Error(err)
			}
		})
	}
}

func laterManifest(t *testing.T, folder string) {
	t.Helper()
	change(t, filepath.Join(folder, "MANIFEST"), func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[4:], 99)
		return b
	})
}

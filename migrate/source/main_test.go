package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	fslock "github.com/ipfs/go-fs-lock"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// holdLock makes the test binary hold the lock of a folder instead of testing:
// locks of fcntl do not keep a process out of its own files.
const holdLock = "SOURCE_TEST_HOLD_LOCK_OF"

// holdShadow makes the test binary make a shadow and keep it.
const holdShadow = "SOURCE_TEST_HOLD_SHADOW"

func TestMain(m *testing.M) {
	if os.Getenv(holdShadow) != "" {
		s, err := makeShadow()
		if err == nil {
			fmt.Print(s.path)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	if folder := os.Getenv(holdLock); folder != "" {
		lock, err := fslock.Lock(folder, lockFile)
		fmt.Println("held", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		if err == nil {
			_ = lock.Close()
		}
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "ipfs-cluster-scylla-source-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "source:", err)
		return 1
	}
	stopped.folder, stopped.peers = folder, make(map[string]*crdtPeer)
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, "source:", err)
		code = max(code, 1)
	}
	return code
}

// tryLock locks a folder as the daemon does, in another process, until the end of
// the test, and returns what that process says.
func tryLock(t *testing.T, folder string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdLock+"="+folder)
	stdin, err := cmd.StdinPipe()
	ok(t, err)
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	answer := make([]byte, 1024)
	n, err := stdout.Read(answer)
	ok(t, err)
	return string(answer[:n])
}

func daemonLocks(t *testing.T, folder string) {
	t.Helper()
	if got := tryLock(t, folder); got != "held <nil>\n" {
		t.Fatal(got)
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantError checks that an error has all these texts in it.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error %q does not say %q", err, text)
		}
	}
}

// read is what came out of a source.
type read struct {
	values  map[string][]byte // by CID
	records []Record
	bad     []Bad
}

func (r *read) record(rec Record) error {
	r.values[rec.Cid.String()] = rec.Value
	r.records = append(r.records, rec)
	return nil
}

func (r *read) badRecord(b Bad) error {
	r.bad = append(r.bad, b)
	return nil
}

func readFrom(t *testing.T, s Source, from Position) (*read, error) {
	t.Helper()
	r := &read{values: make(map[string][]byte)}
	return r, s.Read(t.Context(), from, r.record, r.badRecord)
}

func readAll(t *testing.T, s Source) *read {
	t.Helper()
	r, err := readFrom(t, s, Position{})
	ok(t, err)
	return r
}

func open(t *testing.T, from string) Source {
	t.Helper()
	s, err := Open(t.Context(), from, Options{})
	ok(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// sameValues checks the pins, byte for byte.
func sameValues(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for c, value := range want {
		if g, found := got[c]; !found {
			t.Fatalf("%s is missing; there are %d pins, want %d", c, len(got), len(want))
		} else if !bytes.Equal(g, value) {
			t.Fatalf("%s: got %x, want %x", c, g, value)
		}
	}
	for c := range got {
		if _, found := want[c]; !found {
			t.Fatalf("%s was not to come; there are %d pins, want %d", c, len(got), len(want))
		}
	}
}

// resumes checks that from each position the rest of a source comes, exactly.
func resumes(t *testing.T, s Source, every int) {
	t.Helper()
	whole := readAll(t, s)
	for i := 0; i < len(whole.records); i += every {
		rest, err := readFrom(t, s, whole.records[i].After)
		ok(t, err)
		if len(rest.records) != len(whole.records)-i-1 {
			t.Fatalf("%d records after the first %d of %d", len(rest.records), i+1, len(whole.records))
		}
		for j, r := range rest.records {
			want := whole.records[i+1+j]
			if !r.Cid.Equals(want.Cid) || !bytes.Equal(r.Value, want.Value) || r.After.Records != want.After.Records || !bytes.Equal(r.After.Key, want.After.Key) {
				t.Fatalf("record %d after the first %d: got %v, want %v", j, i+1, r, want)
			}
		}
	}
}

func counts(t *testing.T, s Source, want int) {
	t.Helper()
	n, err := s.Count(t.Context(), func(int64) {})
	ok(t, err)
	if n != int64(want) {
		t.Errorf("counted %d records, want %d", n, want)
	}
}

// fingerprintOf a folder: the names, sizes, times and content of its files.
func fingerprintOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	ok(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			files[path] += fmt.Sprintf(" %d %x", info.Size(), hashOf(t, path))
		}
		return nil
	}))
	return files
}

func hashOf(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	ok(t, err)
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	ok(t, err)
	return sum.Sum(nil)
}

// untouched checks at the end of the test that a folder is as it is now.
func untouched(t *testing.T, folder string) {
	t.Helper()
	t.Cleanup(watch(t, folder))
}

// watch returns what checks that a folder is as it is now.
func watch(t *testing.T, folder string) func() {
	t.Helper()
	before := fingerprintOf(t, folder)
	return func() {
		t.Helper()
		after := fingerprintOf(t, folder)
		for path, now := range after {
			if before[path] != now {
				t.Errorf("%s was %q and is %q", path, before[path], now)
			}
		}
		for path := range before {
			if _, found := after[path]; !found {
				t.Errorf("%s is gone", path)
			}
		}
	}
}

// copyFolder copies a folder as it is, also while somebody writes there and
// removes files.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	out, err := exec.Command("cp", "-r", "--sparse=always", from, to).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "cannot stat") {
		t.Fatalf("%v: %s", err, out)
	}
	return to
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	ok(t, err)
	ok(t, os.WriteFile(path, raw, 0o600))
}

// writeConfig writes a service.json with one consensus and maybe one datastore.
func writeConfig(t *testing.T, folder, consensus string, datastore map[string]any) {
	t.Helper()
	writeJSON(t, filepath.Join(folder, configFile), map[string]any{
		"cluster":   map[string]any{},
		"consensus": map[string]any{consensus: map[string]any{}},
		"datastore": datastore,
	})
}

// samplePins returns pins of every kind that a cluster has, and plain ones.
func samplePins(tb testing.TB, plain int) []api.Pin {
	tb.Helper()
	var pins []api.Pin
	for _, sample := range statetest.Samples(tb) {
		pins = append(pins, sample.Pin)
	}
	for i := range plain {
		p := api.PinCid(statetest.Cid(fmt.Sprint("pin ", i)))
		p.Name = fmt.Sprint("pin ", i, strings.Repeat(" and more of it", i%20))
		p.MaxDepth, p.Timestamp = -1, time.Date(2026, 3, 14, 15, 9, 26, i, time.UTC)
		pins = append(pins, p)
	}
	return pins
}

func valueOf(tb testing.TB, p api.Pin) []byte {
	tb.Helper()
	value, err := p.ProtoMarshal()
	ok(tb, err)
	return value
}

var errStop = errors.New("stop")

// canceled returns a context that has ended.
func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// testPin returns the pin number n.
func testPin(t *testing.T, n int) api.Pin {
	t.Helper()
	hash, err := multihash.Sum(fmt.Append(nil, n), multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	pin := api.PinCid(api.NewCid(cid.NewCidV1(cid.Raw, hash)))
	pin.Name = fmt.Sprint("pin ", n)
	pin.ReplicationFactorMin, pin.ReplicationFactorMax = 1, 2
	return pin
}

// storeWith returns upstream's state with n pins.
func storeWith(t *testing.T, n int) state.Store {
	t.Helper()
	st, err := dsstate.New(t.Context(), inmem.New(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := st.Add(t.Context(), testPin(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// brokenStore lists some pins and then fails.
type brokenStore struct {
	state.Store
	pins []api.Pin
	err  error
}

func (s *brokenStore) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	for _, pin := range s.pins {
		select {
		case out <- pin:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.err
}

func quiet() *progress { return newProgress(io.Discard, "") }

func TestExportPins(t *testing.T) {
	const pins = 3000
	var out bytes.Buffer
	n, err := exportPins(t.Context(), storeWith(t, pins), &out, quiet())
	if err != nil || n != pins {
		t.Fatalf("exported %d pins, %v; want %d", n, err, pins)
	}
	if lines := strings.Count(out.String(), "\n"); lines != pins {
		t.Errorf("%d lines, want one for each of %d pins", lines, pins)
	}
	again := &recorder{}
	if n, err := addPins(t.Context(), &out, again, api.PinOptions{}, quiet()); err != nil || n != pins {
		t.Fatalf("imported %d, %v; want %d", n, err, pins)
	}
	got := make(map[api.Cid]api.Pin)
	for _, pin := range again.committed {
		got[pin.Cid] = pin
	}
	for i := range pins {
		if want := testPin(t, i); !want.Equals(got[want.Cid]) {
			t.Fatalf("pin %d came back as %+v, want %+v", i, got[want.Cid], want)
		}
	}
}

func TestExportReportsWhatItCouldNotList(t *testing.T) {
	corrupt := errors.New("corrupt pin")
	st := &brokenStore{pins: []api.Pin{testPin(t, 1), testPin(t, 2)}, err: corrupt}
	var out bytes.Buffer
	n, err := exportPins(t.Context(), st, &out, quiet())
	if n != 2 || !errors.Is(err, corrupt) {
		t.Errorf("got %d and %v, want 2 and the error of List", n, err)
	}
	if want := "the export is not complete, it ended after 2 pins: corrupt pin"; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

// failingWriter fails after some bytes.
type failingWriter struct {
	left int
	err  error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestExportEndsWhenItCannotWrite(t *testing.T) {
	full := errors.New("disk full")
	n, err := exportPins(t.Context(), storeWith(t, 5000), &failingWriter{left: 1000, err: full}, quiet())
	if !errors.Is(err, full) || n >= 10 {
		t.Errorf("got %d pins and %v, want a few and the error of the writer", n, err)
	}
}

func TestExportToFile(t *testing.T) {
	failure := errors.New("half way")
	half := func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return failure
	}
	whole := func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "pins.json")
	files := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}

	if err := writeWhole(path, half); !errors.Is(err, failure) {
		t.Errorf("got %v, want the error of the export", err)
	}
	if left := files(); len(left) != 0 {
		t.Errorf("a failed export leaves %v", left)
	}
	if err := writeWhole(path, whole); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(path, half); !errors.Is(err, failure) {
		t.Errorf("got %v, want the error of the export", err)
	}
	if got := readFile(t, path); got != "whole" || len(files()) != 1 {
		t.Errorf("after a failed export over an older one it is %q, files %v", got, files())
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "old")
	if err := writeWhole(link, whole); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || readFile(t, path) != "whole" {
		t.Errorf("exporting through a link: %v, mode %v, target %q", err, info.Mode(), readFile(t, path))
	}
	if err := writeWhole(filepath.Join(dir, "no", "pins.json"), whole); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the folder does not exist", err)
	}
}

func TestExportToPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		content, err := os.ReadFile(path)
		read <- fmt.Sprint(string(content), err)
	}()
	if err := writeWhole(path, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-read:
		if got != "whole<nil>" {
			t.Errorf("read %q from the pipe, want whole", got)
		}
	case <-time.After(patience):
		t.Fatal("nothing came out of the pipe: it was replaced")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
		t.Errorf("the pipe was replaced: %v, %v", info, err)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "exported")
	p.tick(1)
	if out.Len() != 0 {
		t.Errorf("said %q at once", out.String())
	}
	p.last = p.last.Add(-p.every)
	p.start = p.start.Add(-p.every)
	p.tick(20)
	p.tick(30)
	if want := "20 pins exported in 10s (2 a second)\n"; out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
}

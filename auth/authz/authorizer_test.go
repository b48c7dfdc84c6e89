package authz

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// freeze forbids what ursula may do by her role.
const (
	freeze   = "@id(\"nothing-here\") forbid (principal, action == Action::\"keys:list\", resource);\n\n@id(\"freeze\") forbid (principal, action == Action::\"pins:delete\", resource);\n"
	thaw     = "@id(\"nothing-here\") forbid (principal, action == Action::\"keys:list\", resource);\n"
	broken   = "@id(\"x\") forbid (principal, action, resource) when { principal.nothing };\n"
	notSure  = `{"principals": {"u": {"id": "u", "tenant": "t1", "scopes": ["*"]}}, "resources": {"t": {"tenant": "t1"}}, "cases": [{"name": "n", "principal": "u", "action": "keys:list", "resource": "t", "expect": "allow", "policies": []}]}`
	ownName  = "own.cedar"
	testName = "own.tests.json"
)

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func seal(t testing.TB, dir string) {
	t.Helper()
	if err := Folder(dir).Seal(false); err != nil {
		t.Fatal(err)
	}
}

func newAuthorizer(t testing.TB, dir string) *Authorizer {
	t.Helper()
	a, err := New(Options{Own: Folder(dir)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ownName, thaw)
	write(t, dir, "README.md", "left alone")
	write(t, dir, ".own.cedar.swp", "left alone")
	seal(t, dir)
	a := newAuthorizer(t, dir)
	first := a.Set()
	if taken, err := a.Reload(); taken || err != nil || a.Set() != first {
		t.Fatalf("the same policies were taken again: %v %v", taken, err)
	}
	if !a.Decide(deleteHers()).Allowed {
		t.Fatal("denied")
	}

	// A folder that is not good leaves the last set, and is told of once.
	for _, change := range []func(){
		func() { write(t, dir, ownName, freeze) }, // not sealed
		func() { write(t, dir, ownName, broken); sealAnyway(t, dir) },
		func() { write(t, dir, ownName, thaw); write(t, dir, testName, notSure); sealAnyway(t, dir) },
		func() { remove(t, dir, testName) },
		func() { remove(t, dir, ownName) },
		func() { remove(t, dir, ManifestName) },
	} {
		change()
		taken, err := a.Reload()
		if taken || err == nil || a.Set() != first {
			t.Fatalf("taken %v, error %v", taken, err)
		}
		if taken, err = a.Reload(); taken || err != nil {
			t.Fatalf("told again: taken %v, error %v", taken, err)
		}
	}

	write(t, dir, ownName, freeze)
	seal(t, dir)
	if taken, err := a.Reload(); !taken || err != nil {
		t.Fatalf("taken %v, error %v", taken, err)
	}
	d := a.Decide(deleteHers())
	if d.Allowed || len(d.Policies) != 1 || d.Policies[0] != "freeze" || d.Version == first.Version() {
		t.Errorf("%+v", d)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// sealAnyway writes the manifest as sha256sum would, without looking at the policies.
func sealAnyway(t *testing.T, dir string) {
	t.Helper()
	files, err := Folder(dir).Files()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range files {
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(f.Text), f.Name)
	}
	write(t, dir, ManifestName, text.String())
}

// A writer that stops anywhere, in the policies or in the manifest, leaves no set
// that nobody meant. Many beginnings of a file of policies are good policies.
func TestHalfWritten(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ownName, freeze)
	write(t, dir, "second.cedar", "@id(\"second\") forbid (principal, action == Action::\"keys:list\", resource);\n")
	seal(t, dir)
	a := newAuthorizer(t, dir)
	first := a.Set()
	manifest, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for n := 0; n < len(freeze); n += 2 {
		write(t, dir, ownName, freeze[:n])
		if _, err := NewSet([]File{own(freeze[:n])}, false); err == nil {
			good++
		}
		if taken, err := a.Reload(); taken || a.Set() != first {
			t.Fatalf("%d bytes were taken: %v", n, err)
		}
	}
	if good < 2 {
		t.Error("no beginning is good policies by itself: the test shows nothing")
	}
	// The new policies are complete, the manifest is not yet.
	write(t, dir, ownName, thaw)
	sealAnyway(t, dir)
	newManifest, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(newManifest); n += 3 {
		for _, text := range [][]byte{newManifest[:n], append(append([]byte{}, newManifest[:n]...), manifest[n:]...)} {
			write(t, dir, ManifestName, string(text))
			if taken, err := a.Reload(); taken || a.Set() != first {
				if string(text) == string(newManifest) {
					return // it is complete, the rest is as it was
				}
				t.Fatalf("with %d bytes of the manifest they were taken: %v", n, err)
			}
		}
	}
	write(t, dir, ManifestName, string(newManifest))
	if taken, err := a.Reload(); !taken || err != nil {
		t.Fatalf("taken %v, error %v", taken, err)
	}
}

func TestSealRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := Folder(dir).Seal(false); err == nil {
		t.Error("an empty folder was sealed")
	}
	write(t, dir, ownName, broken)
	if err := Folder(dir).Seal(false); err == nil {
		t.Error("broken policies were sealed")
	}
	if _, err := New(Options{Own: Folder(dir)}); err == nil {
		t.Error("an authorizer without a good set")
	}
	if _, err := New(Options{Own: Folder(filepath.Join(dir, "none"))}); err == nil {
		t.Error("an authorizer without its folder")
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, ownName), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Folder(dir).Seal(false); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a pipe: %v", err)
	}
}

func TestOneFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ownName, freeze)
	write(t, dir, testName, `{"cases": []}`)
	write(t, dir, "other.cedar", broken)
	file := Folder(filepath.Join(dir, ownName))
	if report, err := Check(file, false); err != nil || report.Sealed || report.Unsealed == "" {
		t.Fatalf("%+v %v", report, err)
	}
	if err := file.Seal(false); err != nil {
		t.Fatal(err)
	}
	report, err := Check(file, false)
	if err != nil || !report.Sealed || len(report.Untested) == 0 {
		t.Fatalf("%+v %v", report, err)
	}
	a := newAuthorizer(t, string(file))
	if a.Decide(deleteHers()).Allowed || a.Set().Version() != report.Version {
		t.Error("the file does not decide")
	}
}

// Decisions go on while sets are taken, each by one whole set.
func TestDecisionsWhileReloading(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ownName, thaw)
	seal(t, dir)
	a := newAuthorizer(t, dir)
	thawed := a.Set().Version()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if d := a.Decide(deleteHers()); d.Allowed != (d.Version == thawed) {
						t.Errorf("%+v", d)
						return
					}
				}
			}
		})
	}
	for i := range 6 {
		write(t, dir, ownName, []string{freeze, thaw}[i%2])
		seal(t, dir)
		if taken, err := a.Reload(); !taken || err != nil {
			t.Errorf("taken %v, error %v", taken, err)
		}
	}
	close(stop)
	wg.Wait()
}

type fakeSource struct {
	mu    sync.Mutex
	files []File
	err   error
}

func (s *fakeSource) Read() ([]File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files, s.err
}

func (s *fakeSource) set(text string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files, s.err = []File{own(text)}, err
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(fakeSource)
		source.set(thaw, nil)
		a, err := New(Options{Own: source})
		if err != nil {
			t.Fatal(err)
		}
		var told []error
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Watch(ctx, 5*time.Second, func(_ string, err error) { told = append(told, err) })
		}()
		pass := func() {
			time.Sleep(12 * time.Second)
			synctest.Wait()
		}
		pass()
		source.set(thaw, errors.New("the disk is gone"))
		pass()
		source.set(freeze, nil)
		pass()
		cancel()
		<-done
		if len(told) != 2 || told[0] == nil || told[1] != nil || a.Decide(deleteHers()).Allowed {
			t.Errorf("told %v", told)
		}
	})
}

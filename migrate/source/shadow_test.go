package source

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

func linkAll(string, fs.FileInfo) linkMode { return linked }

// TestShadowOfAKilledProcessIsRemoved, and that of one that still reads is not.
func TestShadowOfAKilledProcessIsRemoved(t *testing.T) {
	of := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(of, "file"), []byte("x"), 0o600))
	t.Setenv("TMPDIR", t.TempDir())
	left := filepath.Join(os.TempDir(), shadowName+"17")
	ok(t, os.Mkdir(left, 0o700))
	ok(t, os.Symlink(filepath.Join(of, "file"), filepath.Join(left, "file")))
	others := []string{filepath.Join(os.TempDir(), "another-folder"), filepath.Join(os.TempDir(), shadowName+"18")}
	ok(t, os.Mkdir(others[0], 0o700))
	ok(t, os.WriteFile(others[1], nil, 0o600)) // no folder
	one, err := newShadow(of, linkAll)
	ok(t, err)
	two, err := newShadow(of, linkAll)
	ok(t, err)
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there")
	}
	for _, name := range append(others, filepath.Join(one.path, "file"), filepath.Join(two.path, "file"), filepath.Join(of, "file")) {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	ok(t, one.remove())
	ok(t, two.remove())
	if _, err := os.Stat(one.path); err == nil {
		t.Error("it was not removed at its end")
	}
}

// TestShadowOfAnotherUserStays.
func TestShadowOfAnotherUserStays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can make a folder of another user, and no variable changes that")
	}
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(os.TempDir(), shadowName+"17")
	ok(t, os.Mkdir(path, 0o700))
	ok(t, os.Chown(path, nobody, nobody))
	removeShadows(os.TempDir())
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestShadowsOfManyAtOnce: none is removed by another while it is made or used.
func TestShadowsOfManyAtOnce(t *testing.T) {
	of := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		ok(t, os.WriteFile(filepath.Join(of, name), []byte("x"), 0o600))
	}
	t.Setenv("TMPDIR", t.TempDir())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				s, err := newShadow(of, linkAll)
				if err != nil {
					t.Error(err)
					return
				}
				if entries, err := os.ReadDir(s.path); err != nil || len(entries) != 3 {
					t.Errorf("%d entries, %v", len(entries), err)
				}
				if err := s.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestShadowIsGoneAfterAKill: the next start removes what a killed process had made.
func TestShadowIsGoneAfterAKill(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdShadow+"=1")
	stdin, err := cmd.StdinPipe()
	ok(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	text := make([]byte, 1024)
	n, err := stdout.Read(text)
	ok(t, err)
	path := string(text[:n])
	removeShadows(os.TempDir())
	if _, err := os.Stat(path); err != nil {
		t.Errorf("while its process runs: %v", err)
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait()
	removeShadows(os.TempDir())
	if _, err := os.Stat(path); err == nil {
		t.Error("it is still there")
	}
}

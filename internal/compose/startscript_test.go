package compose

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/config"
)

// A container dies in the middle of its first start, at each step. The next
// start does what is left, and keeps what is there.
func TestStartScriptGoesOn(t *testing.T) {
	s := mustLoad(t).Services["cluster"]
	for name, dying := range map[string]struct{ program, text string }{
		"in init": {"ipfs-cluster-service", `
			mkdir -p "$2"
			echo { >"$2/service.json"
			kill -9 $PPID`},
		"before the identity": {"mv", `
			kill -9 $PPID`},
		"before the configuration": {"mv", `
			case $1 in */service.json) kill -9 $PPID; exit;; esac
			/bin/mv "$@"`},
		"after the configuration": {"mv", `
			/bin/mv "$@"
			case $1 in */service.json) kill -9 $PPID;; esac`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := newPeer(t, s)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, dying.program), []byte("#!/bin/sh"+dying.text+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := peer.with(dir).start(t, "version"); err == nil {
				t.Fatalf("the first start did not die:\n%s", out)
			}
			peer.goesOn(t, s)
		})
	}
}

// TestStartScriptMissing shows that of the two files the one that is there is
// kept: a container of an older image died before it had both, or service.json
// is mounted.
func TestStartScriptMissing(t *testing.T) {
	s := mustLoad(t).Services["cluster"]
	for _, missing := range [][]string{{"identity.json"}, {"service.json"}, {"identity.json", "service.json"}} {
		t.Run(strings.Join(missing, " "), func(t *testing.T) {
			t.Parallel()
			peer := newPeer(t, s)
			if out, err := peer.start(t, "version"); err != nil {
				t.Fatalf("first start: %v\n%s", err, out)
			}
			for _, file := range missing {
				if err := os.Remove(filepath.Join(peer.folder, file)); err != nil {
					t.Fatal(err)
				}
			}
			peer.goesOn(t, s)
		})
	}
}

// TestStartScriptInit shows that init in a container is left to the user.
func TestStartScriptInit(t *testing.T) {
	peer := newPeer(t, mustLoad(t).Services["cluster"])
	out, err := peer.start(t, "--loglevel", "info", "init", "--consensus", "raft")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(out, "configuration written to"); n != 1 {
		t.Errorf("init writes the configuration %d times:\n%s", n, out)
	}
	if !strings.Contains(peer.config(t), `"raft"`) {
		t.Errorf("init did not do what it was asked for:\n%s", peer.config(t))
	}
}

// with is the same container with other programs before those in its path.
func (p container) with(dir string) container {
	p.env = slices.Clone(p.env)
	p.env[0] = "PATH=" + dir + ":" + strings.TrimPrefix(p.env[0], "PATH=")
	return p
}

// goesOn starts the peer once more, and fails the test unless its folder then
// has what the daemon of s needs, and still what it had.
func (p container) goesOn(t *testing.T, s service) {
	t.Helper()
	before := p.files(t)
	out, err := p.start(t, "version")
	if err != nil {
		t.Fatalf("the next start: %v\n%s", err, out)
	}
	after := p.files(t)
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s was\n%s\nand is\n%s", name, text, after[name])
		}
	}
	for _, problem := range checkConfig(t, after["service.json"], s) {
		t.Error(problem)
	}
	if err := new(config.Identity).LoadJSON([]byte(after["identity.json"])); err != nil {
		t.Error("identity.json: ", err)
	}
}

// files returns the files in the folder, by name.
func (p container) files(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(p.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(text)
	}
	return found
}

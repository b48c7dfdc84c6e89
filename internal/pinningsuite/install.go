package pinningsuite

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

//go:embed testdata/*
var embedded embed.FS

const installNode = "install Node.js 18.19 or later, and npm: sudo apt-get install -y nodejs npm"

// Suite is installed. Its methods may be called from several goroutines.
type Suite struct {
	sources string // the directory of what is in testdata
	entry   string // the program
}

// Install has npm fetch the suite, unless it is there. It is of use as long as the test.
func Install(tb testing.TB) *Suite {
	tb.Helper()
	s, err := install(tb)
	if err != nil {
		unavailable(tb, err)
	}
	return s
}

// unavailable ends a test that has no suite.
func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("NODE_REQUIRED") == "1" {
		tb.Fatalf("no compliance suite, and NODE_REQUIRED=1: %v", err)
	}
	tb.Skipf("SKIPPED WITHOUT THE COMPLIANCE SUITE (NODE_REQUIRED=1 makes this a failure): %v", err)
}

func install(tb testing.TB) (*Suite, error) {
	tb.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("no %s to run the compliance suite with: %w; %s", program, err, installNode)
		}
	}
	files, err := fs.Sub(embedded, "testdata")
	if err != nil {
		return nil, fmt.Errorf("read the sources of the compliance suite: %w", err)
	}
	sources := tb.TempDir()
	if err := os.CopyFS(sources, files); err != nil {
		return nil, fmt.Errorf("write the sources of the compliance suite: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no cache directory for the compliance suite: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	lock, err := fs.ReadFile(files, "package-lock.json")
	if err != nil {
		return nil, fmt.Errorf("read the versions of the compliance suite: %w", err)
	}
	sum := sha256.Sum256(lock)
	installed := filepath.Join(cache, "ipfs-cluster-scylla", fmt.Sprintf("pinning-service-compliance-%x", sum[:6]))
	if _, err := os.Stat(installed); err != nil {
		if err := fetch(tb.Context(), files, installed); err != nil {
			return nil, err
		}
	}
	return &Suite{
		sources: sources,
		entry:   filepath.Join(installed, "node_modules", "@ipfs-shipyard", "pinning-service-compliance", "dist", "src", "index.js"),
	}, nil
}

// fetch has npm fetch the suite to a new folder, which is there when it is complete.
func fetch(ctx context.Context, files fs.FS, folder string) (err error) {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fmt.Errorf("make cache directory: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "fetch-")
	if err != nil {
		return fmt.Errorf("make directory for the compliance suite: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }() // not there if all went well
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read the versions of the compliance suite: %w", err)
		}
		if err := os.WriteFile(filepath.Join(fresh, name), text, 0o600); err != nil {
			return fmt.Errorf("write the versions of the compliance suite: %w", err)
		}
	}
	// A script of one of its packages downloads an IPFS daemon, which nothing needs.
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = fresh
	if out, err := child.Output(ctx, npm); err != nil {
		return fmt.Errorf("npm could not fetch the compliance suite: %w\n%s", err, out)
	}
	// Another process may have been faster.
	if err := os.Rename(fresh, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("move the compliance suite into place: %w", err)
	}
	return nil
}

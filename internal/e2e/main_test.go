package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

func TestMain(m *testing.M) {
	code := cqltest.Main(m)
	if err := os.RemoveAll(programs.built); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// The programs under test, by their file names.
const (
	service = "ipfs-cluster-service"
	ctl     = "ipfs-cluster-ctl"
	kubo    = "ipfs"
)

// programs is the folder of the binaries. All tests of this process share it
// because a build takes minutes when caches are cold.
var programs struct {
	sync.Once
	dir   string
	built string // dir, if it must be removed
	err   error
}

// program returns the path of a binary. The first call builds all of them,
// unless E2E_BIN names a folder.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.Do(func() {
		if programs.dir = os.Getenv("E2E_BIN"); programs.dir != "" {
			programs.dir, programs.err = filepath.Abs(programs.dir)
			return
		}
		programs.dir, programs.err = os.MkdirTemp("", "ipfs-cluster-scylla-e2e-")
		programs.built = programs.dir
		for _, b := range []struct {
			module string // relative to this package
			args   []string
		}{
			{"../..", []string{"-race", "-o", filepath.Join(programs.dir, service), "./cmd/ipfs-cluster-service"}},
			{"../..", []string{"-o", filepath.Join(programs.dir, ctl), "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl"}},
			{"../../tools/kubo", []string{"-o", filepath.Join(programs.dir, kubo), "github.com/ipfs/kubo/cmd/ipfs"}},
		} {
			if programs.err != nil {
				return
			}
			cmd := exec.Command("go", append([]string{"build"}, b.args...)...)
			cmd.Dir = b.module
			if out, err := cmd.CombinedOutput(); err != nil {
				programs.err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
			}
		}
	})
	if programs.err != nil {
		t.Fatal("no programs to test: ", programs.err)
	}
	path := filepath.Join(programs.dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no %s to test: %v", name, err)
	}
	return path
}

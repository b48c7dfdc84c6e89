package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// sideBySide is how many tests run at once where -parallel does not say so. They
// wait for processes most of the time, also on a machine of two
// cores.
const sideBySide = "4"

func TestMain(m *testing.M) {
	if listen := os.Getenv(asNATS); listen != "" {
		os.Exit(serveNATS(listen))
	}
	if err := flag.Set("test.parallel", sideBySide); err != nil { // the command line comes later
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := cqltest.Main(m)
	if dir, err := builds(); err == nil { // an error has failed a test
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// The programs, by their files. Help texts show the name of the file.
const (
	service = "ipfs-cluster-service"
	ctl     = "ipfs-cluster-ctl"
	kubo    = "ipfs"
	stock   = "stock/" + service // upstream's
	gateway = "pin-gateway"
)

// builds returns the folder of the programs that this process builds, which all
// its tests share because a build takes minutes when caches are cold.
var builds = sync.OnceValues(func() (string, error) {
	return os.MkdirTemp("", "ipfs-cluster-scylla-e2e-")
})

// sources says of each program how it is built: once, when it is asked for.
var sources = map[string]func() error{
	// Raft's database, bolt, fails the pointer checks that come with -race.
	service: source(service, "../..", "-race", "-gcflags=github.com/boltdb/bolt=-d=checkptr=0", "./cmd/ipfs-cluster-service"),
	ctl:     source(ctl, "../..", "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl"),
	kubo:    source(kubo, "../../tools/kubo", "github.com/ipfs/kubo/cmd/ipfs"),
	gateway: source(gateway, "../..", "-race", "./cmd/pin-gateway"),
	stock:   source(stock, "../..", "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service"),
}

// source builds a program in a module, which is relative to this package.
func source(name, module string, args ...string) func() error {
	return sync.OnceValue(func() error {
		dir, err := builds()
		if err != nil {
			return err
		}
		// Linking takes half the time without symbols, which no test needs.
		cmd := exec.Command("go", append([]string{"build", "-ldflags=-s", "-o", filepath.Join(dir, name)}, args...)...)
		cmd.Dir = module
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
		return nil
	})
}

// program returns the path of a program: in the folder that E2E_BIN names,
// where stock is not looked for, or built.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("E2E_BIN")
	if dir == "" || name == stock {
		if err := sources[name](); err != nil {
			t.Fatal("no program to test: ", err)
		}
		var err error
		if dir, err = builds(); err != nil {
			t.Fatal(err)
		}
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no %s to test: %v", name, err)
	}
	return path
}

package consumer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

const module = "github.com/ipfs-cluster/ipfs-cluster-scylla"

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// goMod is what the tests look at of our go.mod.
type goMod struct {
	Go      string
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func readGoMod(t *testing.T) goMod {
	t.Helper()
	out, err := goCommand(checkout(t), "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal("go mod edit -json: ", err)
	}
	var m goMod
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// replaceLines are the replace directives of our go.mod, which a module that
// imports ours must repeat.
func (m goMod) replaceLines() []string {
	var lines []string
	for _, r := range m.Replace {
		lines = append(lines, strings.Join(strings.Fields(
			fmt.Sprintf("replace %s %s => %s %s", r.Old.Path, r.Old.Version, r.New.Path, r.New.Version)), " "))
	}
	return lines
}

// checkout is the folder of our go.mod.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCommand runs the go command in dir, whatever workspace and flags the
// environment asks for. With -trimpath, as in the Makefile, it finds what other
// tests have compiled.
func goCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath")
	return cmd
}

// newModule makes the module of a consumer of our checkout with the given
// replace directives.
func newModule(t *testing.T, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	lines := append([]string{
		"module example.test/consumer",
		"go " + readGoMod(t).Go,
		"require " + module + " v0.0.0",
		fmt.Sprintf("replace %s => %q", module, checkout(t)),
	}, replace...)
	write(t, filepath.Join(dir, "go.mod"), strings.Join(lines, "\n")+"\n")
	// Our sums spare the question to the checksum database.
	write(t, filepath.Join(dir, "go.sum"), read(t, "../../go.sum"))
	write(t, filepath.Join(dir, "main.go"), read(t, "testdata/main.go"))
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestConsumer builds and runs a program of another module with the replace
// lines that README.md documents.
func TestConsumer(t *testing.T) {
	dir := newModule(t, readmeReplace(t)...)
	program := filepath.Join(dir, "consumer")
	if out, err := goCommand(dir, "build", "-mod=mod", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := goCommand(dir, "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`=>\s+github\.com/scylladb/gocql\s`).Match(info) {
		t.Errorf("the program is not built with the ScyllaDB fork of the driver:\n%s", info)
	}
	t.Run("defaults", func(t *testing.T) {
		out, err := exec.Command(program).Output()
		if err != nil {
			t.Fatal(err)
		}
		var defaults struct {
			Hosts    []string `json:"hosts"`
			Keyspace string   `json:"keyspace"`
		}
		if err := json.Unmarshal(out, &defaults); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if !slices.Equal(defaults.Hosts, []string{"127.0.0.1"}) || defaults.Keyspace != "ipfs_cluster" {
			t.Errorf("the program prints %s, want the default configuration", out)
		}
	})
	t.Run("pin", func(t *testing.T) { checkPins(t, program) })
}

// checkPins lets the program pin in a keyspace of its own.
func checkPins(t *testing.T, program string) {
	t.Helper()
	server := cqltest.Start(t)
	keyspace := server.Keyspace(t)
	pin := func(cid, secret string) (string, error) {
		cmd := exec.Command(program, cid)
		cmd.Env = append(os.Environ(),
			"CLUSTER_SECRET="+secret,
			"CLUSTER_SCYLLA_HOSTS="+strings.Join(server.Hosts(), ","),
			"CLUSTER_SCYLLA_PORT="+strconv.Itoa(server.Port()),
			"CLUSTER_SCYLLA_KEYSPACE="+keyspace)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	const (
		one = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
		two = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
	)
	secret := strings.Repeat("0123456789abcdef", 4)
	for i, cid := range []string{one, two} {
		want := fmt.Sprintf("%s %d", cid, i+1)
		if out, err := pin(cid, secret); err != nil || !strings.HasSuffix(out, want) {
			t.Errorf("the program prints %q (%v), want %q", out, err, want)
		}
	}
	var rows int
	if err := server.Session(t).Query("SELECT count(pin) FROM " + keyspace + ".pins").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("the table has %d pins (%v), want 2", rows, err)
	}
	for secret, want := range map[string]string{"": "secret is empty", strings.Repeat("ab", 32): "another secret"} {
		if out, err := pin(one, secret); err == nil || !strings.Contains(out, want) {
			t.Errorf("with the secret %q the program prints %q (%v), want an error: %s", secret, out, err, want)
		}
	}
}

// TestReadme shows that README.md has each replace line of go.mod, and no
// other.
func TestReadme(t *testing.T) {
	documented, wanted := readmeReplace(t), readGoMod(t).replaceLines()
	if len(wanted) == 0 {
		t.Error("go.mod has no replace line: README.md need not speak of one, nor of go install")
	}
	if !slices.Equal(documented, wanted) {
		t.Errorf("README.md has the replace lines %q, go.mod has %q", documented, wanted)
	}
}

// readmeReplace returns the lines of README.md that are replace directives.
func readmeReplace(t *testing.T) []string {
	t.Helper()
	return regexp.MustCompile(`(?m)^replace \S.*$`).FindAllString(read(t, "../../README.md"), -1)
}

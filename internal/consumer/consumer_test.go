package consumer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ipfs-cluster/ipfs-cluster-scylla"

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
// environment asks for.
func goCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
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
	info, err := goCommand(dir, "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`=>\s+github\.com/scylladb/gocql\s`).Match(info) {
		t.Errorf("the program is not built with the ScyllaDB fork of the driver:\n%s", info)
	}
}

// TestConsumerWithoutReplace shows what README.md says of a module without the
// replace line: it does not compile, it does not run with another driver.
func TestConsumerWithoutReplace(t *testing.T) {
	dir := newModule(t)
	out, err := goCommand(dir, "build", "-mod=mod", "-o", filepath.Join(dir, "consumer"), ".").CombinedOutput()
	if err == nil {
		t.Fatal("a module without the replace line builds: README.md says that it does not")
	}
	if !strings.Contains(string(out), "undefined: gocql.") {
		t.Errorf("the build fails for another reason than the driver "+
			"(it needs github.com/gocql/gocql itself from the module cache or a module proxy): %v\n%s", err, out)
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

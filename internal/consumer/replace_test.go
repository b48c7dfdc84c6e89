package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	driver = "github.com/gocql/gocql"
	// added is a type of the ScyllaDB fork that the original driver, v1.7.0,
	// does not have. README.md names it.
	added = "LWTRetryPolicy"
)

// The two tests below show what README.md says of a module without the replace
// line. The original driver is needed nowhere else: it is not downloaded for
// them.

// TestReplaceIsNotInherited shows that a module that imports ours gets the
// original driver unless it repeats our replace line.
func TestReplaceIsNotInherited(t *testing.T) {
	want := originalVersion(t)
	proxy := t.TempDir()
	at := filepath.Join(proxy, driver, "@v")
	write(t, filepath.Join(at, want+".info"), `{"Version":"`+want+`"}`)
	write(t, filepath.Join(at, want+".mod"), "module "+driver+"\n")

	cache := strings.TrimSpace(output(t, goCommand(checkout(t), "env", "GOMODCACHE")))
	chosen := func(dir string) string {
		cmd := goCommand(dir, "list", "-mod=mod", "-m", "-f", "{{with .Replace}}{{.Path}}{{else}}{{.Path}} {{.Version}}{{end}}", driver)
		cmd.Env = append(cmd.Env, "GOMODCACHE="+t.TempDir(), "GOFLAGS=-modcacherw",
			"GOPROXY=file://"+proxy+",file://"+filepath.Join(cache, "cache", "download"),
			"GONOPROXY=none", "GOPRIVATE=", "GOSUMDB=off")
		return strings.TrimSpace(output(t, cmd))
	}
	if got := chosen(newModule(t)); got != driver+" "+want {
		t.Errorf("without the replace line the driver is %s, want %s %s", got, driver, want)
	}
	if got := chosen(newModule(t, readmeReplace(t)...)); got != "github.com/scylladb/gocql" {
		t.Errorf("with the replace line the driver is %s", got)
	}
}

// TestConsumerWithoutReplace shows that our module does not compile with a
// driver that lacks what only the fork has: it cannot run with the wrong one.
func TestConsumerWithoutReplace(t *testing.T) {
	const message = "undefined: gocql." + added
	if !strings.Contains(read(t, "../../README.md"), "`"+message+"`") {
		t.Errorf("README.md does not name the error %q", message)
	}
	dir := newModule(t, fmt.Sprintf("replace %s => %q", driver, standIn(t)))
	out, err := goCommand(dir, "build", "-mod=mod", "-o", filepath.Join(dir, "consumer"), ".").CombinedOutput()
	if err == nil || !strings.Contains(string(out), message) {
		t.Errorf("go build with a driver without %s: %v\n%swant: %s", added, err, out, message)
	}
}

// standIn makes the folder of a driver that is like the fork but for one name.
func standIn(t *testing.T) string {
	t.Helper()
	fork := strings.TrimSpace(output(t, goCommand(checkout(t), "list", "-m", "-f", "{{.Dir}}", driver)))
	dir := t.TempDir()
	renamed := 0
	err := filepath.WalkDir(fork, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || filepath.Ext(name) != ".go" && d.Name() != "go.mod" {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		renamed += bytes.Count(text, []byte(added))
		relative, err := filepath.Rel(fork, name)
		if err != nil {
			return err
		}
		write(t, filepath.Join(dir, relative), strings.ReplaceAll(string(text), added, "no"+added))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if renamed == 0 {
		t.Fatalf("%s has no %s to leave out", fork, added)
	}
	return dir
}

// originalVersion is the version of the driver that our go.mod requires and
// replaces.
func originalVersion(t *testing.T) string {
	t.Helper()
	var m struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(output(t, goCommand(checkout(t), "mod", "edit", "-json"))), &m); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.Require {
		if r.Path == driver {
			return r.Version
		}
	}
	t.Fatal("go.mod does not require ", driver)
	return ""
}

// output runs a command and returns its stdout.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return string(out)
}

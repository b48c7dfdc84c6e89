package consumer

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	command = "cmd/ipfs-cluster-service"
	version = "v0.0.1"
	// refusal is what the go command says of the replace lines of the module
	// that it is asked to install from.
	refusal = "contains one or more replace directives"
)

// TestInstallIsRefused publishes our module on a proxy in a folder, and shows
// that go install refuses it for its replace line, and for nothing that comes
// before that.
func TestInstallIsRefused(t *testing.T) {
	mod := read(t, "../../go.mod")
	out, err := install(t, mod)
	if err == nil || !strings.Contains(out, refusal) {
		t.Errorf("go install: %v\n%s\nwant it to say: %s", err, out, refusal)
	}

	without := regexp.MustCompile(`(?m)^replace .*\n`).ReplaceAllString(mod, "")
	if without == mod {
		t.Fatal("go.mod has no replace line to leave out")
	}
	// It then goes on to the packages, of which the proxy has one only.
	const next = "does not contain package"
	out, err = install(t, without)
	if err == nil || strings.Contains(out, refusal) || !strings.Contains(out, next) {
		t.Errorf("go install without the replace line: %v\n%s\nwant it to say: %s", err, out, next)
	}
}

// install asks the go command to install our command from a proxy that has one
// version of our module, with the given go.mod.
func install(t *testing.T, mod string) (string, error) {
	t.Helper()
	proxy, cache := t.TempDir(), t.TempDir()
	at := filepath.Join(proxy, module, "@v")
	write(t, filepath.Join(at, "list"), version+"\n")
	write(t, filepath.Join(at, version+".info"), `{"Version":"`+version+`"}`)
	write(t, filepath.Join(at, version+".mod"), mod)
	writeZip(t, filepath.Join(at, version+".zip"), map[string]string{
		"go.mod":             mod,
		command + "/main.go": read(t, "../../"+command+"/main.go"),
	})
	cmd := exec.Command("go", "install", module+"/"+command+"@"+version)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(),
		"GOWORK=off", "GOPROXY=file://"+proxy, "GONOPROXY=none", "GOPRIVATE=", "GOSUMDB=off",
		"GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GOBIN="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return strings.Join(strings.Fields(string(out)), " "), err // the go command breaks lines
}

// writeZip writes a module's archive.
func writeZip(t *testing.T, name string, files map[string]string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for name, text := range files {
		w, err := archive.Create(module + "@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
}

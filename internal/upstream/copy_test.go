package upstream

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The README names the driver that go.mod has.
func TestReadmeNamesTheDriver(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("../..", patchFolder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := commands(string(text), "Apply")
	if err != nil {
		t.Fatal(err)
	}
	driver, err := output(t.Context(), "go", "list", "-m", "-f", "{{.Path}}={{.Replace.Path}}@{{.Replace.Version}}", "github.com/gocql/gocql")
	if err != nil {
		t.Fatal(err)
	}
	if want := "-replace=" + driver + "\n"; !strings.Contains(script, want) {
		t.Errorf("the commands have no %q:\n%s", want, script)
	}
}

// The patch is for the version that go.mod requires.
func TestPatchIsForTheVersion(t *testing.T) {
	version, err := output(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		t.Fatal(err)
	}
	if want := "contrib/ipfs-cluster-" + version; patchFolder != want {
		t.Errorf("go.mod requires upstream's %s and the patch is in %s", version, patchFolder)
	}
}

func TestCommands(t *testing.T) {
	const text = "# A\n\n```sh\nno\n```\n\n## Apply\n\nText\n\n```sh\ngit apply\n```\n\n```sh\nsecond\n```\n\n## Empty\n\n## Build\n\n```sh\ngo build\n```\n"
	for section, want := range map[string]string{"Apply": "git apply", "Build": "go build"} {
		if got, err := commands(text, section); err != nil || got != want {
			t.Errorf("%s: %q, %v", section, got, err)
		}
	}
	for _, section := range []string{"Empty", "None"} {
		if got, err := commands(text, section); err == nil {
			t.Errorf("%s: %q, want an error", section, got)
		}
	}
}

package configpage

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

type written struct {
	Hosts []string `json:"hosts"`
	TLS   struct {
		CAFile string `json:"ca_file,omitempty"`
		Port   int    `json:"tls_port,omitempty"`
	} `json:"tls"`
	Port int `json:"port"`
}

type documented struct {
	Hosts []string
	TLS   TLS
	Port  int
}

// TLS is a type of its own, because the comments are found by its name.
type TLS struct {
	CAFile string
	Port   int
}

const code = `package p
const Wide = "wide"
type documented struct {
	// Hosts are names. Port, Wide
	// or CAFile matter.
	Hosts []string
	TLS TLS
	// Port is here.
	Port int
}
type TLS struct {
	// CAFile holds |.
	CAFile string
	// Port is not Port, and TLS.Port is not Other.Port.
	Port int
}`

// TestCheck makes a page, finds it right, then different, and cannot make it when the
// meaning of a field is missing.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	source := Source{
		Section: servicejson.Section{Path: "state.x", EnvPrefix: "CLUSTER_X"},
		Written: reflect.TypeFor[written](), Documented: reflect.TypeFor[documented](),
		File: filepath.Join(dir, "config.go"), Defaults: []byte(`{"hosts": [ "a",  "b"], "tls": {}, "port": 1}`),
	}
	page, tmpl := filepath.Join(dir, "page.md"), filepath.Join(dir, "page.tmpl")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(source.File, code)
	write(tmpl, "head\n{{range .}}{{.Field}}={{.Variable}}={{.Default}}={{.Meaning}}\n{{end -}}\n")
	if err := source.Check(page, tmpl, true); err != nil {
		t.Fatal(err)
	}
	want := "head\n" +
		"hosts=CLUSTER_X_HOSTS=`[\"a\",\"b\"]`=names. `port`, `\"wide\"` or `tls.ca_file` matter.\n" +
		"tls.ca_file=CLUSTER_X_TLS_CAFILE==holds \\|.\n" +
		"tls.tls_port=CLUSTER_X_TLS_PORT==not `port`, and `tls.tls_port` is not Other.Port.\n" +
		"port=CLUSTER_X_PORT=`1`=here.\n"
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s, %v", got, want, err)
	}
	if err := source.Check(page, tmpl, false); err != nil {
		t.Error(err)
	}
	write(page, strings.Replace(want, "here", "there", 1))
	if err := source.Check(page, tmpl, false); err == nil || !strings.Contains(err.Error(), "line 5 is\nport=CLUSTER_X_PORT=`1`=there.\nwant\nport=CLUSTER_X_PORT=`1`=here.") {
		t.Errorf("another page: %v", err)
	}
	write(source.File, strings.Replace(code, "// Port is here.", "", 1))
	if err := source.Check(page, tmpl, true); err == nil || !strings.Contains(err.Error(), "documented.Port (port) has no doc comment") {
		t.Errorf("a field without a comment: %v", err)
	}
}

type withParts struct {
	Parts []part      `json:"parts"`
	Other logSettings `json:"other"`
	Until time.Time   `json:"until,omitzero"`
	Dir   string      `json:"-"`
}

type part struct {
	File string `json:"file"`
}

// logSettings stands for a struct of another package.
type logSettings struct {
	Level string `json:"level"`
}

// TestParts: the elements of a list have rows, a time is one value, and other packages have
// files of their own.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.go")
	if err := os.WriteFile(file, []byte(`package p
type withParts struct {
	// Parts are what it has, see File.
	Parts []part
	// Until is its end.
	Until time.Time
}
type part struct {
	// File is its place.
	File string
}
type logSettings struct {
	// Level is how much it says.
	Level string
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	source := Source{
		Written: reflect.TypeFor[withParts](), Documented: reflect.TypeFor[withParts](), File: file,
		Variables: map[string]string{"parts": "X_PARTS", "until": "X_UNTIL", "other.level": "X_LEVEL"}, Defaults: []byte(`{"parts": [], "other": {"level": "info"}}`),
	}
	tmpl := filepath.Join(dir, "page.tmpl")
	if err := os.WriteFile(tmpl, []byte("{{range .}}{{.Field}}={{.Variable}}={{.Default}}={{.Meaning}}\n{{end}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "parts=X_PARTS=`[]`=what it has, see `parts[].file`.\nparts[].file===its place.\nother.level=X_LEVEL=`\"info\"`=how much it says.\nuntil=X_UNTIL==its end.\n"
	if got, err := source.make(tmpl); err != nil || string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s, %v", got, want, err)
	}
	// Where Files has the package, File does not matter.
	source.Files = map[string]string{reflect.TypeFor[withParts]().PkgPath(): file}
	source.File = filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source.File, []byte("package p"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := source.make(tmpl); err != nil || string(got) != want {
		t.Errorf("from another file the page is\n%s\nwant\n%s, %v", got, want, err)
	}
}

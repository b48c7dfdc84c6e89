package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each case is a real go test -json run over a small module.
func TestReport(t *testing.T) {
	const head = "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n"
	for _, test := range []struct {
		name, source string
		ok           bool
		last         string
		shows        []string
	}{
		{"pass", `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }`,
			true, "2 passed, 0 failed, 0 skipped", []string{"ok    p"}},
		{"skip", `func TestA(t *testing.T) {}; func TestB(t *testing.T) { t.Skip("no server") }`,
			true, "1 passed, 0 failed, 1 skipped", []string{"SKIP  p TestB", "no server"}},
		{"fail", `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("it broke") }) }`,
			false, "0 passed, 2 failed, 0 skipped", []string{"FAIL  p TestA/sub", "it broke"}},
		{"does not build", `func TestA(t *testing.T) { undefined() }`,
			false, "0 passed, 1 failed, 0 skipped", []string{"undefined: undefined"}},
		{"panic", `func TestA(t *testing.T) {}; func TestB(t *testing.T) { panic("too bad") }`,
			false, "1 passed, 1 failed, 0 skipped", []string{"too bad"}},
		{"exit in a test", `func TestA(t *testing.T) {}; func TestB(t *testing.T) { os.Exit(3) }`,
			false, "1 passed, 1 failed, 0 skipped", []string{"TestB did not end"}},
		{"exit code of TestMain", `func TestA(t *testing.T) {}; func TestMain(m *testing.M) { m.Run(); os.Exit(1) }`,
			false, "1 passed, 1 failed, 0 skipped", nil},
		{"no tests", `var _ testing.TB`, false, "0 passed, 0 failed, 0 skipped", []string{"no test ran"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := goTest(t, head+test.source+"\n")
			var out bytes.Buffer
			ok, err := report(bytes.NewReader(stream), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != test.ok {
				t.Errorf("ok = %v", ok)
			}
			if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); lines[len(lines)-1] != test.last {
				t.Errorf("ends with %q, want %q", lines[len(lines)-1], test.last)
			}
			for _, s := range test.shows {
				if !strings.Contains(out.String(), s) {
					t.Errorf("does not show %q", s)
				}
			}
			if t.Failed() {
				t.Logf("the report:\n%s", &out)
			}
		})
	}
}

// A go test that is killed half way must not look like success.
func TestReportOfCutStream(t *testing.T) {
	stream := goTest(t, "package p\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n")
	lines := bytes.SplitAfter(stream, []byte("\n"))
	var out bytes.Buffer
	ok, err := report(bytes.NewReader(bytes.Join(lines[:len(lines)-2], nil)), &out)
	if err != nil || ok || !strings.HasSuffix(out.String(), "\n1 passed, 1 failed, 0 skipped\n") {
		t.Errorf("ok = %v, %v, report:\n%s", ok, err, &out)
	}
}

// The packages that cost time are named at the end, the slowest first.
func TestReportOfSlowPackages(t *testing.T) {
	const stream = `{"Action":"pass","Package":"quick","Test":"TestA","Elapsed":0}
{"Action":"pass","Package":"quick","Elapsed":4.9}
{"Action":"pass","Package":"slow","Test":"TestA","Elapsed":6}
{"Action":"pass","Package":"slow","Elapsed":6}
{"Action":"fail","Package":"slower","Test":"TestA","Elapsed":70}
{"Action":"fail","Package":"slower","Elapsed":70.25}
`
	var out bytes.Buffer
	if _, err := report(strings.NewReader(stream), &out); err != nil {
		t.Fatal(err)
	}
	const want = "\nby package, the slowest first\n    70.2 s  slower\n     6.0 s  slow\n\n2 passed, 1 failed, 0 skipped\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("the report:\n%swant it to end with:\n%s", &out, want)
	}
}

func goTest(t *testing.T, source string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module p\n\ngo 1.26\n", "p_test.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir = dir
	out, _ := cmd.Output() // it exits with 1 where a test fails; the stream tells
	return out
}

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// known leaves out the pins without a type: stock's export of them is one that
// says "bad-type", and what that was nobody knows.
func known(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(line, `"type":"bad-type"`) })
}

// pack compresses a text.
func pack(t *testing.T, text []byte, to func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := to(&packed)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func toGzip(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }
func toZstd(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }

// What stock has exported arrives from a file, packed or not, and from a pipe.
// Lines that are no pins are named, and all others arrive.
func TestMigrateExport(t *testing.T) {
	t.Parallel()
	_, exported := stockFolder(t, variedPins(t, 300), "--consensus", "raft")
	lines := known(exported)
	if len(lines) < 290 || len(lines) == len(exported) {
		t.Fatalf("%d of %d pins have a type", len(lines), len(exported))
	}
	text := []byte(strings.Join(lines, ""))
	atOnce(t, []string{"gzip", "zstd on stdin", "bad lines"}, func(t *testing.T, name string) {
		m := newTarget(t, nil, nil)
		var from string
		var stdin []byte
		switch name {
		case "gzip":
			from = "export:" + writeFile(t, "pins.json.gz", pack(t, text, toGzip))
		case "zstd on stdin":
			from, stdin = "export:-", pack(t, text, toZstd)
		default:
			checkBadLines(t, m, lines)
			return
		}
		migrate := func(args ...string) outcome {
			t.Helper()
			cmd := m.service(t, nil, append([]string{"migrate"}, args...)...)
			cmd.Stdin = bytes.NewReader(stdin)
			return mustRun(t, cmd)
		}
		migrate("run", "--from", from).says(t, 0, "written in bulk")
		m.holds(t, lines)
		migrate("verify", "--from", from).says(t, 0, "both sides are the same")
		if name == "gzip" {
			checkCutGzip(t, m, pack(t, text, toGzip), lines)
		}
	})
}

// checkCutGzip brings in what is left of a file, over what is there.
func checkCutGzip(t *testing.T, m *target, packed []byte, lines []string) {
	t.Helper()
	cut := "export:" + writeFile(t, "cut.gz", packed[:len(packed)/2])
	checkRefused(t, m.migrate(t, "run", "--from", cut, "--existing", "newer"), "the file is not whole")
	if got := m.migrate(t, "verify", "--from", cut); got.code == 0 {
		t.Errorf("verify of half a file finds it the same as the whole:\n%s", got.stdout)
	}
	m.holds(t, lines)
}

// checkBadLines brings in a file with lines that are no pins, and then one whose
// last line is cut off.
func checkBadLines(t *testing.T, m *target, lines []string) {
	t.Helper()
	unknown := strings.Replace(lines[0], `"type":"`, `"type":"strange-`, 1)
	text := lines[1] + "{\"cid\":\n" + strings.Join(lines[2:5], "") + "{\"name\":\"no cid\"}\n\n" + unknown + strings.Join(lines[5:], "")
	good := lines[1:]
	file := writeFile(t, "pins.json", []byte(text))
	reported := filepath.Join(t.TempDir(), "report.json")
	named := []string{"3 records of the source cannot be read", "line 2: ", "line 6: ", "line 8: "}

	got := m.migrate(t, "plan", "--from", "export:"+file)
	got.says(t, 4, named...)
	got = m.migrate(t, "run", "--from", "export:"+file, "--report", reported)
	got.says(t, 4, named...)
	for _, line := range named {
		if !strings.Contains(got.stdout, line) {
			t.Errorf("stdout does not say %q:\n%s", line, got.stdout)
		}
	}
	m.holds(t, good)
	var report migrate.Report
	raw, err := os.ReadFile(reported)
	if err == nil {
		err = json.Unmarshal(raw, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	equals(t, "bad records of the report", report.Bad, 3)
	var at []string
	for _, bad := range report.BadRecords {
		at = append(at, bad.At)
	}
	if want := []string{"line 2", "line 6", "line 8"}; !slices.Equal(at, want) {
		t.Errorf("the report names %q, want %q", at, want)
	}
	got = m.migrate(t, "verify", "--from", "export:"+file)
	got.says(t, 4, named...)

	// The rest of a file may be lost with the end of its last line: the command
	// fails, and says so, but does not drop what it has.
	last := len(text) - len(lines[len(lines)-1])/2
	file = writeFile(t, "cut.json", []byte(text[:last]))
	got = m.migrate(t, "run", "--from", "export:"+file, "--existing", "keep")
	got.says(t, 1, "the last line is cut off", "the file is not whole", "line 2: ")
	m.holds(t, good)
	if got := m.migrate(t, "verify", "--from", "export:"+file); got.code == 0 {
		t.Errorf("verify of a file that is cut off finds it the same as the whole:\n%s", got.stdout)
	}
}

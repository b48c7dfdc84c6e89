package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// TestMigrateUsage: what is wrong with a command line is said before a database is
// looked for.
func TestMigrateUsage(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla")
	export := filepath.Join(folder, "pins.json")
	writeFile(t, export, "")
	from := "export:" + export
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"run"}, "reading the command line: say where the pins come from with --from, see ipfs-cluster-service migrate run --help"},
		{[]string{"plan"}, "reading the command line: say where the pins come from with --from, see ipfs-cluster-service migrate plan --help"},
		{[]string{"verify"}, "reading the command line: say where the pins come from with --from, see ipfs-cluster-service migrate verify --help"},
		{[]string{"rollback"}, "reading the command line: say where to write the pins with --file: they are read back from there"},
		{[]string{"status", "now"}, `reading the command line: "now" is not a flag: see ipfs-cluster-service migrate status --help`},
		{[]string{"run", from}, "reading the command line: say where the pins come from with --from, see ipfs-cluster-service migrate run --help"},
		{[]string{"run", "--from", from, "x"}, `reading the command line: "x" is not a flag: see ipfs-cluster-service migrate run --help`},
		{[]string{"run", "--from", from, "--existing", "older"},
			`reading --existing: what to do with existing pins: "older" is unknown: use "fail", "newer" or "keep"`},
		{[]string{"plan", "--from", from, "--existing", "older"},
			`reading --existing: what to do with existing pins: "older" is unknown: use "fail", "newer" or "keep"`},
		{[]string{"run", "--from", from, "--replication-min", "3", "--replication-max", "2"},
			"reading the command line: --replication-min 3 is more than --replication-max 2"},
		{[]string{"run", "--from", from, "--allocations", "x"}, `reading --allocations: "x" is not a peer ID`},
		{[]string{"run", "--from", from, "--peer-map", "x"}, "reading --peer-map: "},
		{[]string{"run", "--from", from, "--bogus"}, "reading the command line: flag provided but not defined: -bogus, see ipfs-cluster-service migrate run --help"},
	} {
		got := run(t, folder, "", append([]string{"migrate"}, test.args...)...)
		if got.code != 1 || !strings.HasPrefix(got.stderr, "error "+test.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("migrate %q: exit code %d, stderr\n%swant\nerror %s", test.args, got.code, got.stderr, test.want)
		}
	}

	local := t.TempDir()
	mustRun(t, local, "init", "--consensus", "crdt")
	checkRefused(t, run(t, local, "", "migrate", "run", "--from", from), fmt.Sprintf(
		"%s keeps the pinset in crdt: migrate works on the database of state.scylla, so name the folder of a peer that has it with --config",
		filepath.Join(local, "service.json")))
}

// TestKeyspaceConfig reads what stands behind cql:.
func TestKeyspaceConfig(t *testing.T) {
	target := &scyllastate.Config{}
	if err := target.Default(); err != nil {
		t.Fatal(err)
	}
	target.Secret = []byte("secret")
	for text, want := range map[string]string{
		"10.0.0.1/ipfs_cluster":           "[10.0.0.1] 9042 ipfs_cluster",
		"10.0.0.1,db.example:9043/other":  "[10.0.0.1 db.example] 9043 other",
		"[2001:db8::1]:9043/other":        "[2001:db8::1] 9043 other",
		"10.0.0.1":                        "",
		"/ipfs_cluster":                   "",
		"10.0.0.1/":                       "",
		"10.0.0.1:port/ipfs_cluster":      "",
		"10.0.0.1:99999/ipfs_cluster":     "",
		"10.0.0.1/Ipfs; DROP":             "",
		"10.0.0.1:9042,10.0.0.2:9042/x":   "",
		"user:password@10.0.0.1:9042/abc": "",
		"user:pass@word@10.0.0.1/abc":     "",
	} {
		conf, err := keyspaceConfig(target, text)
		got := ""
		if err == nil {
			got = fmt.Sprint(conf.Hosts, conf.Port, " ", conf.Keyspace)
			got = strings.Replace(got, "]", "] ", 1)
			got = strings.Join(strings.Fields(got), " ")
		}
		begin := "cql:" + text + ": "
		if strings.Contains(text, "@") { // it may be a password
			begin = "--from cql: has a user or password before its hosts, "
		}
		if got != want || err != nil && !strings.HasPrefix(err.Error(), begin) {
			t.Errorf("cql:%s is %q (%v), want %q", text, got, err, want)
		}
	}
	if target.Keyspace != scyllastate.DefaultKeyspace || !slices.Equal(target.Hosts, []string{scyllastate.DefaultHost}) {
		t.Errorf("the target was changed: %s on %s", target.Keyspace, target.Hosts)
	}
}

// TestMigrationProgress: lines where there is no terminal, and JSON where it is
// asked for.
func TestMigrationProgress(t *testing.T) {
	var stdout, stderr bytes.Buffer
	lines := newMigrationOutput(&stdout, &stderr, false)
	copying := migrate.Progress{Phase: migrate.PhaseCopying, Total: 1000}
	show := func(o *migrationOutput, done int64) {
		p := copying
		p.Done, p.Elapsed, p.Rate, p.Bad = done, 4*time.Second, 50, 2
		o.progress(p)
	}
	show(lines, 0)
	show(lines, 10)
	if stderr.Len() > 0 {
		t.Errorf("right after the begin it says\n%s", &stderr)
	}
	lines.last = lines.last.Add(-lineEvery)
	show(lines, 500)
	show(lines, 600)
	show(lines, 1000)
	show(lines, 1000)
	lines.progress(migrate.Progress{Phase: migrate.PhaseSweeping, Total: -1})
	lines.last = lines.last.Add(-lineEvery)
	lines.progress(migrate.Progress{Phase: migrate.PhaseSweeping, Done: 7, Total: -1})
	const want = `copying: 500 of 1000 (50 %), 50 a second, 10s left, 2 cannot be read
copying: 1000 of 1000 (100 %), 50 a second, 2 cannot be read
sweeping: 7, 0 a second
`
	if stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("stderr has\n%swant\n%sand stdout %q", &stderr, want, &stdout)
	}

	stderr.Reset()
	machine := newMigrationOutput(&stdout, &stderr, true)
	show(machine, 0)
	show(machine, 1000)
	machine.printf("for people\n")
	file := filepath.Join(t.TempDir(), "report.json")
	if err := machine.result("report", file, migrate.Report{Copied: 7}); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(stdout.String()) {
		var object map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || len(object) != 1 {
			t.Errorf("%q is not one object with one key: %v", line, err)
		}
		for kind := range object {
			kinds = append(kinds, kind)
		}
	}
	if !slices.Equal(kinds, []string{"progress", "progress", "report"}) || stderr.Len() > 0 {
		t.Errorf("stdout has %q, stderr\n%s", kinds, &stderr)
	}
	text, err := os.ReadFile(file)
	var report migrate.Report
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil || report.Copied != 7 {
		t.Errorf("the report is %s (%v)", text, err)
	}
}

// FuzzKeyspaceConfig: whatever is given, there are hosts and a keyspace, or an
// error.
func FuzzKeyspaceConfig(f *testing.F) {
	for _, text := range []string{"a/b", "a,b:1/c", "[::1]:2/c", "", ":/", "a:b:c/d", ",/x"} {
		f.Add(text)
	}
	target := &scyllastate.Config{}
	if err := target.Default(); err != nil {
		f.Fatal(err)
	}
	target.Secret = []byte("secret")
	f.Fuzz(func(t *testing.T, text string) {
		conf, err := keyspaceConfig(target, text)
		if err == nil && (len(conf.Hosts) == 0 || slices.Contains(conf.Hosts, "") || conf.Keyspace == "" || conf.Port < 1) {
			t.Errorf("cql:%q is %+v", text, conf)
		}
	})
}

// TestMigrationMessages: what the table of docs/migration.md quotes is what the
// programs say.
func TestMigrationMessages(t *testing.T) {
	page, err := os.ReadFile("../../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, dir := range []string{"../../../migrate", "../../../migrate/source", "../../../state", "../../../scyllastate", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				said.WriteString(readFile(t, file))
			}
		}
	}
	texts := regexp.MustCompile(`%[a-z]`).ReplaceAllString(said.String(), "…")
	_, table, _ := strings.Cut(string(page), "| message | what to do |")
	quotes := regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(table, -1)
	if len(quotes) < 10 {
		t.Fatalf("the page was not understood: it has %d messages", len(quotes))
	}
	for _, quote := range quotes {
		if !strings.Contains(texts, quote[1]) {
			t.Errorf("nothing says %q", quote[1])
		}
	}
}

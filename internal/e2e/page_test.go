package e2e

import (
	"encoding/json"
	"net/url"
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

// The commands of docs/migration.md do what the page says, one after another in
// one shell, in a home whose ~/.ipfs-cluster is that of a stock peer. Between the
// way there and the way back the new peer runs, with the old one's Kubo.
func TestMigrationPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Fatal("the page uses jq, which is not installed: apt-get install jq")
	}
	db := onNew(t, cqltest.Start(t))
	k := startKubo(t)
	old := newLocalPeer(t, stock, "crdt", k)
	cids := k.addBlocks(t, "TestMigrationPage", 4)
	old.startAs(t, stock)
	old.mustPin(t, cids[0], nil)
	old.mustPin(t, cids[1], url.Values{"replication": {"1"}, "meta-key": {"value"}, "expire-in": {"24h"}})
	old.mustPin(t, cids[2], url.Values{"name": {"everywhere"}})
	old.has(t, cids[:3]...)
	old.stop(t)
	before := old.sameOutput(t, "state", "export")

	home := t.TempDir()
	folder := filepath.Join(home, ".ipfs-cluster")
	if err := os.Rename(old.folder, folder); err != nil {
		t.Fatal(err)
	}
	old.folder = folder
	there, back := pageCommands(t)
	shell := func(script string) string {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = home
		cmd.Env = append(environ(home, map[string]string{
			"CLUSTER_SCYLLA_HOSTS": strings.Join(db.hosts, ","), "CLUSTER_SCYLLA_PORT": strconv.Itoa(db.port),
			"CLUSTER_SCYLLA_KEYSPACE": db.keyspace,
		}), "PATH="+filepath.Dir(program(t, service))+":"+os.Getenv("PATH"))
		return mustRun(t, cmd).stdout
	}
	out := shell(there)
	for _, want := range []string{"number 1 would begin: bulk", "3 pins copied, 0 cannot be read", "both sides are the same", "run 1, done, written in bulk"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output of the page's commands has no %q:\n%s", want, out)
		}
	}
	var report struct{ Pins, Missing int }
	text, err := os.ReadFile(filepath.Join(home, "verify.json"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil || report.Pins != 3 || report.Missing != 0 {
		t.Errorf("the report of verify is %s (%v)", text, err)
	}

	p := *old // the same addresses and identity, as on the page
	p.folder = filepath.Join(home, ".ipfs-cluster-scylla")
	cmd := p.service(t, map[string]string{
		"CLUSTER_SCYLLA_HOSTS": strings.Join(db.hosts, ","), "CLUSTER_SCYLLA_PORT": strconv.Itoa(db.port),
		"CLUSTER_SCYLLA_KEYSPACE": db.keyspace,
	}, "daemon")
	p.launch(t, cmd)
	p.waitReady(t)
	p.has(t, cids[:3]...)
	p.mustPin(t, cids[3], nil)
	p.has(t, cids...)
	p.stop(t)

	shell(strings.SplitAfterN(there, "\n", 3)[0] + strings.SplitAfterN(there, "\n", 3)[1] + back)
	after := old.sameOutput(t, "state", "export")
	if len(after) != 4 || len(before) != 3 {
		t.Fatalf("%d pins were moved and %d came back, want 3 and 4", len(before), len(after))
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("the pin\n%sdid not come back in\n%s", line, strings.Join(after, ""))
		}
	}
	old.startAs(t, stock)
	old.has(t, cids...)
	old.stop(t)
}

// pageCommands returns the commands of docs/migration.md, those before and those
// after the heading of the way back.
func pageCommands(t *testing.T) (there, back string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := func(part string) string {
		var script strings.Builder
		for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?\n)```\n").FindAllStringSubmatch(part, -1) {
			script.WriteString(block[1])
		}
		return script.String()
	}
	way, wayBack, found := strings.Cut(string(text), "\n## The way back\n")
	there, back = commands(way), commands(wayBack)
	if !found || strings.Count(there, "migrate") != 4 || strings.Count(back, "\n") != 2 {
		t.Fatalf("the page was not understood; its commands are\n%s\nand back\n%s", there, back)
	}
	return there, back
}

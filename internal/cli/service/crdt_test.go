package service

import (
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	fslock "github.com/ipfs/go-fs-lock"
)

// crdtCommands are those below "state crdt".
var crdtCommands = []string{"info", "dot", "mark-dirty", "mark-clean"}

// Every command sees what the one before it has written, so that each opens and
// closes the datastore. TestFoldersOfStock of package e2e compares the output
// with upstream's.
func TestCRDTCommands(t *testing.T) {
	for _, datastore := range []string{"pebble", "badger", "badger3", "leveldb"} {
		t.Run(datastore, func(t *testing.T) {
			folder := t.TempDir()
			mustRun(t, folder, "init", "--datastore", datastore)
			file := filepath.Join(t.TempDir(), "pins.json")
			writeFile(t, file, `{"cid":"QmaNJ5acV31sx8jq626qTpAWW4DXKw34aGhx53dECLvXbY","replication_factor_min":-1,"replication_factor_max":-1}`)
			mustRun(t, folder, "state", "import", "--force", file)

			info := func(dirty string) (head string) {
				t.Helper()
				want := regexp.MustCompile(`^Number of heads: 1\. Current max-height: 1\. Dirty: ` + dirty + `\nHeads: \[(\w+)\]$`)
				got := mustRun(t, folder, "state", "crdt", "info").stdout
				match := want.FindStringSubmatch(got)
				if match == nil {
					t.Fatalf("state crdt info prints %q, want %s", got, want)
				}
				return match[1]
			}
			head := info("false")
			if got := mustRun(t, folder, "state", "crdt", "mark-dirty").stdout; got != "Datastore marked 'dirty'\n" {
				t.Errorf("state crdt mark-dirty prints %q", got)
			}
			info("true")
			if got := mustRun(t, folder, "state", "crdt", "mark-clean").stdout; got != "Datastore marked 'clean'\n" {
				t.Errorf("state crdt mark-clean prints %q", got)
			}
			info("false")

			dot := mustRun(t, folder, "state", "crdt", "dot").stdout
			node := head + ` [label="1 | ` + head[len(head)-4:] + `: +1 -0"]` + "\n"
			if !strings.HasPrefix(dot, "digraph CRDTDAG {\nsubgraph heads {\n"+head+"\n}\n") || !strings.Contains(dot, node) || !strings.HasSuffix(dot, "}\n") {
				t.Errorf("state crdt dot prints\n%s\nwant the head and %s", dot, node)
			}
			path := filepath.Join(t.TempDir(), "dag.dot")
			if got := mustRun(t, folder, "state", "crdt", "dot", "--file", path).stdout; got != "" {
				t.Errorf("state crdt dot --file prints %q", got)
			}
			if got := readFile(t, path); got != dot {
				t.Errorf("state crdt dot --file writes\n%s\nwant\n%s", got, dot)
			}
		})
	}
}

// The commands are refused where there is no crdt datastore, before anything is
// locked or opened.
func TestCRDTCommandsOfOtherBackends(t *testing.T) {
	raft := t.TempDir()
	mustRun(t, raft, "init", "--consensus", "raft")
	for backend, folder := range map[string]string{"raft": raft, "scylla": initWith(t, nil)} {
		before := files(t, folder)
		for _, name := range crdtCommands {
			checkRefused(t, run(t, folder, "", "state", "crdt", name),
				"running ipfs-cluster-service state crdt: it is for peers with the crdt consensus, and the pinset of this one is in "+backend)
		}
		if after := files(t, folder); after != before {
			t.Errorf("%s: the folder had %s and has %s", backend, before, after)
		}
	}
}

func TestCRDTCommandsLock(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "init")
	lock, err := fslock.Lock(folder, lockFile)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, name := range crdtCommands {
		checkRefused(t, run(t, folder, "", "state", "crdt", name),
			"obtaining execution lock: another ipfs-cluster-service runs on "+folder+": stop it first, or use another folder with --config")
	}
}

// files returns the names in a folder.
func files(t *testing.T, folder string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// Nothing works on a datastore that a command has closed: it would end some
// runs with a panic.
func TestCRDTCommandsStopTheirGoroutines(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "init")
	file := filepath.Join(t.TempDir(), "pins.json")
	writeFile(t, file, `{"cid":"QmaNJ5acV31sx8jq626qTpAWW4DXKw34aGhx53dECLvXbY"}`)
	for _, args := range [][]string{
		{"state", "import", "--force", file},
		{"state", "export"},
		{"state", "crdt", "info"},
		{"state", "cleanup", "--force"},
	} {
		mustRun(t, folder, args...)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if left := regexp.MustCompile(`(go-ds-crdt|blockstore)\..*`).Find(stacks); left != nil {
			t.Errorf("%v leaves a goroutine in %s", args, left)
		}
	}
}

package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// What cannot be migrated is refused with exit code 1 and one error, which says
// what is wrong and what to do. Nothing is written, and no source is changed.
func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	crdt, _ := stockFolder(t, variedPins(t, 100), "--consensus", "crdt")
	raft, _ := stockFolder(t, variedPins(t, 100), "--consensus", "raft")
	m := newTarget(t, nil, nil)
	m.mustMigrate(t, "plan", "--from", "crdt:"+crdt.folder)        // makes the tables
	untold := newTargetOn(t, onNew(t, cqltest.Start(t)), nil, nil) // gets none by a mistake in --from
	nothing := filepath.Join(t.TempDir(), "nothing")
	pins := writeExport(t, plainPins(t, 3))
	empty := writeFile(t, "empty", nil)
	const secret = "the-secret-of-nobody"
	password := writeFile(t, "password", []byte(secret+"\n"))
	file := func(text string) string { return "export:" + writeFile(t, "file", []byte(text)) }

	var cmds []*exec.Cmd
	var wants [][]string
	refused := func(want []string, args ...string) {
		cmds = append(cmds, m.service(t, nil, append([]string{"migrate"}, args...)...))
		wants = append(wants, want)
	}
	from := func(place string, want ...string) {
		cmds = append(cmds, untold.service(t, nil, "migrate", "run", "--from", place))
		wants = append(wants, want)
	}
	reached := func(place string, want ...string) { refused(want, "run", "--from", place) }

	refused([]string{"say where the pins come from with --from"}, "run")
	refused([]string{"say where the pins come from with --from"}, "run", "crdt:"+crdt.folder)
	refused([]string{"is not a flag"}, "run", "--from", "export:"+pins, "now")
	from(crdt.folder, "--from has no kind", "crdt:FOLDER")
	from("tar:"+nothing, `"tar"`, "unknown", "crdt:FOLDER")
	from("crdt:", "names nothing")
	from("http://127.0.0.1:9094", "use rest:URL")
	from("crdt:"+nothing, "there is no such folder")
	from("raft:"+nothing, "there is no such folder")
	from("export:"+nothing, "there is no such file")
	from("crdt:"+raft.folder, "the folder of a raft peer: use raft:")
	from("raft:"+crdt.folder, "the folder of a crdt peer: use crdt:")
	from("crdt:"+m.folder, "use cql:HOSTS/KEYSPACE")
	from("raft:"+m.folder, "use cql:HOSTS/KEYSPACE")
	from("crdt:"+filepath.Join(crdt.folder, "pebble"), "a part of the folder of a peer: use crdt:"+crdt.folder)
	from("crdt:"+filepath.Join(crdt.folder, "service.json"), "it is a file", "use crdt:FOLDER")
	from("crdt:"+t.TempDir(), "no service.json", "~/.ipfs-cluster")
	from("export:"+crdt.folder, "it is a folder", "crdt:"+crdt.folder)
	from("export:/dev/null", "no ordinary file", "use export:-")
	reached(file("\x7fELF\x02\x01\x01\x00"), "it is no export of pins")
	reached(file("[{\"cid\":\"x\"}]"), "a list in JSON", "jq")
	from("rest:ftp://127.0.0.1", "no URL of HTTP")
	from("rest:http://user:"+secret+"@127.0.0.1:1", "--from-password-file")
	reached("rest:http://"+ownAddress()+":1", "asking http://"+ownAddress()+":1 for its pins", "connection refused")
	from("cql:"+m.db.hosts[0], "KEYSPACE")
	from("cql:alice:"+secret+"@"+m.db.hosts[0]+"/pins", "--from-password-file")
	reached("cql:"+m.db.hosts[0]+":"+strconv.Itoa(m.db.port)+"/no_such_keyspace", "no_such_keyspace")
	with := func(want string, flags ...string) {
		refused([]string{want}, append([]string{"run", "--from", "export:" + pins}, flags...)...)
	}
	with("--peer-map", "--peer-map", "nonsense")
	with("--peer-map", "--peer-map", "a=b")
	with(`"overwrite" is unknown`, "--existing", "overwrite")
	with("--from-username and --from-password-file go together", "--from-username", "alice")
	with("--from-username and --from-password-file go together", "--from-password-file", password)
	with("is empty", "--from-username", "alice", "--from-password-file", empty)
	with("no such file", "--from-username", "alice", "--from-password-file", nothing)
	with("they are for rest:URL", "--from-username", "alice", "--from-password-file", password)
	with("--from-dc is for cql: sources", "--from-dc", "dc1")
	with("is more than --replication-max", "--rmin", "3", "--rmax", "2")
	with("is not a peer ID", "--allocations", "nobody")
	with("--remove-missing", "--remove-missing", "--from", "export:-")
	with("no such file or directory", "--report", filepath.Join(nothing, "report.json"))
	with("no space left on device", "--report", "/dev/full", "--dry-run")
	refused([]string{"no space left on device"}, "plan", "--from", "export:"+pins, "--report", "/dev/full")
	refused([]string{"say where to write the pins with --file"}, "rollback")
	refused([]string{"no such file or directory"}, "rollback", "--file", filepath.Join(nothing, "pins.json"))
	cmds = append(cmds, crdt.service(t, nil, "migrate", "run", "--from", "export:"+pins))
	wants = append(wants, []string{"keeps the pinset in crdt", "name the folder of a peer that has it with --config"})
	damage(t, crdt, raft, reached)

	before := fingerprints(t, crdt.folder)
	results := together(t, cmds)
	for i, got := range results {
		t.Run(wants[i][0], func(t *testing.T) {
			checkRefused(t, got, wants[i]...)
			if text := got.stdout + got.stderr; strings.Contains(text, secret) {
				t.Errorf("the password is shown:\n%s", text)
			}
		})
	}
	m.empty(t, "migrations") // a run that fails later has been begun
	var keyspaces int
	if err := m.session.Query("SELECT count(*) FROM system_schema.keyspaces WHERE keyspace_name = ?", untold.db.keyspace).Scan(&keyspaces); err != nil || keyspaces != 0 {
		t.Errorf("mistakes in --from have made %d keyspaces (%v)", keyspaces, err)
	}
	untouched(t, crdt.folder, before)
	for name, p := range map[string]*peer{"crdt": crdt, "raft": raft} {
		t.Run("in use, "+name, func(t *testing.T) {
			p.launch(t, p.as(t, stock, "daemon"))
			eventually(t, time.Minute, "the peer has its folder", func() error {
				return p.daemon.logged(t, regexp.MustCompile(`IPFS Cluster v\S+ listening on`), 1)
			})
			checkRefused(t, m.migrate(t, "run", "--from", name+":"+p.folder), "is in use: stop the daemon first")
			p.daemon.running(t)
		})
	}
}

// damage names copies of the folders of which something is broken.
func damage(t *testing.T, crdt, raft *peer, from func(place string, want ...string)) {
	t.Helper()
	broken := func(p *peer, kind string, change func(folder string), want ...string) {
		twin := p.copyOf(t)
		change(twin.folder)
		from(kind+":"+twin.folder, want...)
	}
	one := func(pattern string) string {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no file is called %s (%v)", pattern, err)
		}
		return found[0]
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := func(change func(map[string]any)) func(string) {
		return func(folder string) { editJSON(t, filepath.Join(folder, "service.json"), change) }
	}
	broken(crdt, "crdt", func(folder string) { must(os.RemoveAll(filepath.Join(folder, "pebble"))) }, "its datastore", "does not exist")
	broken(crdt, "crdt", func(folder string) { must(os.WriteFile(filepath.Join(folder, "service.json"), []byte("{"), 0o600)) },
		"its service.json is not valid")
	broken(crdt, "crdt", config(func(c map[string]any) { c["datastore"] = map[string]any{"tape": map[string]any{}} }), `"tape"`, "unknown")
	broken(crdt, "crdt", config(func(c map[string]any) { delete(c, "datastore") }), "where one of badger, badger3, leveldb and pebble is expected")
	broken(crdt, "crdt", config(func(c map[string]any) { c["consensus"] = map[string]any{"paxos": map[string]any{}} }), "paxos")
	broken(crdt, "crdt", func(folder string) { flipBytes(t, largest(t, filepath.Join(folder, "pebble", "*.sst"))) },
		"the datastore", "is damaged")
	broken(crdt, "crdt", func(folder string) { must(os.Remove(largest(t, filepath.Join(folder, "pebble", "*.sst")))) },
		"the datastore", "is damaged")
	broken(crdt, "crdt", func(folder string) {
		db, err := pebble.Open(filepath.Join(folder, "pebble"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest})
		must(err)
		must(db.Set([]byte("/c/crdt_version"), binary.AppendUvarint(nil, 8), pebble.Sync))
		must(db.Close())
	}, "the crdt format", "use a later version of this program")
	broken(raft, "raft", func(folder string) {
		path := one(filepath.Join(folder, "raft", "snapshots", "*", "state.bin"))
		info, err := os.Stat(path)
		must(err)
		must(os.Truncate(path, info.Size()/2))
	}, "the snapshot", "is damaged", "were written")
	broken(raft, "raft", func(folder string) { flipBytes(t, one(filepath.Join(folder, "raft", "snapshots", "*", "state.bin"))) },
		"the snapshot", "is damaged")
	broken(raft, "raft", func(folder string) {
		editJSON(t, one(filepath.Join(folder, "raft", "snapshots", "*", "meta.json")), func(meta map[string]any) { meta["Version"] = 7 })
	}, "version 7", "use a later version of this program")
	broken(raft, "raft", func(folder string) { must(os.RemoveAll(filepath.Join(folder, "raft", "snapshots"))) }, "holds no pins")
	broken(raft, "raft", func(folder string) { must(os.RemoveAll(filepath.Join(folder, "raft"))) }, "does not exist")
	broken(raft, "raft", func(folder string) {
		must(os.WriteFile(filepath.Join(folder, "raft", "raft.db"), bytes.Repeat([]byte("no bolt"), 5000), 0o600))
	}, "the raft log", "is damaged")
}

func largest(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	best, size := "", int64(-1)
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.Size() > size {
			best, size = path, info.Size()
		}
	}
	if best == "" {
		t.Fatalf("no file is called %s", pattern)
	}
	return best
}

// flipBytes changes a byte of each kilobyte of the front half of a file.
func flipBytes(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 500; i < max(len(text)/2, 501); i += 1 << 10 {
		text[i] ^= 0x55
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// together runs command lines, some at a time: most of their time they wait.
func together(t *testing.T, cmds []*exec.Cmd) []outcome {
	t.Helper()
	results, errs := make([]outcome, len(cmds)), make([]error, len(cmds))
	limit := make(chan struct{}, 5)
	var group sync.WaitGroup
	for i, cmd := range cmds {
		group.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			p, err := child.Start(cmd)
			if err != nil {
				errs[i] = err
				return
			}
			timer := time.AfterFunc(runTimeout, p.Kill)
			defer timer.Stop()
			if err := p.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
				errs[i] = err
			}
			results[i] = outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v", strings.Join(cmds[i].Args, " "), err)
		}
		checkLog(t, strings.Join(cmds[i].Args[1:], " "), results[i].stderr)
	}
	return results
}

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/upstream"
)

// Upstream's own service with the patch of contrib keeps its pinset in the
// database. Our binary and that one work on each other's folder and keyspace.
func TestPatchedService(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	copied, err := upstream.New(t.Context(), filepath.Join(t.TempDir(), "ipfs-cluster"))
	if err != nil {
		t.Fatal(err)
	}
	patched, err := copied.Service(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkPatchedInit(t, patched)

	db := on(t, server)
	k := startKubo(t)
	vars := maps.Clone(lively)
	vars["CLUSTER_PINRECOVERINTERVAL"] = "2s"
	p := newPeer(t, db, k, vars)
	// with is a command line for the peer with the patched binary.
	with := func(args ...string) *exec.Cmd {
		cmd := p.service(t, nil, args...)
		cmd.Path = patched
		for i, arg := range cmd.Args {
			if strings.HasPrefix(arg, "info,") {
				cmd.Args[i] = arg + ",cluster:debug"
			}
		}
		return cmd
	}
	begin := func() {
		t.Helper()
		p.launch(t, with("daemon"))
		p.waitReady(t)
	}
	blocks := k.addBlocks(t, "TestPatchedService", 3)
	blocks, expiring := blocks[:2], blocks[2]
	kept, removed := blocks[0], blocks[1]
	session := server.Session(t)

	begin()
	for _, cid := range blocks {
		if err := p.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
		if !inTable(t, session, db.keyspace, cid) {
			t.Errorf("%s is not in the table when its pin is acknowledged", cid)
		}
	}
	eventually(t, time.Minute, "both are pinned", func() error { return onlyPinned(k.pinned(t), blocks, blocks) })
	eventually(t, time.Minute, "the table says so", func() error { return placedWithSize(session, db.keyspace, len(blocks)) })
	if err := p.pin(expiring, url.Values{"expire-in": {"5s"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, noticed, "a pin that runs out goes by itself", func() error {
		if inTable(t, session, db.keyspace, expiring) {
			return errors.New("it is still in the table")
		}
		return nil
	})
	// That took more than one interval.
	if n := strings.Count(p.daemon.text(t), "auto-triggering RecoverAllLocal"); n != 1 {
		t.Errorf("upstream's loop has compared all pins with Kubo %d times, want once, at the start", n)
	}
	if want := "compared with IPFS every 24h"; !strings.Contains(p.daemon.text(t), want) {
		t.Errorf("the log does not have %q", want)
	}
	p.stop(t)

	begin()
	checkPatchedAPIs(t, p, db, session, removed)
	if got, err := p.allocations(); err != nil || !maps.Equal(got, map[string]bool{kept: true, removed: true}) {
		t.Errorf("after a restart: %v (%v), want both pins", got, err)
	}
	if err := p.unpin(removed); err != nil {
		t.Fatal(err)
	}
	if inTable(t, session, db.keyspace, removed) {
		t.Errorf("%s is in the table when its unpin is acknowledged", removed)
	}
	eventually(t, time.Minute, "the removed pin leaves Kubo", func() error {
		return onlyPinned(k.pinned(t), blocks, []string{kept})
	})
	p.stop(t)

	exported := mustRun(t, with("state", "export")).stdout
	if !strings.Contains(exported, kept) || strings.Count(exported, "\n") != 1 {
		t.Errorf("state export of the patched service gives %q, want one pin, of %s", exported, kept)
	}
	checkRefused(t, run(t, with("state", "cleanup", "-f")), "shared by all peers")
	if !inTable(t, session, db.keyspace, kept) {
		t.Error("state cleanup of the patched service has removed a pin")
	}

	file := filepath.Join(p.dir, "pins.json")
	writePins(t, file, []string{removed})
	checkRefused(t, run(t, with("state", "import", "-f", file)), "the keyspace "+db.keyspace+" holds 1 pins", "is left as it is")
	if inTable(t, session, db.keyspace, removed) {
		t.Error("state import of the patched service has written into a keyspace that holds pins")
	}
	fresh := onNew(t, server)
	empty := newPeer(t, fresh, k, nil)
	inEmpty := func(args ...string) *exec.Cmd {
		cmd := empty.service(t, nil, args...)
		cmd.Path = patched
		return cmd
	}
	checkRefused(t, run(t, inEmpty("state", "export")), fresh.keyspace)
	mustRun(t, inEmpty("state", "import", "-f", file))
	if exported := mustRun(t, empty.service(t, nil, "state", "export")).stdout; !strings.Contains(exported, removed) {
		t.Errorf("after state import of the patched service the empty keyspace has %q", exported)
	}

	p.start(t) // our binary
	p.waitReady(t)
	if got, err := p.allocations(); err != nil || !maps.Equal(got, map[string]bool{kept: true}) {
		t.Errorf("our binary sees %v (%v), want the pin that the patched service left", got, err)
	}
	p.stop(t)

	begin()
	checkPatchedLost(t, p, db, k)
}

// placedWithSize returns an error unless the table of placements has so many
// rows, all of them pinned and measured.
func placedWithSize(session *gocql.Session, keyspace string, n int) error {
	const pinned = 2
	iter := session.Query("SELECT status, size FROM " + keyspace + ".placements").Iter()
	var status int8
	var size int64
	var wrong []string
	rows := 0
	for ; iter.Scan(&status, &size); rows++ {
		if status != pinned || size <= 0 {
			wrong = append(wrong, fmt.Sprintf("status %d, %d bytes", status, size))
		}
	}
	if err := iter.Close(); err != nil {
		return err
	}
	if rows != n || len(wrong) > 0 {
		return fmt.Errorf("%d placements, want %d; wrong: %q", rows, n, wrong)
	}
	return nil
}

// checkPatchedLost lets another process take the identity of a patched peer,
// which must end with an error when it goes on after a stop. While it runs, the
// other one is refused.
func checkPatchedLost(t *testing.T, p *peer, db database, k *ipfs) {
	t.Helper()
	const identity = "identity.json"
	other := newPeer(t, db, k, lively)
	text, err := os.ReadFile(filepath.Join(p.folder, identity))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other.folder, identity), text, 0o600); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, run(t, other.service(t, nil, "daemon")), "is in use by ", p.folder)

	if err := p.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	other.start(t)
	other.waitReady(t)
	if err := p.daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.daemon.Exited():
	case <-time.After(noticed):
		t.Fatal("the patched peer runs on when another process has its identity")
	}
	lines := strings.Split(strings.TrimSpace(p.daemon.text(t)), "\n")
	checkRefused(t, outcome{code: exitCode(t, p.daemon.Wait()), stderr: lines[len(lines)-1]},
		"error running cluster: ", "taken over")
	other.stop(t)
}

// checkPatchedAPIs checks that the APIs are told by package status what the peers do with
// pins, and that the Pinning Services API is ours. A pin that cannot be decoded tells
// that: upstream's cluster has an error for all that is asked about it. The pin is as it
// was afterwards.
func checkPatchedAPIs(t *testing.T, p *peer, db database, session *gocql.Session, cid string) {
	t.Helper()
	if err := p.pinsvc(t, `{"cid": "`+cid+`", "origins": "none"}`); !isRefusal(err, http.StatusBadRequest, `"reason":"BAD_REQUEST"`) {
		t.Errorf("a pin with bad origins, by the Pinning Services API: %v", err)
	}
	corruptRow(t, session, db.keyspace, cid)
	var info api.GlobalPinInfo
	if err := p.do(http.MethodGet, "/pins/"+cid, func(value json.RawMessage) error { return json.Unmarshal(value, &info) }); err != nil {
		t.Errorf("the status of a pin that cannot be decoded: %v", err)
	}
	if of := info.PeerMap[p.id(t)]; len(info.PeerMap) != 1 || of.Status != api.TrackerStatusClusterError || !strings.Contains(of.Error, cid) {
		t.Errorf("the status of a pin that cannot be decoded: %+v", info)
	}
	writePins(t, filepath.Join(p.dir, "again.json"), []string{cid})
	mustRun(t, p.service(t, nil, "state", "import", "--keyspace", db.keyspace, filepath.Join(p.dir, "again.json")))
}

func isRefusal(err error, status int, text string) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status && strings.Contains(r.text, text)
}

// checkPatchedInit checks what sections the patched service writes.
func checkPatchedInit(t *testing.T, patched string) {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.Command(patched, "--config", folder, "init", "--consensus", "scylla")
	cmd.Env = environ(folder, nil)
	mustRun(t, cmd)
	text, err := os.ReadFile(filepath.Join(folder, "service.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sections map[string]map[string]any
	if err := json.Unmarshal(text, &sections); err != nil {
		t.Fatal(err)
	}
	if states := slices.Collect(maps.Keys(sections["state"])); !slices.Equal(states, []string{"scylla"}) {
		t.Errorf("init of the patched service writes the states %q, want scylla", states)
	}
	for _, section := range []string{"consensus", "datastore"} {
		if len(sections[section]) != 0 {
			t.Errorf("init of the patched service writes the section %s: %v", section, sections[section])
		}
	}

	// Without a scylla state variables of ours are nobody's.
	folder = t.TempDir()
	for _, args := range [][]string{{"init", "--consensus", "crdt"}, {"state", "export"}} {
		cmd := exec.Command(patched, append([]string{"--config", folder}, args...)...)
		cmd.Env = environ(folder, map[string]string{"CLUSTER_SCYLLA_HOST": "db1"}) // there is no such field
		mustRun(t, cmd)
	}
}

// inTable tells whether the table has a pin of a CID. A removed pin leaves a
// row without one.
func inTable(t *testing.T, session *gocql.Session, keyspace, cid string) bool {
	t.Helper()
	c, err := api.DecodeCid(cid)
	if err != nil {
		t.Fatal(err)
	}
	var pin []byte
	err = session.Query("SELECT pin FROM "+keyspace+".pins WHERE cid = ?", c.Bytes()).Scan(&pin)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		t.Fatal(err)
	}
	return len(pin) > 0
}

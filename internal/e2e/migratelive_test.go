package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	libp2p "github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// pinOf is a pin of a CID on these peers, on all of them if there is none, with
// a time long ago.
func pinOf(t *testing.T, cid, name string, peers ...string) api.Pin {
	t.Helper()
	c, err := api.DecodeCid(cid)
	if err != nil {
		t.Fatal(err)
	}
	pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1, Name: name})
	for _, text := range peers {
		id, err := libp2p.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		pin.Allocations = append(pin.Allocations, id)
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = 1, 1
	}
	pin.Timestamp = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return pin
}

// A peer that starts on what was brought in, with its old identity, pins what is
// allocated to it and what belongs everywhere. From then on a migration respects
// what users have changed since, as --existing says.
func TestMigrateThenRun(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	cids := k.addBlocks(t, t.Name(), 6)
	old := newLocalPeer(t, stock, "crdt", k)
	stranger := statetest.Peer("stranger").String()
	pins := []api.Pin{
		pinOf(t, cids[0], "everywhere"), pinOf(t, cids[1], "everywhere"),
		pinOf(t, cids[2], "allocated", old.id(t)), pinOf(t, cids[3], "of somebody else", stranger),
	}
	mustRun(t, old.as(t, stock, "state", "import", "-f", writeExport(t, pins)))
	lines := exportedBy(t, old, stock)
	m := newTarget(t, k, nil)
	identity, err := os.ReadFile(filepath.Join(old.folder, "identity.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(m.folder, "identity.json"), identity, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	from := "crdt:" + old.folder
	m.mustMigrate(t, "run", "--from", from)
	m.holds(t, lines)

	m.start(t)
	m.waitReady(t)
	eventually(t, time.Minute, "the peer pins what is its own", func() error { return onlyPinned(k.pinned(t), cids, cids[:3]) })
	for _, cid := range cids[:3] {
		eventually(t, time.Minute, "the peer says so", func() error { return m.pinnedBy(cid, []string{m.id(t)}) })
	}
	for i, cid := range cids[:4] {
		want := []string{"PINNED", "REMOTE"}[i/3]
		if got := m.ctl(t, "status", "--local", cid); !strings.Contains(got.stdout, want) {
			t.Errorf("ipfs-cluster-ctl status of pin %d does not say %s:\n%s%s", i, want, got.stdout, got.stderr)
		}
	}
	m.holds(t, lines)

	// A user pins something new and changes a pin.
	m.mustPin(t, cids[4], url.Values{"name": {"new"}})
	m.mustPin(t, cids[1], url.Values{"name": {"changed by a user"}})
	now := m.exported(t)
	got := m.migrate(t, "run", "--from", from)
	checkRefused(t, got, "holds 2 pins that this migration has not written", "--existing newer", "--existing keep")
	got = m.migrate(t, "plan", "--from", from, "--json")
	got.says(t, 4, "a run would be refused", "holds 2 pins")
	plan := object[migrate.Plan](t, got, "plan")
	if plan.Path != migrate.PathConditional || plan.Others != 2 || !plan.Live || !strings.Contains(plan.Refused, "holds 2 pins") {
		t.Errorf("the plan is %+v, want one with conditions that is refused for 2 pins", plan)
	}
	m.mustMigrate(t, "plan", "--from", from, "--existing", "keep")
	for _, existing := range []string{"keep", "newer"} { // in both the user is right
		report := object[migrate.Report](t, m.mustMigrate(t, "run", "--from", from, "--existing", existing, "--json"), "report")
		if report.Bulk || report.Kept != 4 || report.Different != 1 || report.Copied != 0 || report.Replaced != 0 {
			t.Errorf("--existing %s: %+v, want 4 pins kept, one of them different", existing, report)
		}
		if got := m.exported(t); !slices.Equal(got, now) {
			t.Errorf("--existing %s has changed the pinset: %s", existing, firstDifference(got, now))
		}
	}
	found := object[migrate.Comparison](t, m.migrate(t, "verify", "--from", from, "--json"), "comparison")
	if found.Extra != 1 || found.ExtraPins[0].Cid != cids[4] || found.Different != 1 || found.DifferentPins[0].Cid != cids[1] || found.Newer != 1 || found.Missing != 0 {
		t.Errorf("verify finds %+v, want the pin that is new and the one that was changed", found)
	}
	m.migrate(t, "verify", "--from", from).says(t, 4, cids[4], cids[1], "the pinset is in use")

	// Another source has one pin that is later, one that is earlier, one that is
	// the same and one that nobody has. What is lacking is pinned.
	later, earlier := pinOf(t, cids[0], "later"), pinOf(t, cids[1], "earlier")
	later.Timestamp = time.Now().Add(time.Hour)
	other := "export:" + writeExport(t, []api.Pin{later, earlier, pins[2], pinOf(t, cids[5], "only there")})
	checkRefused(t, m.migrate(t, "run", "--from", other), "holds 5 pins that this migration has not written")
	report := object[migrate.Report](t, m.mustMigrate(t, "run", "--from", other, "--existing", "newer", "--json"), "report")
	if report.Copied != 2 || report.Replaced != 1 || report.Kept != 2 {
		t.Errorf("--existing newer: %+v, want 2 copied, one of them a replacement, and 2 kept", report)
	}
	names := make(map[string]string)
	for _, line := range m.exported(t) {
		pin := decodeLine(t, line)
		names[pin.Cid.String()] = pin.Name
	}
	for cid, want := range map[string]string{cids[0]: "later", cids[1]: "changed by a user", cids[2]: "allocated", cids[4]: "new", cids[5]: "only there"} {
		if names[cid] != want {
			t.Errorf("the pin of %s is named %q, want %q", cid, names[cid], want)
		}
	}
	eventually(t, time.Minute, "what a migration has added is pinned", func() error {
		return onlyPinned(k.pinned(t), cids, []string{cids[0], cids[1], cids[2], cids[4], cids[5]})
	})
	m.stop(t)
}

// A peer starts while pins are written in bulk: the run ends and says so, and the
// same command brings the rest.
func TestMigrateMeetsPeer(t *testing.T) {
	t.Parallel()
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-migrate): it takes 18,000 pins to be in the middle of a run")
	}
	k := startKubo(t)
	m := newTarget(t, k, nil)
	file, err := os.ReadFile(writeExport(t, lasting(typed(variedPins(t, 40_000)))))
	if err != nil {
		t.Fatal(err)
	}
	pins := slices.Collect(bytes.Lines(file))[:18_000] // more than are written at once
	text, begin := bytes.Join(pins, nil), bytes.Join(pins[:17_000], nil)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cmd := m.service(t, nil, "migrate", "run", "--from", "export:-")
	cmd.Stdin = reader
	bulk := start(t, filepath.Join(m.dir, "run.log"), cmd)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { // it waits for who reads
		_, err := writer.Write(begin)
		written <- err
	}()
	eventually(t, runTimeout, "the run has begun", func() error {
		bulk.running(t)
		var phase string
		err := m.session.Query("SELECT phase FROM " + m.db.keyspace + ".migrations WHERE scope = 'pinset' AND id = 'export:-'").Scan(&phase)
		if err != nil {
			return err
		}
		n, err := m.count()
		if err == nil && n < 1000 {
			err = fmt.Errorf("%d pins are written", n)
		}
		return err
	})
	m.start(t)
	m.waitReady(t)
	err = <-written
	if err == nil {
		_, err = writer.Write(text[len(begin):])
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) { // the run may have noticed at once
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-bulk.Exited():
	case <-time.After(runTimeout):
		t.Fatal("the run does not end")
	}
	checkRefused(t, outcome{code: exitCode(t, bulk.Wait()), stderr: bulk.text(t)}, "the pinset is in use", "run the same command again")

	again := func(args ...string) outcome {
		t.Helper()
		cmd := m.service(t, nil, append([]string{"migrate"}, args...)...)
		cmd.Stdin = bytes.NewReader(text)
		return mustRun(t, cmd)
	}
	again("run", "--from", "export:-").says(t, 0, "written with conditions")
	again("verify", "--from", "export:-").says(t, 0, "both sides are the same")
	m.stop(t)
}

package e2e

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// datastores are all that stock keeps the pins of a crdt peer in.
var datastores = []string{"pebble", "badger", "badger3", "leveldb"}

// The pins of a stopped crdt peer arrive as stock itself exports them, line by
// line and byte by byte, from each datastore, and the folder stays as it was.
func TestMigrateCRDT(t *testing.T) {
	t.Parallel()
	n := 300
	if longTests() {
		n = 10_000
	} else {
		t.Logf("A SLICE ONLY: %d pins. TEST_LONG=1 tests 10000.", n)
	}
	atOnce(t, datastores, func(t *testing.T, datastore string) {
		begin := time.Now()
		p, lines := stockFolder(t, variedPins(t, n), "--consensus", "crdt", "--datastore", datastore)
		checkArrives(t, newTarget(t, nil, nil), "crdt:"+p.folder, p.folder, lines)
		t.Logf("%d pins took %s", n, time.Since(begin).Round(time.Second))
	})
}

// checkArrives brings a folder into an empty keyspace and fails the test unless
// exactly the lines of stock's export arrive, a second run changes nothing, and
// the folder is as it was.
func checkArrives(t *testing.T, m *target, from, folder string, lines []string) {
	t.Helper()
	before := fingerprints(t, folder)
	n := int64(len(lines))
	plan := object[migrate.Plan](t, m.mustMigrate(t, "plan", "--from", from, "--json"), "plan")
	if plan.Path != migrate.PathBulk || plan.Refused != "" {
		t.Errorf("the plan is %s, refused %q, want bulk", plan.Path, plan.Refused)
	}
	equals(t, "records of the plan", plan.Records, n)
	equals(t, "pins of the plan", plan.Pins, n)
	m.empty(t)

	m.mustMigrate(t, "run", "--from", from).says(t, 0, "written in bulk")
	m.holds(t, lines)
	m.mustMigrate(t, "verify", "--from", from).says(t, 0, "both sides are the same")
	rows := m.stored(t)

	report := object[migrate.Report](t, m.mustMigrate(t, "run", "--from", from, "--json"), "report")
	if !report.Complete || report.Run != 2 || !report.Bulk {
		t.Errorf("the second run is %+v, want run 2 in bulk, complete", report)
	}
	equals(t, "pins that the second run has copied", report.Copied, n)
	equals(t, "pins that it has removed", report.Removed, 0)
	if again := m.stored(t); !maps.EqualFunc(rows, again, bytes.Equal) {
		t.Errorf("a second run has changed the pins: %d are there, before %d", len(again), len(rows))
	}
	// The ID has the real path, which a link to the folder has, too.
	done, ok := m.status(t, plan.Source)
	if !ok || done.Phase != "done" || done.Run != 2 || done.Records != n || done.Bad != 0 {
		t.Errorf("the status is %+v (%v), want run 2 done with %d records", done, ok, n)
	}
	untouched(t, folder, before)
}

// A peer has run, with pins that came and went: clean when it was stopped, and
// as it was left when it was killed.
func TestMigrateCRDTOfDaemon(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	kinds := datastores
	if !longTests() {
		kinds = kinds[:1]
		t.Logf("A SLICE ONLY: %v. TEST_LONG=1 tests %v.", kinds, datastores)
	}
	for _, datastore := range kinds {
		t.Run(datastore, func(t *testing.T) {
			p := initPeer(t, stock, k, nil, "--consensus", "crdt", "--datastore", datastore)
			cids := k.addBlocks(t, t.Name(), 8)
			p.startAs(t, stock)
			for _, cid := range cids[:5] {
				p.mustPin(t, cid, url.Values{"name": {"first"}, "meta-key": {"value"}})
			}
			for _, cid := range cids[:2] {
				if err := p.unpin(cid); err != nil {
					t.Fatal(err)
				}
			}
			p.mustPin(t, cids[0], url.Values{"replication": {"1"}, "expire-in": {"24h"}})
			p.mustPin(t, cids[2], url.Values{"name": {"second"}})
			p.has(t, cids[0], cids[2], cids[3], cids[4])
			p.stop(t)
			lines := exportedBy(t, p, stock)
			if len(lines) != 4 {
				t.Fatalf("stock exports %d pins, want 4:\n%s", len(lines), strings.Join(lines, ""))
			}
			m := newTarget(t, k, nil)
			checkArrives(t, m, "crdt:"+p.folder, p.folder, lines)

			// It runs once more and is killed. What was pinned is in the folder, in
			// whatever state.
			p.startAs(t, stock)
			for _, cid := range cids[5:] {
				p.mustPin(t, cid, nil)
			}
			if err := p.unpin(cids[3]); err != nil {
				t.Fatal(err)
			}
			p.has(t, cids[0], cids[2], cids[4], cids[5], cids[6], cids[7])
			p.daemon.Kill()
			// Stock may lose what it has not written yet; what counts is that it
			// finds the same.
			after := exportedBy(t, p.copyOf(t), stock)
			t.Logf("stock has %d of 6 pins after kill -9", len(after))
			before := fingerprints(t, p.folder)
			got := m.migrate(t, "run", "--from", "crdt:"+p.folder, "--remove-missing")
			switch {
			case got.code == 0 && strings.Contains(got.stderr, "was not closed"):
				t.Log("the folder of a peer that was killed can be read, and removes nothing")
				got.says(t, 0, "the source may lack pins")
				left := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
					cid := decodeLine(t, line).Cid
					return slices.ContainsFunc(after, func(line string) bool { return decodeLine(t, line).Cid.Equals(cid) })
				})
				m.holds(t, slices.Sorted(slices.Values(slices.Concat(after, left))))
			case got.code == 0:
				t.Log("the folder of a peer that was killed can be read")
				m.holds(t, after)
			default:
				t.Logf("the folder of a peer that was killed is refused: %s", got.stderr)
				checkRefused(t, got, "was not closed", "start the peer once and stop it again")
				m.holds(t, lines)
			}
			untouched(t, p.folder, before)
		})
	}
}

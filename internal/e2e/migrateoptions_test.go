package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// What the flags change in the pins is what they change under stock's state
// import. Verify remembers it. A dry run writes nothing.
func TestMigrateOptions(t *testing.T) {
	t.Parallel()
	pins := typed(variedPins(t, 100))
	file := writeExport(t, pins)
	from := "export:" + file
	m := newTarget(t, nil, nil)
	report := object[migrate.Report](t, m.mustMigrate(t, "run", "--from", from, "--dry-run", "--json"), "report")
	if !report.DryRun || report.Copied != int64(len(pins)) {
		t.Errorf("the dry run reports %+v, want %d pins", report, len(pins))
	}
	m.empty(t)

	a, b, c := statetest.Peer("a").String(), statetest.Peer("b").String(), statetest.Peer("c").String()
	// Stock changes what it exports again, which is compared as that is.
	theirs := initPeer(t, stock, nil, nil, "--consensus", "raft")
	for i, flags := range [][]string{
		{"--replication-min", "2", "--replication-max", "3"},
		{"--rmin", "1", "--rmax", "1", "--allocs", a + "," + b},
		{"--allocations", c + "," + a},
	} {
		t.Run(strings.Join(flags[:1], " "), func(t *testing.T) {
			mustRun(t, theirs.as(t, stock, slices.Concat([]string{"state", "import", "-f"}, flags, []string{file})...))
			lines := exportedBy(t, theirs, stock)
			m.mustMigrate(t, slices.Concat([]string{"run", "--from", from}, flags)...)
			m.holds(t, lines)
			m.mustMigrate(t, "verify", "--from", from).says(t, 0, "both sides are the same")
			if i > 0 {
				return // what flags say to plan and verify is the same for all
			}
			plan := object[migrate.Plan](t, m.mustMigrate(t, slices.Concat([]string{"plan", "--from", from, "--json"}, flags)...), "plan")
			if plan.Run != 2 || plan.Changed == 0 || plan.Path != migrate.PathBulk {
				t.Errorf("the plan is %+v, want run 2 in bulk that changes pins", plan)
			}
			m.mustMigrate(t, slices.Concat([]string{"verify", "--from", from}, flags)...)
			m.migrate(t, "verify", "--from", from, "--rmin", "7", "--rmax", "7").says(t, 4, "pins are different")
		})
	}

	t.Run("--peer-map", func(t *testing.T) {
		m.mustMigrate(t, "run", "--from", from, "--peer-map", a+"="+b+","+b+"="+a)
		swap := strings.NewReplacer(a, b, b, a)
		var want []string
		for _, line := range exportedOf(t, file, theirs) {
			begin, rest, found := strings.Cut(line, `"allocations":`)
			if !found {
				t.Fatalf("no allocations in %s", line)
			}
			list, rest, _ := strings.Cut(rest, "]")
			want = append(want, begin+`"allocations":`+swap.Replace(list)+"]"+rest)
		}
		slices.Sort(want)
		m.holds(t, want)
		m.mustMigrate(t, "verify", "--from", from).says(t, 0, "both sides are the same")
	})
}

// exportedOf is what stock exports of an import without flags.
func exportedOf(t *testing.T, file string, p *peer) []string {
	t.Helper()
	mustRun(t, p.as(t, stock, "state", "import", "-f", file))
	return exportedBy(t, p, stock)
}

// The way back: what rollback writes is taken by stock, and is the whole pinset.
func TestMigrateRollback(t *testing.T) {
	t.Parallel()
	p, lines := stockFolder(t, typed(variedPins(t, 200)), "--consensus", "crdt")
	m := newTarget(t, nil, nil)
	m.mustMigrate(t, "run", "--from", "crdt:"+p.folder)
	file := filepath.Join(t.TempDir(), "pins.json")
	got := m.mustMigrate(t, "rollback", "--file", file)
	got.says(t, 0, "both sides are the same", file+" holds all pins", "state import "+file)
	atOnce(t, []string{"pebble", "leveldb", "raft"}, func(t *testing.T, into string) {
		flags := []string{"--consensus", "crdt", "--datastore", into}
		if into == "raft" {
			flags = []string{"--consensus", "raft"}
		}
		back := initPeer(t, stock, nil, nil, flags...)
		mustRun(t, back.as(t, stock, "state", "import", "-f", file))
		if now := exportedBy(t, back, stock); !slices.Equal(now, lines) {
			t.Errorf("stock has %d pins, before %d; first difference:\n%s", len(now), len(lines), firstDifference(now, lines))
		}
	})
	m.holds(t, lines)
	found := object[migrate.Comparison](t, m.mustMigrate(t, "rollback", "--file", file, "--json"), "comparison")
	if !found.Equal() || found.Pins != int64(len(lines)) {
		t.Errorf("rollback finds %+v, want %d pins", found, len(lines))
	}

	checkRefused(t, m.migrate(t, "rollback", "--file", "/dev/full"), "no space left on device")

	// A file that cannot be written whole leaves the older one as it is.
	before := readLines(t, file)
	corruptRow(t, m.session, m.db.keyspace, decodeLine(t, lines[0]).Cid.String())
	checkRefused(t, m.migrate(t, "rollback", "--file", file), decodeLine(t, lines[0]).Cid.String())
	if after := readLines(t, file); !slices.Equal(before, after) {
		t.Error("a rollback that failed has changed the file of an earlier one")
	}
}

// Pins without a type, which only an import of stock makes, go the whole way as
// well: what came from stock, stock gets back.
func TestMigrateRollbackOfPinsWithoutType(t *testing.T) {
	t.Parallel()
	p, lines := stockFolder(t, variedPins(t, 40), "--consensus", "crdt")
	m := newTarget(t, nil, nil)
	m.mustMigrate(t, "run", "--from", "crdt:"+p.folder)
	file := filepath.Join(t.TempDir(), "pins.json")
	m.mustMigrate(t, "rollback", "--file", file)
	mustRun(t, p.as(t, stock, "state", "import", "-f", file))
	if now := exportedBy(t, p, stock); !slices.Equal(now, lines) {
		t.Errorf("stock has %d pins, before %d; first difference:\n%s", len(now), len(lines), firstDifference(now, lines))
	}
}

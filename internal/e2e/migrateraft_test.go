package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// The pins of a raft peer arrive that are in its snapshot and in the log after
// it, as a stock peer has them that starts on the same folder.
func TestMigrateRaft(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	p := initPeer(t, stock, k, nil, "--consensus", "raft")
	// The log begins behind the snapshot, so that one without the other is no
	// pinset.
	p.edit(t, func(config map[string]any) {
		config["consensus"].(map[string]any)["raft"].(map[string]any)["trailing_logs"] = 1
	})
	cids := k.addBlocks(t, t.Name(), 12)
	p.startAs(t, stock)
	for _, cid := range cids[:6] {
		p.mustPin(t, cid, url.Values{"name": {"in the snapshot"}})
	}
	if err := p.unpin(cids[0]); err != nil {
		t.Fatal(err)
	}
	p.has(t, cids[1:6]...)
	p.stop(t)
	m := newTarget(t, k, nil)
	inSnapshot := exportedBy(t, p, stock)
	if len(inSnapshot) != 5 {
		t.Fatalf("stock exports %d pins of the snapshot, want 5", len(inSnapshot))
	}
	checkArrives(t, m, "raft:"+p.folder, p.folder, inSnapshot)

	p.startAs(t, stock)
	p.mustPin(t, cids[6], url.Values{"name": {"in the log"}, "meta-key": {"value"}, "expire-in": {"24h"}, "replication": {"1"}})
	p.mustPin(t, cids[7], nil) // without what the entry before it has
	p.mustPin(t, cids[1], url.Values{"name": {"pinned again"}})
	for _, cid := range []string{cids[2], cids[7]} {
		if err := p.unpin(cid); err != nil {
			t.Fatal(err)
		}
	}
	p.mustPin(t, cids[0], url.Values{"name": {"pinned after all"}})
	p.mustPin(t, cids[7], url.Values{"mode": {"direct"}})
	p.mustPin(t, cids[8], nil)
	p.has(t, cids[0], cids[1], cids[3], cids[4], cids[5], cids[6], cids[7], cids[8])
	p.daemon.Kill()

	// Stock exports the snapshot only. A peer on a copy makes one of all.
	twin := p.copyOf(t)
	twin.startAs(t, stock)
	twin.has(t, cids[0], cids[1], cids[3], cids[4], cids[5], cids[6], cids[7], cids[8])
	twin.stop(t)
	lines := exportedBy(t, twin, stock)
	before := fingerprints(t, p.folder)
	m.mustMigrate(t, "run", "--from", "raft:"+p.folder).says(t, 0, "--remove-missing removes it")
	if got := len(m.exported(t)); got != len(lines)+1 {
		t.Errorf("%d pins are there without --remove-missing, want %d and the one that left", got, len(lines))
	}
	m.mustMigrate(t, "run", "--from", "raft:"+p.folder, "--remove-missing").says(t, 0,
		"1 pins were removed", "changes after its last snapshot", "start all peers and shut all of them down cleanly")
	m.holds(t, lines)
	m.mustMigrate(t, "verify", "--from", "raft:"+p.folder)
	untouched(t, p.folder, before)

	t.Run("a log that begins behind a snapshot that is gone", func(t *testing.T) {
		gone := p.copyOf(t)
		if err := os.RemoveAll(filepath.Join(gone.folder, "raft", "snapshots")); err != nil {
			t.Fatal(err)
		}
		got := m.migrate(t, "run", "--from", "raft:"+gone.folder)
		checkRefused(t, got, "the entries from 1 to ", " are missing", "migrate from another peer")
		m.holds(t, lines)
	})
	t.Run("an older snapshot than the log", func(t *testing.T) {
		older := p.copyOf(t)
		folders, err := filepath.Glob(filepath.Join(older.folder, "raft", "snapshots", "*-*"))
		if err != nil || len(folders) != 1 {
			t.Fatalf("the peer has the snapshots %q (%v), want one", folders, err)
		}
		editJSON(t, filepath.Join(folders[0], "meta.json"), func(meta map[string]any) { meta["Index"] = 2 })
		checkRefused(t, m.migrate(t, "run", "--from", "raft:"+older.folder), "the entries from 3 to ", " are missing")
		m.holds(t, lines)
	})
}

// All pins and options are in a snapshot that stock's import makes.
func TestMigrateRaftSnapshot(t *testing.T) {
	t.Parallel()
	n := 300
	if longTests() {
		n = 10_000
	}
	p, lines := stockFolder(t, variedPins(t, n), "--consensus", "raft")
	checkArrives(t, newTarget(t, nil, nil), "raft:"+p.folder, p.folder, lines)
}

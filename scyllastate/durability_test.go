package scyllastate

import (
	"bufio"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestStartTellsWhatACrashLoses: a store that is opened on a database which
// acknowledges writes before they are on disk, with one replica, says what a crash
// loses. What it says of a server that waits for its disk, or does not tell, is
// internal/scylla.TestFace/durability.
func TestStartTellsWhatACrashLoses(t *testing.T) {
	conf := freshConfig(t)
	s := openStore(t, conf)
	d, err := s.db.Durability(t.Context())
	must(t, err)
	for _, l := range d.Logs {
		must(t, l.Err) // tests log in with a role that may read it
	}
	if len(d.Logs) != 1 || d.Logs[0].Sync != "periodic" {
		t.Skipf("SKIPPED ON THIS SERVER (%s): it is about one node with commitlog_sync: periodic, which make test has", d)
	}
	lost := "acknowledged pins and unpins"
	if s.db.Dialect.Engine == scylla.ScyllaDB {
		lost = "what peers are to do about acknowledged pins and unpins, until the scrub finds it, and pins that migrate has just brought in"
	}

	must(t, logging.SetLogLevel("scyllastate", "info"))
	t.Cleanup(func() { _ = logging.SetLogLevel("scyllastate", "error") })
	log := logging.NewPipeReader(logging.PipeFormat(logging.PlaintextOutput), logging.PipeLevel(logging.LevelInfo))
	t.Cleanup(func() { _ = log.Close() })
	defer time.AfterFunc(time.Minute, func() { _ = log.Close() }).Stop() // or a store that says nothing is waited for
	openStore(t, conf)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		if !strings.Contains(line, "crash") {
			continue
		}
		for _, part := range []string{
			"WARN", "one crash of the database can lose " + lost + ": the keyspace " + conf.Keyspace + " has one replica",
			"commitlog_sync: periodic on " + conf.Hosts[0], "set commitlog_sync: batch", "docs/database.md",
		} {
			if !strings.Contains(line, part) {
				t.Errorf("it does not say %q: %s", part, line)
			}
		}
		return
	}
	t.Error("nothing was said of crashes")
}

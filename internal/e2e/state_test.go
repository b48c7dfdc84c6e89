package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// What state import reads, state export writes again. A row that is corrupt
// stops an export, which then leaves no file, but not the daemon; every error
// names its CID.
func TestExportImport(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := on(t, server)
	k := startKubo(t)
	p := newPeer(t, db, k, nil)
	cids := k.addBlocks(t, "TestExportImport", 20)
	corrupt, later := cids[0], cids[19]
	file, exported := filepath.Join(p.dir, "pins.json"), filepath.Join(p.dir, "exported.json")
	pins := writePins(t, file, cids[:19])

	mustRun(t, p.service(t, nil, "state", "import", "-f", file))
	mustRun(t, p.service(t, nil, "state", "export", "--file", exported))
	if got := readLines(t, exported); !slices.Equal(got, pins) {
		t.Errorf("exported\n%s\nimported\n%s", strings.Join(got, "\n"), strings.Join(pins, "\n"))
	}
	if err := os.Remove(exported); err != nil {
		t.Fatal(err)
	}

	corruptRow(t, server.Session(t), db.keyspace, corrupt)
	checkRefused(t, run(t, p.service(t, nil, "state", "export", "--file", exported)),
		"the export is not complete", "the stored pin of "+corrupt+" is corrupt")
	for _, path := range []string{exported, exported + ".partial"} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an export that failed left %s (%v)", path, err)
		}
	}
	checkRefused(t, run(t, p.service(t, nil, "state", "export")), "the export is not complete", corrupt)

	p.start(t)
	p.waitReady(t)
	var answer *refusal
	for what, err := range map[string]error{
		"GET":    p.do(http.MethodGet, "/allocations/"+corrupt, nil),
		"POST":   p.pin(corrupt, nil),
		"DELETE": p.unpin(corrupt),
	} {
		if !errors.As(err, &answer) || answer.status != http.StatusInternalServerError || !strings.Contains(answer.text, corrupt) {
			t.Errorf("%s of a corrupt pin: %v, want an error that names it", what, err)
		}
	}
	if _, err := p.allocations(); !errors.As(err, &answer) || !strings.Contains(answer.text, corrupt) {
		t.Errorf("GET of all pins: %v, want an error that names the corrupt one", err)
	}
	if err := p.do(http.MethodGet, "/allocations/"+cids[1], nil); err != nil {
		t.Errorf("GET of another pin: %v", err)
	}
	if err := p.pin(later, nil); err != nil {
		t.Errorf("a new pin: %v", err)
	}
	if err := p.unpin(cids[1]); err != nil {
		t.Errorf("an unpin: %v", err)
	}
	want := append([]string{later}, cids[2:19]...)
	eventually(t, time.Minute, "the other pins are worked on", func() error {
		return onlyPinned(k.pinned(t), cids, append(want, corrupt), corrupt)
	})

	// As the error says, an import mends the row.
	writePins(t, file, []string{corrupt})
	mustRun(t, p.service(t, nil, "state", "import", "--keyspace", db.keyspace, file))
	want = append(want, corrupt)
	eventually(t, time.Minute, "the mended pin is pinned", func() error {
		return onlyPinned(k.pinned(t), cids, want)
	})
	if state, err := p.allocations(); err != nil || len(state) != len(want) {
		t.Errorf("%d pins (%v), want %d", len(state), err, len(want))
	}
	p.stop(t)
}

// onlyPinned returns an error unless of all exactly those of want are pinned.
// What is to be ignored may be pinned or not.
func onlyPinned(pinned map[string]bool, all, want []string, ignore ...string) error {
	for _, cid := range all {
		if is := slices.Contains(want, cid); is != pinned[cid] && !slices.Contains(ignore, cid) {
			return fmt.Errorf("%s is pinned: %v, want %v", cid, pinned[cid], is)
		}
	}
	return nil
}

// writePins writes a file for state import and returns its lines in order.
func writePins(t *testing.T, path string, cids []string) []string {
	t.Helper()
	var text bytes.Buffer
	for i, s := range cids {
		c, err := api.DecodeCid(s)
		if err != nil {
			t.Fatal(err)
		}
		pin := api.PinWithOpts(c, api.PinOptions{
			ReplicationFactorMin: -1, ReplicationFactorMax: -1,
			Name:     fmt.Sprintf("pin %d", i),
			Metadata: map[string]string{"number": fmt.Sprint(i)},
			Origins:  []api.Multiaddr{}, // a stored pin is never without
		})
		pin.Timestamp = time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC)
		if err := json.NewEncoder(&text).Encode(pin); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return readLines(t, path)
}

// readLines returns the lines of a file in alphabetical order.
func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	slices.Sort(lines)
	return lines
}

// corruptRow makes the stored pin something that cannot be decoded.
func corruptRow(t *testing.T, session *gocql.Session, keyspace, cid string) {
	t.Helper()
	c, err := api.DecodeCid(cid)
	if err != nil {
		t.Fatal(err)
	}
	var rev gocql.UUID
	if err := session.Query("SELECT rev FROM "+keyspace+".pins WHERE cid = ?", c.Bytes()).Scan(&rev); err != nil {
		t.Fatal(err)
	}
	applied, err := session.Query("UPDATE "+keyspace+".pins SET pin = 0xc0ffee WHERE cid = ? IF rev = ?", c.Bytes(), rev).
		MapScanCAS(map[string]any{})
	if err != nil || !applied {
		t.Fatalf("the row of %s was not changed: %v, %v", cid, applied, err)
	}
}

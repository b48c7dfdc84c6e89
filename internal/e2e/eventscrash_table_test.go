package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// toldAgain bounds the time from a restart of everything until the consumer has what the
// database has.
const toldAgain = 3 * time.Minute

// handled is a line of the table of the consumer: one call of its handler, by a process.
type handled struct {
	Run     int64
	Key     string
	Version events.Version
	Kind    string
	Of      events.Version // of a status: the version of the pin
	Is      string         // "there" for a pin, and the status
}

// table reads what the consumer has: of each key what is newest. It returns an error if
// a process was told something older than what it had been told.
func (c *eventsCrashing) table(t *testing.T) (map[string]handled, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.consumer.dir, "table"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	newest, seen := make(map[string]handled), make(map[string]events.Version)
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
		var h handled
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatal(err)
		}
		of := fmt.Sprint(h.Run, h.Key)
		if events.Newer(seen[of], h.Version) {
			return nil, fmt.Errorf("process %d was told %s of version %s after %s", h.Run, h.Key, h.Version, seen[of])
		}
		seen[of] = h.Version
		if !events.Newer(newest[h.Key].Version, h.Version) {
			newest[h.Key] = h
		}
	}
	return newest, nil
}

// equal waits until the consumer has what the database has.
func (c *eventsCrashing) equal(t *testing.T, what string) {
	t.Helper()
	eventually(t, toldAgain, what, func() error {
		if hasEnded(c.consumer.daemon) {
			t.Fatalf("the consumer has ended: %v", c.consumer.Wait())
		}
		told, err := c.table(t)
		if err != nil {
			return err
		}
		if err := c.pinsTold(t, told); err != nil {
			return err
		}
		return c.placementsTold(t, told)
	})
}

// pinsTold compares the table of the consumer with the table pins, whose rows also have
// what was removed.
func (c *eventsCrashing) pinsTold(t *testing.T, told map[string]handled) error {
	t.Helper()
	rows := make(map[string]bool)
	iter := c.session.Query("SELECT cid, rev, pin FROM " + c.db.keyspace + ".pins").Consistency(gocql.Quorum).Iter()
	var key, pin []byte
	var rev gocql.UUID
	var failed error
	for ; iter.Scan(&key, &rev, &pin); key, pin = nil, nil {
		cid := decoded(t, key)
		rows[cid] = true
		got := told["pin/"+cid]
		if want := events.VersionOf(rev); slices.Contains(c.used, cid) && (got.Version != want || (got.Is == "there") != (pin != nil)) {
			failed = fmt.Errorf("of the pin of %s the consumer has %+v, and the database version %s, there: %v", cid, got, want, pin != nil)
		}
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	for _, cid := range c.used {
		if got, ok := told["pin/"+cid]; ok && !rows[cid] {
			failed = fmt.Errorf("of the pin of %s, which was never written, the consumer has %+v", cid, got)
		}
	}
	return failed
}

// placementsTold compares it with the table placements.
func (c *eventsCrashing) placementsTold(t *testing.T, told map[string]handled) error {
	t.Helper()
	rows := make(map[string]bool)
	iter := c.session.Query("SELECT peer, cid, rev, status FROM " + c.db.keyspace + ".placements").Consistency(gocql.Quorum).Iter()
	var peer string
	var key []byte
	var rev gocql.UUID
	var status int
	var failed error
	for ; iter.Scan(&peer, &key, &rev, &status); key = nil {
		cid := decoded(t, key)
		of := "status/" + cid + "/" + peer
		rows[of] = true
		got := told[of]
		if want := events.VersionOf(rev); slices.Contains(c.used, cid) && (status != statusPinned || got.Of != want || got.Is != "pinned") {
			failed = fmt.Errorf("of %s at %s the consumer has %+v, and the database status %d of version %s", cid, peer, got, status, want)
		}
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	for of, got := range told {
		cid, _, _ := strings.Cut(strings.TrimPrefix(of, "status/"), "/")
		if strings.HasPrefix(of, "status/") && !rows[of] && got.Is != "unpinned" && slices.Contains(c.used, cid) {
			failed = fmt.Errorf("of %s, which has no row, the consumer has %+v", of, got)
		}
	}
	return failed
}

func decoded(t *testing.T, key []byte) string {
	t.Helper()
	cid, err := api.CastCid(key)
	if err != nil {
		t.Fatal(err)
	}
	return cid.String()
}

// refuse has the handler refuse all events of a CID.
func (c *eventsCrashing) refuse(t *testing.T, cid string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.consumer.dir, "refuse"), []byte(cid), 0o600); err != nil {
		t.Fatal(err)
	}
}

// retryRefused has the handler refuse nothing any more, and hands to it what was put aside:
// each event once.
func (c *eventsCrashing) retryRefused(t *testing.T) {
	t.Helper()
	vars := map[string]string{"CLUSTER_EVENTS_URLS": c.url()}
	letters := func() (ids []string, err error) {
		out := run(t, c.front.service(t, vars, "events", "dead-letters", "list", "--json"))
		if out.code != 0 {
			return nil, errors.New(out.stderr)
		}
		of := make(map[string]bool)
		for line := range strings.Lines(out.stdout) {
			var l struct {
				ID     uint64
				Reason string
				Event  struct{ ID string }
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l.Reason != "failed" || of[l.Event.ID] {
				t.Errorf("the dead letter %d is one too many: %s", l.ID, line)
			}
			of[l.Event.ID] = true
			ids = append(ids, strconv.FormatUint(l.ID, 10))
		}
		return ids, nil
	}
	var ids []string
	eventually(t, toldAgain, "all is put aside", func() (err error) {
		if ids, err = letters(); err == nil && len(ids) < 3 { // accepted, and pinned by two peers
			err = fmt.Errorf("%d are", len(ids))
		}
		return err
	})
	c.refuse(t, "")
	mustRun(t, c.front.service(t, vars, append([]string{"events", "dead-letters", "retry"}, ids...)...))
	eventually(t, toldAgain, "what was retried is dropped", func() error {
		left, err := letters()
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v are left", left)
		}
		return err
	})
}

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// killedAt waits until a peer was killed at a point, and disarms it.
func (c *crashing) killedAt(t *testing.T, p *crashPeer, point, cid string) {
	t.Helper()
	c.killed(t, map[*crashPeer]string{p: point}, false, cid, 1)
	p.arm(t, "", "")
}

// onFront waits until a CID is for the front peer only, and pinned there.
func (c *crashing) onFront(t *testing.T, cid string) {
	t.Helper()
	eventually(t, noticed, "the pin is with the other peer", func() error {
		pins, err := c.front.pins()
		if err != nil {
			return err
		}
		if on := holders(pins[cid], nil); !slices.Equal(on, ids(t, c.front.member)) {
			return fmt.Errorf("it is on %v", on)
		}
		if !c.front.kubo.pinned(t)[cid] {
			return errors.New("it is not pinned")
		}
		return nil
	})
}

// prepared is a CID that is pinned on the back peer.
func (c *crashing) prepared(t *testing.T) (cid string) {
	t.Helper()
	cid = c.next()
	c.front.mustPin(t, cid, c.options(t, onBack))
	c.inLine(t, "a pin on one peer")
	return cid
}

// repin kills the back peer, and then the other one while it takes over a pin.
func (c *crashing) repin(t *testing.T, point string) {
	t.Helper()
	cid := c.prepared(t)
	defer c.forgetFailed(t, cid)
	c.front.arm(t, point, cid)
	c.back.daemon.Kill()
	c.killedAt(t, c.front, point, cid)
	c.start(t, c.front)
	c.front.waitReady(t)
	if point == "repin: before" {
		// It has not seen the dead peer live since its start, so that it moves nothing:
		// both may be back from a power cut.
		c.start(t, c.back)
		c.meet(t)
		c.back.daemon.Kill()
	}
	c.onFront(t, cid)
	c.start(t, c.back)
	c.meet(t)
	c.inLine(t, "all is in line")
}

// handOver takes the back peer out of the cluster and kills it while it hands
// over a pin. It goes on when it runs again, and ends by itself. Then it is
// brought back.
func (c *crashing) handOver(t *testing.T, point string) {
	t.Helper()
	cid := c.prepared(t)
	defer c.forgetFailed(t, cid)
	c.back.arm(t, point, cid)
	if got := c.front.ctl(t, "peers", "rm", c.back.id(t)); got.code != 0 {
		t.Fatalf("peers rm: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	c.killedAt(t, c.back, point, cid)
	c.start(t, c.back)
	select {
	case <-c.back.daemon.Exited():
	case <-time.After(noticed):
		t.Fatalf("the peer has not left the cluster after %s", noticed)
	}
	if code := exitCode(t, c.back.daemon.Wait()); code != 0 {
		t.Errorf("the peer ends with exit code %d, want 0", code)
	}
	c.onFront(t, cid)
	c.start(t, c.back, "--bootstrap", c.front.address(t))
	c.meet(t)
	c.inLine(t, "all is in line")
}

// checkSideTables looks at what stands beside the pins. Every pin that all peers
// hold is in the table everywhere, and every pin with an expiry in expiries. What
// else is there is left of writes that were never made, or were undone, and is
// told: a scrub removes the rows of everywhere after days, those of expiries run
// out. In placements there is nothing but what the peers hold.
func (c *crashing) checkSideTables(t *testing.T) {
	t.Helper()
	pins, err := c.front.pins()
	if err != nil {
		t.Fatal(err)
	}
	for table, wanted := range map[string]func(api.Pin) bool{
		"everywhere": api.Pin.IsPinEverywhere,
		"expiries":   func(p api.Pin) bool { return !p.ExpireAt.IsZero() },
	} {
		rows := c.keys(t, table)
		strays := len(rows)
		for cid, pin := range pins {
			if !wanted(pin) {
				continue
			}
			if rows[cid] {
				strays--
			} else {
				t.Errorf("the table %s lacks %s", table, cid)
			}
		}
		t.Logf("the table %s has %d rows of %d pins, %d of them without one", table, len(rows), len(pins), strays)
	}
	rows, err := placements(c.session, c.db.keyspace)
	if err != nil {
		t.Fatal(err)
	}
	all := ids(t, c.group()...)
	for id, of := range rows {
		for cid := range of {
			pin, ok := pins[cid]
			if !ok || !slices.Contains(holders(pin, all), id) {
				t.Errorf("the table placements has a stray row of %s at %s", cid, id)
			}
		}
	}
}

// keys are the CIDs in a table.
func (c *crashing) keys(t *testing.T, table string) map[string]bool {
	t.Helper()
	rows := make(map[string]bool)
	iter := c.session.Query("SELECT cid FROM " + c.db.keyspace + "." + table).Consistency(gocql.Quorum).Iter()
	for key := []byte(nil); iter.Scan(&key); key = nil {
		cid, err := api.CastCid(key)
		if err != nil {
			t.Fatal(err)
		}
		rows[cid.String()] = true
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

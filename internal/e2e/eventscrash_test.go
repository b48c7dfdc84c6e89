package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// eventsCrashing is a cluster of two peers that tell events by a NATS server, and a consumer
// of these. All of them can be killed, and started again with the files that they have.
type eventsCrashing struct {
	*crashing
	others   string // the program of the consumer and of NATS
	nats     natsProcess
	consumer consumerProcess
	held     *daemon // a peer that was killed by the test itself
}

// TestEventsCrashMatrix kills what tells events and what receives them, one cell of the
// matrix after another. When all runs again the consumer ends with what the database has.
// None of its processes is told something of a pin, or of a peer's status of it, that is
// older than what it was told before.
func TestEventsCrashMatrix(t *testing.T) {
	t.Parallel()
	cells := eventCells()
	if !longTests() {
		all := len(cells)
		cells = slices.DeleteFunc(cells, func(c eventCell) bool { return !c.short })
		t.Logf("A SLICE ONLY: %d of %d cells. TEST_LONG=1 tests the whole.", len(cells), all)
		if len(cells) != len(eventSlice) {
			t.Fatalf("%d cells of the slice are in the matrix, want %d", len(cells), len(eventSlice))
		}
	}
	c := newEventsCrashing(t, len(cells))
	for _, cell := range cells {
		t.Run(cell.String(), func(t *testing.T) {
			c.revive(t)
			c.run(t, cell)
		})
	}
	c.revive(t)
	c.equal(t, "at the end")
	c.consumer.Kill()
	for _, p := range c.peers() {
		p.stop(t)
	}
}

func newEventsCrashing(t *testing.T, n int) *eventsCrashing {
	t.Helper()
	server := cqltest.Start(t)
	service, others := buildCrashing(t)
	dir := t.TempDir()
	c := &eventsCrashing{
		crashing: &crashing{t: t, program: service, db: on(t, server), session: server.Session(t)},
		others:   others,
		nats:     natsProcess{dir: filepath.Join(dir, "nats"), listen: net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1)))), pid: filepath.Join(dir, "nats-pid")},
		consumer: consumerProcess{dir: filepath.Join(dir, "consumer")},
	}
	c.consumer.arms = newArms(dir)
	if err := os.Mkdir(c.consumer.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	kubos := []*ipfs{startKubo(t), startKubo(t)}
	for _, k := range kubos {
		c.fresh = k.addBlocks(t, t.Name(), n)
	}
	group := newGroup(t, c.db, kubos, map[string]string{"CLUSTER_DISABLEREPINNING": "true"})
	c.front, c.back = &crashPeer{group[0], newArms(group[0].dir)}, &crashPeer{group[1], newArms(group[1].dir)}
	c.vars = map[string]string{"CLUSTER_EVENTS_URLS": c.url(), crashServerEnv: c.nats.pid}
	c.startNATS(t)
	for _, p := range c.peers() {
		c.start(t, p)
	}
	c.startConsumer(t)
	return c
}

// run tests one cell.
func (c *eventsCrashing) run(t *testing.T, cell eventCell) {
	t.Helper()
	cid := c.next()
	defer c.forgetFailed(t, cid)
	if cell.op.prepare != nil {
		c.front.mustPin(t, cid, c.options(t, cell.op.prepare))
		c.inLine(t, "prepared")
		c.equal(t, "prepared")
	}
	var strikes []*strike
	switch cell.come {
	case working, refusing:
		if cell.come == refusing {
			c.refuse(t, cid)
		}
		strikes = c.armAll(t, cell, cid, c.peers())
		c.ask(t, cell, cid)
	case takenUp:
		if err := c.back.kubo.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		c.ask(t, cell, cid)
		c.waitTaken(t)
		strikes = c.armAll(t, cell, cid, c.peers())
		if err := c.back.kubo.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	case takingOver:
		c.nats.Kill()
		c.ask(t, cell, cid)
		c.inLine(t, "done without NATS")
		c.waitTaken(t) // as soon as that the relay could save that it has told something
		next := c.killHolder(t, cid)
		strikes = c.armAll(t, cell, cid, []*crashPeer{next})
		c.startNATS(t)
	case missing:
		c.consumer.Kill()
		c.ask(t, cell, cid)
		c.inLine(t, "done without the consumer")
		mustRun(t, c.front.service(t, map[string]string{"CLUSTER_EVENTS_URLS": c.url()}, "events", "tail", "--since", "1h", "--cid", cid, "-n", "3"))
		c.waitPassed(t, c.feed(t, cid), "relay")
		c.nats.Kill()
		if err := os.RemoveAll(c.nats.dir); err != nil {
			t.Fatal(err)
		}
		c.startNATS(t)
		strikes = c.armAll(t, cell, cid, c.peers())
		c.startConsumer(t)
	}
	c.struck(t, strikes)
	c.revive(t)
	if cell.come == refusing {
		c.retryRefused(t)
	}
	c.inLine(t, "all is in line")
	c.equal(t, "all is told")
}

// ask asks the front peer for what the cell is about. It may be killed meanwhile.
func (c *eventsCrashing) ask(t *testing.T, cell eventCell, cid string) {
	t.Helper()
	var err error
	if cell.op.pin == nil {
		err = c.front.unpin(cid)
	} else {
		err = c.front.pin(cid, c.options(t, cell.op.pin))
	}
	var answer *refusal
	switch {
	case errors.As(err, &answer) || err != nil && cell.front == "" && (cell.relay == "" || strings.HasPrefix(cell.relay, onServer)):
		t.Errorf("the front peer refuses: %v", err)
	case err == nil && cell.front != "":
		t.Error("the client has an answer of a peer that was to be killed before")
	}
}

// waitPassed waits until the cursor of somebody who reads a feed is behind what was written
// until now: it is not read again by who begins anew.
func (c *eventsCrashing) waitPassed(t *testing.T, feed, consumer string) {
	t.Helper()
	now := time.Now()
	eventually(t, startedAgain, "the cursor passes", func() error {
		var position time.Time
		err := c.session.Query("SELECT position FROM "+c.db.keyspace+".cursors WHERE feed = ? AND consumer = ?", feed, consumer).
			Consistency(gocql.Quorum).Scan(&position)
		if err == nil && !position.After(now) {
			err = fmt.Errorf("it is at %s", position)
		}
		return err
	})
}

// waitTaken waits until the back peer has taken up all that was written until now.
func (c *eventsCrashing) waitTaken(t *testing.T) {
	t.Helper()
	id := c.back.id(t)
	c.waitPassed(t, id, id)
}

// feed is that of the events of a CID.
func (c *eventsCrashing) feed(t *testing.T, cid string) string {
	t.Helper()
	return fmt.Sprintf("events/%d", c.shard(t, cid))
}

// killHolder kills the peer that is the relay of a CID, and returns the other one.
func (c *eventsCrashing) killHolder(t *testing.T, cid string) *crashPeer {
	t.Helper()
	var holder string
	err := c.session.Query("SELECT holder FROM "+c.db.keyspace+".leases WHERE name = ?", c.feed(t, cid)).
		Consistency(gocql.Quorum).Scan(&holder)
	if err != nil {
		t.Fatal(err)
	}
	dies, next := c.back, c.front
	if strings.HasPrefix(holder, c.front.id(t)) {
		dies, next = next, dies
	}
	dies.daemon.Kill()
	c.held = dies.daemon
	return next
}

// shard is that of the events of a CID.
func (c *eventsCrashing) shard(t *testing.T, cid string) int {
	t.Helper()
	key, err := api.DecodeCid(cid)
	if err != nil {
		t.Fatal(err)
	}
	bytes := key.Bytes()
	return int(bytes[len(bytes)-1] % 16)
}

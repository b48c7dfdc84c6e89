package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

const (
	// struck is how long a process may take to come by a crash point: the cursor
	// passes a change 12 s after it, and an expiry is noticed within 20 s.
	struck = 90 * time.Second
	// startedAgain bounds the time from a restart until all is in line.
	startedAgain = 2 * time.Minute
)

// crashing is a cluster of two peers, front and back, whose program can be
// killed at any of the crash points. Each has a Kubo with all the blocks. What
// the cells of the matrix do is asked of the front peer, and what is pinned on
// one peer only is pinned on the back one.
type crashing struct {
	// t is the test that all cells are parts of: what they start outlives them.
	t           *testing.T
	program     string
	db          database
	session     *gocql.Session
	front, back *crashPeer
	// fresh are the CIDs for the cells to come, used those of the others.
	fresh, used []string
	// vars are variables for the next starts.
	vars map[string]string
}

// crashPeer is a peer of the matrix.
type crashPeer struct {
	*member
	arms
}

// Processes are killed, one cell of the matrix after another, at a point of a
// write, of what a peer does with it, or of a loop. When they run again, nothing
// that was acknowledged is lost, nothing that was not written appears, and all
// peers hold what the pinset says, in Kubo as in the table placements.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	cells := crashCells()
	loops := []string{"repin: after", "repin: before", "hand-over: before", "hand-over: after"}
	if !longTests() {
		all := len(cells) + len(loops)
		cells = slices.DeleteFunc(cells, func(c crashCell) bool { return !c.short })
		loops = loops[:1]
		t.Logf("A SLICE ONLY: %d of %d cells. TEST_LONG=1 tests the whole.", len(cells)+len(loops), all)
		if len(cells) != len(crashSlice) {
			t.Fatalf("%d cells of the slice are in the matrix, want %d", len(cells), len(crashSlice))
		}
	}
	c := newCrashing(t, 2*len(cells)+len(loops))
	for _, cell := range cells {
		t.Run(cell.String(), func(t *testing.T) {
			c.revive(t)
			c.run(t, cell)
		})
	}
	c.revive(t)
	c.checkSideTables(t)

	// From here on the peers give the pins of others away.
	c.vars = map[string]string{"CLUSTER_DISABLEREPINNING": "false"}
	for _, p := range []*crashPeer{c.front, c.back} {
		p.stop(t)
	}
	for _, point := range loops {
		t.Run(point, func(t *testing.T) {
			c.revive(t)
			if strings.HasPrefix(point, "repin") {
				c.repin(t, point)
			} else {
				c.handOver(t, point)
			}
		})
	}
	c.revive(t)
	c.checkSideTables(t)
	for _, p := range []*crashPeer{c.front, c.back} {
		p.stop(t)
	}
}

// newCrashing starts the peers, and has blocks for n cells.
func newCrashing(t *testing.T, n int) *crashing {
	t.Helper()
	server := cqltest.Start(t)
	db := on(t, server)
	program, _ := buildCrashing(t)
	c := &crashing{t: t, program: program, db: db, session: server.Session(t)}
	kubos := []*ipfs{startKubo(t), startKubo(t)}
	for _, k := range kubos {
		c.fresh = k.addBlocks(t, t.Name(), n)
	}
	group := newGroup(t, db, kubos, map[string]string{"CLUSTER_DISABLEREPINNING": "true"})
	c.front, c.back = &crashPeer{group[0], newArms(group[0].dir)}, &crashPeer{group[1], newArms(group[1].dir)}
	for _, p := range []*crashPeer{c.front, c.back} {
		c.start(t, p)
	}
	c.meet(t)
	return c
}

// start starts a peer, which is not to be killed unless it is armed later.
func (c *crashing) start(t *testing.T, p *crashPeer, args ...string) {
	t.Helper()
	env := p.env()
	maps.Copy(env, c.vars)
	cmd := p.service(t, env, append([]string{"daemon"}, args...)...)
	cmd.Path = c.program
	p.launch(c.t, cmd)
}

// revive makes both peers run, which are not to be killed any more, and their
// Kubos go on.
func (c *crashing) revive(t *testing.T) {
	t.Helper()
	for _, p := range []*crashPeer{c.front, c.back} {
		p.arm(t, "", "")
		if err := p.kubo.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.daemon.Exited():
			c.start(t, p)
		default:
		}
	}
	c.meet(t)
}

func (c *crashing) group() []*member { return []*member{c.front.member, c.back.member} }

func (c *crashing) meet(t *testing.T) {
	t.Helper()
	waitMeet(t, c.group()...)
}

// next is a CID of its own.
func (c *crashing) next() string {
	cid := c.fresh[0]
	c.fresh = c.fresh[1:]
	c.used = append(c.used, cid)
	return cid
}

// inLine waits until every peer holds what the pinset says, of all that was ever
// pinned.
func (c *crashing) inLine(t *testing.T, what string) {
	t.Helper()
	eventually(t, startedAgain, what, func() error {
		return inLine(t, c.session, c.db, c.front.member, c.group(), c.used)
	})
}

// options are those of a pin.
func (c *crashing) options(t *testing.T, query url.Values) url.Values {
	t.Helper()
	if !query.Has("on") {
		return query
	}
	out := onto(c.back.id(t))
	if query.Has("mode") {
		out.Set("mode", query.Get("mode"))
	}
	return out
}

// forgetFailed lets the cells to come pass over a CID with which one has failed.
func (c *crashing) forgetFailed(t *testing.T, cid string) {
	if t.Failed() {
		c.used = slices.DeleteFunc(c.used, func(other string) bool { return other == cid })
	}
}

// revision is that of a CID in the table of pins, zero when there is no row.
func (c *crashing) revision(t *testing.T, cid string) gocql.UUID {
	t.Helper()
	key, err := api.DecodeCid(cid)
	if err != nil {
		t.Fatal(err)
	}
	var rev gocql.UUID
	err = c.session.Query("SELECT rev FROM "+c.db.keyspace+".pins WHERE cid = ?", key.Bytes()).Consistency(gocql.Quorum).Scan(&rev)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		t.Fatal(err)
	}
	return rev
}

// run tests one cell.
func (c *crashing) run(t *testing.T, cell crashCell) {
	t.Helper()
	cid := c.next()
	defer c.forgetFailed(t, cid)
	if cell.op.prepare != nil {
		c.front.mustPin(t, cid, c.options(t, cell.op.prepare))
		c.inLine(t, "prepared")
	}
	rev := c.revision(t, cid)
	var beside func()
	if cell.hang {
		beside = c.beside(t, cell.op)
	}

	wanted := map[*crashPeer]string{}
	if cell.front+cell.either != "" {
		wanted[c.front] = cell.front + cell.either
	}
	if cell.back+cell.either != "" {
		wanted[c.back] = cell.back + cell.either
	}
	for p, point := range wanted {
		p.arm(t, point, cid)
	}
	if cell.hang {
		if err := c.back.kubo.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		beside()
	}
	options := c.options(t, cell.op.pin)
	if cell.op.anew {
		c.back.stop(t)
		if err := c.front.unpin(cid); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if cell.op.pin == nil {
		err = c.front.unpin(cid)
	} else {
		// By its path: upstream takes a pin that is asked for by its CID for a recursive one.
		err = c.front.pin("ipfs/"+cid, options)
	}
	if cell.op.anew {
		c.start(t, c.back)
	}
	var answer *refusal
	switch {
	case cell.front != "" && (err == nil || errors.As(err, &answer)):
		t.Errorf("the client has an answer of a peer that was to be killed before: %v", err)
	case cell.front == "" && cell.either == "" && err != nil:
		t.Error(err)
	}
	c.killed(t, wanted, cell.either != "", cid, 1)
	if cell.twice {
		c.start(t, c.back)
		c.killed(t, wanted, false, cid, 2)
	}
	c.revive(t)
	c.checkWritten(t, cell, cid, rev)
	c.inLine(t, "all is in line")
}

// beside prepares an operation with another CID, the opposite of the given one,
// and returns a function that asks for it.
func (c *crashing) beside(t *testing.T, op operation) func() {
	t.Helper()
	cid := c.next()
	if op.pin == nil {
		return func() { c.front.mustPin(t, cid, c.options(t, onBack)) }
	}
	c.front.mustPin(t, cid, c.options(t, onBack))
	c.inLine(t, "prepared beside")
	return func() {
		if err := c.front.unpin(cid); err != nil {
			t.Error(err)
		}
	}
}

// killed waits until peers were killed at their points, that often by now: all
// of them, or any.
func (c *crashing) killed(t *testing.T, wanted map[*crashPeer]string, anyOne bool, cid string, times int) {
	t.Helper()
	var dead []*crashPeer
	eventually(t, struck, "processes are killed", func() error {
		dead = nil
		for p := range wanted {
			select {
			case <-p.daemon.Exited():
				dead = append(dead, p)
			default:
			}
		}
		if len(dead) == len(wanted) || anyOne && len(dead) > 0 {
			return nil
		}
		return fmt.Errorf("%d of %d have ended", len(dead), len(wanted))
	})
	for _, p := range dead {
		if p.crashed(t, wanted[p], cid) != times {
			t.Errorf("a process has ended elsewhere than at %q: %v", wanted[p], p.daemon.Wait())
		}
	}
}

// checkWritten waits until the pinset shows what must have become of the write
// of a cell, for good.
func (c *crashing) checkWritten(t *testing.T, cell crashCell, cid string, old gocql.UUID) {
	t.Helper()
	eventually(t, startedAgain, "the pinset shows what became of the write", func() error {
		pins, err := c.front.pins()
		if err != nil {
			return err
		}
		pin, there := pins[cid]
		rev := c.revision(t, cid)
		want := (cell.op.pin == nil) != (cell.want == done) && !cell.op.expires
		switch {
		case there != want:
			return fmt.Errorf("the pin is there: %v, want %v", there, want)
		case (rev == old) != (cell.want == notWritten):
			return fmt.Errorf("the revision was %s and is %s", old, rev)
		case cell.either != "" && want && len(pin.Allocations) != 1:
			return fmt.Errorf("it is allocated to %v, want one peer", pin.Allocations)
		}
		return nil
	})
}

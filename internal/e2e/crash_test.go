package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
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

// outcome of a cell, as the pinset has to show it.
type written int

const (
	// notWritten: there is no trace of the write in the table of pins.
	notWritten written = iota
	// fenced: the write has no effect, and will have none.
	fenced
	// done: the write has its effect.
	done
)

// operation is what a client asks for.
type operation struct {
	name string
	// prepare are the options of a pin that is there before, nil for none.
	prepare url.Values
	// query are the options of the pin that is asked for, nil for an unpin.
	query func(c *crashing) url.Values
	// onBack says that the pin that is prepared or asked for is for the back
	// peer.
	onBack bool
}

var (
	opPin = operation{name: "pin", onBack: true, query: func(c *crashing) url.Values { return url.Values{} }}
	// opPinAll has a row in every table.
	opPinAll = operation{name: "pin everywhere, with an expiry", query: func(*crashing) url.Values {
		query := factors(-1, -1)
		query.Set("expire-in", "24h")
		return query
	}}
	opUnpin    = operation{name: "unpin", onBack: true, prepare: url.Values{}}
	opUnpinAll = operation{name: "unpin everywhere", prepare: factors(-1, -1)}
	// opShrink takes a pin from one of two peers: which one is not known.
	opShrink = operation{name: "pin on one instead of two", prepare: factors(2, 2), query: func(*crashing) url.Values { return factors(1, 1) }}
	opExpire = operation{name: "pin for seconds", query: func(*crashing) url.Values {
		query := factors(-1, -1)
		query.Set("expire-in", "8s")
		return query
	}}
)

// crashCell is one cell of the matrix.
type crashCell struct {
	// front and back are the points at which the peers are killed, either the
	// one for whichever of them comes by first.
	front, back, either string
	op                  operation
	want                written
	// hang stops the Kubo of the back peer until the crash, so that the work is
	// accepted and not done.
	hang bool
	// twice kills the back peer at the same point once more, after its restart.
	twice bool
	// short says that the cell is in the slice that every run tests.
	short bool
}

func (c crashCell) String() string {
	text := c.op.name
	for _, point := range []string{c.front, c.back, c.either} {
		if point != "" {
			text += "; " + point
		}
	}
	if c.twice {
		text += ", twice"
	}
	return text
}

// crashCells is the matrix, but for the loops.
func crashCells() []crashCell {
	var cells []crashCell
	for _, op := range []operation{opPin, opPinAll, opUnpin, opUnpinAll} {
		for _, w := range []struct {
			point string
			want  written
		}{{"write: begun", notWritten}, {"write: before its intents", notWritten}, {"write: after its intents", fenced}, {"write: after its CAS", done}} {
			cells = append(cells, crashCell{front: w.point, op: op, want: w.want})
		}
	}
	for _, point := range []string{
		"write: before its row of everywhere", "write: after its row of everywhere",
		"write: before its row of expiries", "write: after its row of expiries",
	} {
		cells = append(cells, crashCell{front: point, op: opPinAll, want: notWritten})
	}
	steps := func(op operation, either bool, points ...string) {
		for _, point := range points {
			cell := crashCell{back: point, op: op, want: done}
			if either {
				cell.back, cell.either = "", point
			}
			cells = append(cells, cell)
		}
	}
	unpins := []string{
		"change: read", "unpin: before the placement", "unpin: after the placement", "unpin: after Untrack", "unpin: before IPFS is asked",
		"unpin: after the answer of IPFS", "unpin: before the placement is dropped", "unpin: after the placement is dropped",
	}
	steps(opPin, false, "change: read", "pin: before the placement", "pin: after the placement", "pin: after Track", "pin: before IPFS is asked",
		"pin: after the answer of IPFS", "pin: before the status", "pin: after the status")
	steps(opUnpin, false, unpins...)
	steps(opShrink, true, unpins[1:]...)
	for _, op := range []operation{opPin, opUnpin} {
		for _, point := range []string{"fence: before", "fence: after"} {
			cells = append(cells, crashCell{front: "write: after its intents", back: point, op: op, want: fenced})
		}
		for _, point := range []string{"cursor: before it passes", "cursor: after it passed"} {
			cells = append(cells, crashCell{back: point, op: op, want: done, hang: true})
		}
	}
	for _, point := range []string{"pin: after the placement", "pin: before the status"} {
		cells = append(cells, crashCell{back: point, op: opPin, want: done, twice: true})
	}
	cells = append(cells, crashCell{back: "unpin: before the placement is dropped", op: opUnpin, want: done, twice: true})
	for _, point := range []string{"expiry: before", "expiry: after"} {
		cells = append(cells, crashCell{either: point, op: opExpire, want: notWritten})
	}
	for i := range cells {
		cells[i].short = slices.Contains(crashSlice, cells[i].String())
	}
	return cells
}

// crashSlice are the cells that every run tests: of each kind of step the one
// that most depends on the order of what is written.
var crashSlice = []string{
	"pin everywhere, with an expiry; write: after its row of everywhere",
	"pin everywhere, with an expiry; write: after its intents",
	"unpin; write: after its CAS",
	"pin; pin: after the placement",
	"pin; pin: before the status",
	"unpin; unpin: after Untrack",
	"unpin; cursor: after it passed",
	"pin; write: after its intents; fence: after",
}

// Processes are killed, one cell of the matrix after another, at a point of a
// write, of what a peer does with it, or of a loop. When they run again, nothing
// that was acknowledged is lost, nothing that was not written appears, and all
// peers hold what the pinset says, in Kubo as in the table placements.
func TestCrashMatrix(t *testing.T) {
	cells := crashCells()
	loops := []string{"repin: after", "repin: before", "hand-over: before", "hand-over: after"}
	if os.Getenv("TEST_LONG") != "1" {
		all := len(cells) + len(loops)
		cells = slices.DeleteFunc(cells, func(c crashCell) bool { return !c.short })
		loops = loops[:1]
		t.Logf("A SLICE ONLY: %d of %d cells. TEST_LONG=1 tests the whole.", len(cells)+len(loops), all)
		if len(cells) != len(crashSlice) {
			t.Fatalf("%d cells of the slice are in the matrix, want %d", len(cells), len(crashSlice))
		}
	}
	c := newCrashing(t, len(cells)+2*len(loops))
	for _, cell := range cells {
		begin := time.Now()
		c.run(t, cell)
		t.Logf("%s: %s", cell, time.Since(begin).Round(100*time.Millisecond))
	}
	c.checkSideTables(t)

	// From here on the peers give the pins of others away.
	c.vars = map[string]string{"CLUSTER_DISABLEREPINNING": "false"}
	for _, p := range []*crashPeer{c.front, c.back} {
		p.stop(t)
		c.start(t, p)
	}
	c.meet(t)
	for _, point := range loops {
		begin := time.Now()
		if point[:5] == "repin" {
			c.repin(t, point)
		} else {
			c.handOver(t, point)
		}
		t.Logf("%s: %s", point, time.Since(begin).Round(100*time.Millisecond))
	}
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
	c := &crashing{program: buildCrashing(t), db: db, session: server.Session(t)}
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
	p.launch(t, cmd)
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

// toBack are options of a pin on the back peer.
func (c *crashing) toBack(t *testing.T) url.Values { return onto(c.back.id(t)) }

// inLine waits until every peer holds what the pinset says, of all that was ever
// pinned.
func (c *crashing) inLine(t *testing.T, what string) {
	t.Helper()
	eventually(t, startedAgain, what, func() error {
		return inLine(t, c.session, c.db, c.front.member, c.group(), c.used)
	})
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
	prepare, query := cell.op.prepare, url.Values(nil)
	if cell.op.query != nil {
		query = cell.op.query(c)
	}
	if cell.op.onBack && prepare != nil {
		prepare = c.toBack(t)
	}
	if cell.op.onBack && query != nil {
		query = c.toBack(t)
	}
	if prepare != nil {
		c.front.mustPin(t, cid, prepare)
		c.inLine(t, cell.String()+": prepared")
	}
	rev := c.revision(t, cid)

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
		c.signalKubo(t, syscall.SIGSTOP)
	}
	var err error
	if query == nil {
		err = c.front.unpin(cid)
	} else {
		err = c.front.pin(cid, query)
	}
	var answer *refusal
	switch {
	case cell.front != "" && (err == nil || errors.As(err, &answer)):
		t.Errorf("%s: the client has an answer of a peer that was to be killed before: %v", cell, err)
	case cell.front == "" && cell.either == "" && err != nil:
		t.Errorf("%s: %v", cell, err)
	}
	dead := c.killed(t, cell, cid, wanted)
	if cell.hang {
		c.signalKubo(t, syscall.SIGCONT)
	}
	if cell.twice {
		c.start(t, c.back)
		dead = c.killed(t, cell, cid, map[*crashPeer]string{c.back: cell.back})
	}
	for p := range wanted {
		p.arm(t, "", "")
	}
	for _, p := range dead {
		c.start(t, p)
	}
	c.meet(t)
	c.checkWritten(t, cell, cid, rev)
	c.inLine(t, cell.String())
}

func (c *crashing) signalKubo(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := c.back.kubo.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// killed waits until the peers were killed at their points, one of them if either
// may be it, and returns those that were.
func (c *crashing) killed(t *testing.T, cell crashCell, cid string, wanted map[*crashPeer]string) []*crashPeer {
	t.Helper()
	var dead []*crashPeer
	eventually(t, struck, cell.String()+": the process is killed", func() error {
		dead = nil
		for p := range wanted {
			select {
			case <-p.daemon.Exited():
				dead = append(dead, p)
			default:
			}
		}
		if len(dead) == len(wanted) || cell.either != "" && len(dead) > 0 {
			return nil
		}
		return fmt.Errorf("%d of %d processes have ended", len(dead), len(wanted))
	})
	for _, p := range dead {
		if p.crashed(t, wanted[p], cid) == 0 {
			t.Errorf("%s: a process has ended elsewhere than at %q: %v", cell, wanted[p], p.daemon.Wait())
		}
	}
	return dead
}

// checkWritten waits until the pinset shows what must have become of the write
// of a cell, for good.
func (c *crashing) checkWritten(t *testing.T, cell crashCell, cid string, old gocql.UUID) {
	t.Helper()
	eventually(t, startedAgain, cell.String()+": the pinset shows what became of the write", func() error {
		pins, err := c.front.pins()
		if err != nil {
			return err
		}
		pin, there := pins[cid]
		rev := c.revision(t, cid)
		unpin := cell.op.query == nil
		want := unpin != (cell.want == done)
		if cell.op.name == opExpire.name {
			want = false
			old = gocql.UUID{1} // it was written and removed
		}
		switch {
		case there != want:
			return fmt.Errorf("the pin is there: %v, want %v", there, want)
		case (rev == old) != (cell.want == notWritten) && cell.op.name != opExpire.name:
			return fmt.Errorf("the revision was %s and is %s", old, rev)
		case cell.op.name == opShrink.name && len(pin.Allocations) != 1:
			return fmt.Errorf("it is allocated to %v, want one peer", pin.Allocations)
		}
		return nil
	})
}

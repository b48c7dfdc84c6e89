package multipeer

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scale"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// mostStatements is the promise: all that a pin of two copies costs the database, from
// the request until both copies are noted with their sizes.
const mostStatements = 9

// eventsPerPin is how many more it costs with events: one that the pin is written, and
// one that it is made for each of two copies.
const eventsPerPin = 3

// looksAtRest is how often a peer looks at its own feed in a second when nothing wakes it.
const looksAtRest = 4

// TestStatementsPerPin counts what all peers together ask of the database for a pin
// that is acknowledged and made. A batch counts as what is in it. What depends on the
// time and not on the pins is shown apart: of the looks at feeds as many as there are
// at rest, as a peer that writes to its own feed looks at it more often.
func TestStatementsPerPin(t *testing.T) {
	// ahead is how many pins may be asked for and not made. With more of them, on a
	// busy machine, some take longer than the tracker waits before it writes a row
	// more.
	ahead, pins := 16, 400
	if long(t, "400 pins, not 20,000, and 16 at the same time, not 64") {
		ahead, pins = 64, 20_000
	}
	w, nodes := worldOfFour(t, false)
	checkCost(t, w.costOfPins(nodes, 2, pins, ahead), pins, 0)
}

// TestStatementsPerPinWithEvents is TestStatementsPerPin in a keyspace with events.
func TestStatementsPerPinWithEvents(t *testing.T) {
	const pins, ahead = 400, 16
	w, nodes := worldOfFour(t, true)
	checkCost(t, w.costOfPins(nodes, 2, pins, ahead), pins, eventsPerPin)
	rows := 0
	iter := w.sql.Query("SELECT feed FROM " + w.conf.Keyspace + ".changes").Iter()
	for feed := ""; iter.Scan(&feed); {
		if strings.HasPrefix(feed, "events/") {
			rows++
		}
	}
	must(t, iter.Close())
	// That a peer has come, and the first pins, which all hold. A write that was fenced,
	// or a row that was appended again, has more.
	if least := pins*eventsPerPin + len(nodes)*(1+1+len(nodes)); rows < least || rows > least+pins/4 {
		t.Errorf("%d rows of events, want %d", rows, least)
	}
}

// checkCost checks the statements of so many pins, with so many more for each.
func checkCost(t *testing.T, work, pins, more int) {
	t.Helper()
	if most := (mostStatements + more) * pins; work > most {
		t.Errorf("%d statements for %d pins, want at most %d", work, pins, most)
	}
	if least := (7 + more) * pins; work < least {
		t.Errorf("only %d statements for %d pins: this test does not see them", work, pins)
	}
}

// TestStatementsByCopies measures what each copy of a pin costs the database, which
// docs/scale.md reckons with.
func TestStatementsByCopies(t *testing.T) {
	longOnly(t, "it measures 6,000 pins; TestStatementsPerPin has two copies of fewer")
	const pins, ahead = 3000, 16
	w, nodes := worldOfFour(t, false)
	for copies := 1; copies <= 2; copies++ {
		got, want := float64(w.costOfPins(nodes, copies, pins, ahead))/pins, scale.PerPin+scale.PerHolder*float64(copies)
		if t.Logf("%d copies: %.2f statements a pin, reckoned with %.2f", copies, got, want); math.Abs(got-want) > want/10 {
			t.Errorf("%d copies: %.2f statements a pin, but docs/scale.md reckons with %.2f", copies, got, want)
		}
	}
}

// worldOfFour is one of four peers that have pinned before, with events or without.
func worldOfFour(t *testing.T, events bool) (*world, []*node) {
	w := newWorld(t)
	if events {
		w.startEvents()
	}
	w.ping = 3 * time.Second
	w.size = func(context.Context, api.Cid) (int64, error) { return 1234, nil }
	nodes := w.newNodes(4)
	for _, n := range nodes {
		w.fillBuckets(n)
	}
	w.start(nodes...)
	w.startedUp()
	for i, n := range nodes { // nobody has to find out any more whether a feed is open
		w.allocate(n, fmt.Sprintf("first %d", i), 4, 4, nodes...)
	}
	w.converge()
	return w, nodes
}

// costOfPins makes pins with so many copies, ahead of them at the same time, and
// returns how many statements that took.
func (w *world) costOfPins(nodes []*node, copies, pins, ahead int) (work int) {
	t := w.t
	t.Helper()
	w.asked()
	before := w.noted()
	began := time.Now()
	var g errgroup.Group
	for i := range pins {
		eventually(t, "earlier pins to be made", func() string {
			if waiting := i - w.sent("UPDATE placements")/copies; waiting > ahead {
				return fmt.Sprintf("%d are not", waiting)
			}
			return ""
		})
		c, by := cidOf(t, fmt.Sprintf("pin %d of %d", i, copies)), nodes[i%len(nodes)]
		g.Go(func() error {
			_, err := by.cluster.Pin(t.Context(), c, factors(copies, copies))
			return err
		})
	}
	must(t, g.Wait())
	eventually(t, "all copies to be noted", func() string {
		if written := w.sent("UPDATE placements"); written < copies*pins { // the table is long
			return fmt.Sprintf("%d of %d are", written, copies*pins)
		}
		if noted, want := w.noted(), before+copies*pins; noted != want {
			return fmt.Sprintf("%d of %d are", noted, want)
		}
		return ""
	})
	took := time.Since(began)
	by := w.asked()
	t.Logf("%d pins made in %s", pins, took.Round(time.Millisecond))

	beside := 0
	for _, text := range slices.SortedFunc(maps.Keys(by), func(a, b string) int { return by[b].statements() - by[a].statements() }) {
		u, kind := by[text], "a pin"
		atRest := 0
		switch {
		case strings.Contains(text, "FROM changes WHERE feed = ?"):
			kind = "both"
			atRest = min(u.statements(), int(took.Seconds()*looksAtRest)*len(nodes))
		case isPeriodic(text):
			kind, atRest = "periodic", u.statements()
		}
		beside += atRest
		work += u.statements() - atRest
		t.Logf("%8.3f %-8s %7d in %7d requests %8d rows  %.100s", float64(u.statements())/float64(pins), kind, u.statements(), u.sent, u.rows, text)
	}
	t.Logf("%8.3f statements a pin, and %.3f periodic ones", float64(work)/float64(pins), float64(beside)/float64(pins))
	return work
}

// asked returns what the live peers have asked of the database since the last call.
func (w *world) asked() map[string]usage {
	w.t.Helper()
	sum := make(map[string]usage)
	for _, n := range w.live() {
		by, err := n.database.tally.take()
		must(w.t, err)
		for text, u := range by {
			sum[text] = sum[text].plus(u)
		}
	}
	return sum
}

// sent is how often the live peers have sent a statement with that part since asked
// was called.
func (w *world) sent(part string) int {
	n := 0
	for _, node := range w.live() {
		n += node.database.tally.sent(part)
	}
	return n
}

// fillBuckets notes all buckets of a node, as they are when it has held some ten
// thousand pins: each is noted once.
func (w *world) fillBuckets(n *node) {
	w.t.Helper()
	const together = 256
	for from := 0; from < state.Buckets; from += together {
		text := "BEGIN UNLOGGED BATCH "
		for b := from; b < from+together; b++ {
			text += fmt.Sprintf("INSERT INTO %s.buckets (holder, bucket) VALUES ('%s', %d); ", w.conf.Keyspace, n.id, b)
		}
		must(w.t, w.sql.Query(text+"APPLY BATCH").Exec())
	}
}

// noted is how many copies the table says are made, with their sizes.
func (w *world) noted() int {
	w.t.Helper()
	n := 0
	iter := w.sql.Query("SELECT status, size FROM " + w.conf.Keyspace + ".placements").Iter()
	var status int8
	var size int64
	for iter.Scan(&status, &size) {
		if state.PlacementStatus(status) == state.PlacementPinned && size > 0 {
			n++
		}
		status, size = 0, 0
	}
	must(w.t, iter.Close())
	return n
}

// TestBatchesAreCounted: a batch counts as the statements in it.
func TestBatchesAreCounted(t *testing.T) {
	c := &conversation{tally: newTally(), drop: func(string, []byte) bool { return false }, asked: make(map[uint16]string), texts: make(map[uint16]string)}
	for _, n := range []byte{3, 4} {
		c.request(&frame{head: [9]byte{4: opBatch}, body: []byte{1, 0, n}})
	}
	by, err := c.tally.take()
	must(t, err)
	if got := by[batchText]; got.sent != 2 || got.statements() != 7 {
		t.Errorf("two batches of 3 and 4 count as %+v", got)
	}
}

package multipeer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/test"
	"golang.org/x/sync/errgroup"
)

// loadMany writes so many pins, each of which only the given nodes hold, as of a moment.
func (w *world) loadMany(what string, from, to int, on ...*node) (at time.Time) {
	w.t.Helper()
	began := time.Now()
	at = began.Add(-time.Hour)
	var g errgroup.Group
	g.SetLimit(64)
	for i := from; i < to; i++ {
		pin := w.allocated(fmt.Sprintf("%s %d", what, i), on...)
		g.Go(func() error { return w.load(pin, at) })
	}
	must(w.t, g.Wait())
	w.t.Logf("wrote %d pins in %s", to-from, time.Since(began).Round(time.Millisecond))
	return at
}

// addDead writes the rows of so many peers that sent no heartbeat for long.
func (w *world) addDead(n int) {
	w.t.Helper()
	for i := range n {
		must(w.t, w.sql.Query("UPDATE "+w.conf.Keyspace+".peers SET name = ?, role = 'full', addresses = ?, incarnation = ?, instance = 'elsewhere' WHERE cluster = 'ipfs-cluster' AND peer = ?",
			fmt.Sprintf("dead%d", i), []string{"/ip4/127.0.0.1/tcp/1"},
			gocql.MustRandomUUID(), stranger(w.t).id.String()).Exec())
	}
}

// The statements by which a peer looks through its own placements: for work that
// was left undone, and to compare them with IPFS. Each look begins with the buckets
// in use, its own and those of everywhere.
var (
	readBuckets    = []string{"SELECT bucket FROM buckets WHERE holder = ?"}
	readPlacements = []string{"cid, rev,", "FROM placements WHERE peer = ? AND bucket "}
)

// periodic are the statements that a peer sends again and again beside its work:
// how often by then, only the time tells.
var periodic = [][]string{
	{"FROM changes WHERE"}, {"FROM peers WHERE cluster = ?"}, {"UPDATE peers"}, {"FROM beats WHERE"}, {"UPDATE beats"}, {"FROM expiries WHERE"}, {"FROM cursors WHERE"}, {"UPDATE cursors SET position = ? WHERE"}, {"UPDATE cursors USING TIMESTAMP"},
	readBuckets,
}

func isPeriodic(text string) bool {
	for _, parts := range periodic {
		if containsAll(text, parts) {
			return true
		}
	}
	return false
}

// TestJoinCost: what a peer asks of the database from its first question to the
// first pin that it accepts does not depend on how many pins there are, nor on
// how many peers are dead.
func TestJoinCost(t *testing.T) {
	sizes := []int{0, 10_000}
	if long(t, "10,000 pins, not 1,000,000") {
		sizes = append(sizes, 1_000_000)
	}
	var first map[string]usage
	w := newWorld(t)
	w.ping = 30 * time.Second // so that little but the join goes on
	w.joinCost("the first peer of all, which marks the pinset as in use")
	loaded := 0
	for round := range 2 {
		dead := 0
		if round == 1 {
			dead = 50
			w.addDead(dead)
			sizes = sizes[len(sizes)-1:]
		}
		for _, size := range sizes {
			if size > loaded {
				w.loadMany("pin", loaded, size, stranger(t))
				loaded = size
			}
			got := w.joinCost(fmt.Sprintf("%d pins, %d dead peers", size, dead))
			if first == nil {
				first = got
			}
			compareUsage(t, size, dead, first, got)
		}
	}
}

// joinCost starts a peer, pins, ends it, and returns what it asked of the
// database by then.
func (w *world) joinCost(what string) map[string]usage {
	w.t.Helper()
	n := w.newNodes(1)[0]
	began := time.Now()
	must(w.t, n.start(false))
	ready := time.Since(began)
	// It is for another peer, so that this one does not begin to work on it.
	w.allocate(n, "the first of "+n.name, 1, 1, stranger(w.t))
	by, err := n.database.tally.take()
	must(w.t, err)
	n.stop()
	w.t.Logf("%s: ready after %s, the first pin after %s", what, ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	for text, u := range by {
		if strings.Contains(text, "token(") {
			w.t.Errorf("%s: it walked over the pinset: %q, %d times", what, text, u.sent)
		}
		if containsAll(text, readPlacements) || strings.Contains(text, "FROM everywhere") {
			w.t.Errorf("%s: it looked where nothing is: %q, %d times", what, text, u.sent)
		}
	}
	return by
}

// compareUsage compares what was asked but for what is asked again and again,
// where it is only checked that no more came back than there are peers.
func compareUsage(t *testing.T, size, dead int, want, got map[string]usage) {
	t.Helper()
	for text, u := range got {
		switch {
		case isPeriodic(text):
			if u.rows > u.sent*(1+dead+5) {
				t.Errorf("%d pins, %d dead peers: %q was sent %d times and returned %d rows", size, dead, text, u.sent, u.rows)
			}
		case u.sent != want[text].sent:
			t.Errorf("%d pins, %d dead peers: %q was sent %d times, else %d times", size, dead, text, u.sent, want[text].sent)
		}
	}
	for text := range want {
		if _, ok := got[text]; !ok && !isPeriodic(text) {
			t.Errorf("%d pins, %d dead peers: %q was not sent", size, dead, text)
		}
	}
}

// stranger is a peer that does not run.
func stranger(t *testing.T) *node {
	t.Helper()
	id, err := test.RandPeerID()
	must(t, err)
	return &node{id: id}
}

// TestOwnLoopsAreBounded: what a peer reads depends on what it holds, not on the
// pinset: at the start, when it looks for what was left undone, and when a user lets it
// compare what it holds with IPFS. The other
// loops go on meanwhile, and read nothing that depends on the pins.
//
// The scrub is left out: it reads the whole pinset once a day, by design. So is the
// comparison of everything with IPFS over a day, which is one more look.
func TestOwnLoopsAreBounded(t *testing.T) {
	const own, looks = 1000, 2
	size := 10_000
	if long(t, "10,000 pins, not 1,000,000") {
		size = 1_000_000
	}
	w := newWorld(t)
	n := w.newNodes(1)[0]
	w.recover = 2 * time.Second
	w.loadMany("of others", 0, size-own, stranger(t))
	at := w.loadMany("own", 0, own, n)
	used := make(map[int]bool)
	for i := range own {
		c := cidOf(t, fmt.Sprintf("own %d", i))
		used[bucketOf(c)] = true
		must(t, w.loadPlacement(n, c, at))
		n.kubo.put(c)
	}

	// It has read its feed up to now: else it would compare what it holds with the pinset.
	must(t, w.sql.Query("UPDATE "+w.conf.Keyspace+".cursors SET position = ?, incarnation = uuid() WHERE feed = ? AND consumer = ?",
		time.Now(), n.id.String(), n.id.String()).Exec())

	must(t, n.start(false))
	w.startedUp()
	out := make(chan api.GlobalPinInfo, own)
	must(t, n.cluster.RecoverAll(t.Context(), out))
	for info := range out {
		t.Errorf("%s was to be recovered", info.Cid)
	}
	w.lookForWork()
	by, err := n.database.tally.take()
	must(t, err)
	n.stop()
	read, rows, other := 0, 0, 0
	for text, u := range by {
		rows += u.rows
		switch {
		case containsAll(text, readPlacements):
			read += u.sent
		case strings.Contains(text, "token("):
			t.Errorf("it walked over the pinset: %q, %d times", text, u.sent)
		case strings.Contains(text, "FROM pins"):
			if u.rows > 0 {
				t.Errorf("%d pins were read that are at their end, by %q", u.rows, text)
			}
		case !containsAll(text, readBuckets):
			// Not more than one row each: there is one peer, nothing changes
			// and nothing runs out.
			other += u.sent
		}
		if u.rows > 0 {
			t.Logf("%6d rows by %6d of %q", u.rows, u.sent, text)
		}
	}
	// A peer with few pins reads many buckets at once, and no pin that is at its end.
	if most := looks * len(used) / 10; read < looks || read > most {
		t.Errorf("placements were read %d times, want at most %d: %d looks at the %d buckets in use", read, most, looks, len(used))
	}
	// Each look reads the buckets in use and the placements. On a busy machine some of
	// that is asked twice, some hundred rows at a time.
	bound := (own+len(used))*(looks+1) + other
	if rows > bound {
		t.Errorf("%d rows were read for %d own pins, want at most %d", rows, own, bound)
	}
	if least := own * looks; rows < least {
		t.Errorf("only %d rows were read, where the loops read %d: this test does not see them", rows, least)
	}
	if held := n.kubo.held(); len(held) != own {
		t.Errorf("IPFS holds %d pins, want %d", len(held), own)
	}
}

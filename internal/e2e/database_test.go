package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

const (
	// listedPins are in the pinset from the beginning to the end.
	listedPins = 364
	// startLimit is how long a peer may take until it answers, listLimit how long
	// a listing may, while a node of the database does not answer.
	startLimit = 10 * time.Second
	listLimit  = 15 * time.Second
)

// What the log says of an outage: see internal/scylla.
var (
	outageBegins = regexp.MustCompile(`the database does not serve requests: .*`)
	outageLasts  = regexp.MustCompile(`the database has not served \d+ requests .*`)
	outageEnds   = regexp.MustCompile(`the database serves requests again; .*`)
)

// threeNodes is a peer on a database of three nodes that all hold every row.
type threeNodes struct {
	own   *cqltest.Own
	db    database
	kubo  *ipfs
	peer  *peer
	fixed []string // CIDs that stay in the pinset
	load  []string // CIDs for loads
}

// TestDatabaseNode is about a peer whose database loses a node, or two of three,
// as its clients see it.
func TestDatabaseNode(t *testing.T) {
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): it starts three nodes and judges times; scyllastate.TestHangingReplica has single requests")
	}
	c := startThreeNodes(t)
	t.Run("one is frozen", func(t *testing.T) {
		c.oneNode(t, 1,
			func(i int) error { return c.own.Cluster().Freeze(i) },
			func(i int) error { return c.own.Cluster().Resume(i) })
	})
	t.Run("one is killed", func(t *testing.T) {
		c.oneNode(t, 2,
			func(i int) error { c.own.Cluster().Kill(i); return nil },
			func(i int) error { return c.own.Cluster().Restart(t.Context(), i) })
	})
	if lines := c.peer.outageLines(t); len(lines) > 0 {
		t.Errorf("one node of three is no outage, and the log says %q", lines)
	}
	t.Run("two are frozen", c.noQuorum)
	c.peer.checkDatabaseLog(t)
	c.peer.stop(t)
}

func startThreeNodes(t *testing.T) *threeNodes {
	t.Helper()
	own := cqltest.StartOwn(t, engine.Options{Nodes: 3})
	c := &threeNodes{own: own, db: database{own.Hosts(), own.Port(), "nodes"}, kubo: startKubo(t)}
	c.peer = newPeer(t, c.db, c.kubo, nil)
	c.peer.start(t)
	c.peer.waitReady(t)
	c.fixed = c.kubo.addBlocks(t, "fixed", listedPins)
	c.load = c.kubo.addBlocks(t, "load", 1000)
	for _, cid := range c.fixed {
		if err := c.peer.pin(cid, nil); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// oneNode breaks node i and brings it back, under load.
func (c *threeNodes) oneNode(t *testing.T, i int, broken, back func(i int) error) {
	c.waitAllServe(t)
	second := newPeer(t, c.db, nil, nil)
	load := newSteady(t, &c.peer.rest, c.load)
	phases := []*phase{load.lasts("before", usualP99, 10*time.Second)}

	first := load.enter("the first ten seconds", 5*time.Second)
	tenSeconds := time.After(10 * time.Second)
	if err := broken(i); err != nil {
		t.Fatal(err)
	}
	listed := make(chan error, 1)
	go func() { listed <- c.lists("a listing from the very beginning", t.Logf) }()
	c.startsSecond(t, second)
	<-tenSeconds
	phases = append(phases, first)

	later := load.enter("later", usualP99)
	tenSeconds = time.After(10 * time.Second)
	if err := <-listed; err != nil {
		t.Error(err)
	}
	if err := c.lists("a listing later", t.Logf); err != nil {
		t.Error(err)
	}
	c.ctlLists(t)
	<-tenSeconds
	second.stop(t)
	phases = append(phases, later)

	returns := load.enter("while it comes back", 5*time.Second)
	if err := back(i); err != nil {
		t.Fatal(err)
	}
	c.waitAllServe(t)
	phases = append(phases, returns, load.lasts("after", usualP99, 10*time.Second))
	load.end()
	for _, p := range phases {
		p.check(t)
	}
}

// startsSecond starts another peer of the pinset, and wants it to answer soon.
func (c *threeNodes) startsSecond(t *testing.T, second *peer) {
	t.Helper()
	began := time.Now()
	second.launch(t, second.service(t, nil, "daemon", "--role", "api"))
	eventually(t, readyTimeout, "another peer answers", func() error {
		second.daemon.running(t)
		return second.do(http.MethodGet, "/allocations/"+c.fixed[0], nil)
	})
	took := time.Since(began)
	t.Logf("another peer answers %s after its start", took.Round(time.Millisecond))
	if took > startLimit {
		t.Errorf("another peer takes %s to start, more than %s", took, startLimit)
	}
}

// lists wants a listing of the pinset to be complete, and in time.
func (c *threeNodes) lists(what string, logf func(string, ...any)) error {
	began := time.Now()
	pins, err := c.peer.allocations()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("%s fails after %s: %w", what, took.Round(time.Millisecond), err)
	}
	logf("%s: %d pins in %s", what, len(pins), took.Round(time.Millisecond))
	missing := 0
	for _, cid := range c.fixed {
		if !pins[cid] {
			missing++
		}
	}
	if missing > 0 {
		err = fmt.Errorf("%s lacks %d of %d pins", what, missing, len(c.fixed))
	}
	if took > listLimit {
		err = errors.Join(err, fmt.Errorf("%s takes %s, more than %s", what, took.Round(time.Millisecond), listLimit))
	}
	return err
}

// ctlLists is lists by ipfs-cluster-ctl.
func (c *threeNodes) ctlLists(t *testing.T) {
	t.Helper()
	got := c.peer.ctl(t, "pin", "ls")
	t.Logf("ipfs-cluster-ctl pin ls: %d lines in %s", strings.Count(got.stdout, "\n"), got.took.Round(time.Millisecond))
	missing := 0
	for _, cid := range c.fixed {
		if !strings.Contains(got.stdout, cid) {
			missing++
		}
	}
	if got.code != 0 || missing > 0 || got.took > listLimit {
		t.Errorf("ipfs-cluster-ctl pin ls: exit code %d, %d of %d pins are missing, took %s\n%s", got.code, missing, len(c.fixed), got.took, tail(got.stderr))
	}
}

// waitAllServe waits until each node of the database reaches all the others.
func (c *threeNodes) waitAllServe(t *testing.T) {
	t.Helper()
	c.db.waitAllServe(t)
}

// waitAllServe waits until each node reaches all the others.
func (db database) waitAllServe(t *testing.T) {
	t.Helper()
	for _, host := range db.hosts {
		eventually(t, 2*time.Minute, "node "+host+" reaches the others", func() error {
			session, err := engine.AdminConfig([]string{host}, db.port, false).CreateSession()
			if err != nil {
				return err
			}
			defer session.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return session.Query("SELECT name FROM " + db.keyspace + ".leases").WithContext(ctx).Consistency(gocql.All).Exec()
		})
	}
}

// outageLines are the lines of the log about outages of the database.
func (p *peer) outageLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(p.daemon.text(t)) {
		if outageBegins.MatchString(line) || outageLasts.MatchString(line) || outageEnds.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// checkDatabaseLog looks for what a log must not say of requests to the database.
func (p *peer) checkDatabaseLog(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(p.daemon.text(t)) {
		if strings.Contains(line, "%!") {
			t.Errorf("the log has a text that was not made right: %s", line)
		}
		if strings.Contains(line, "potentially executed") || strings.Contains(line, "may have been executed") && !strings.Contains(line, "writing the pin") {
			t.Errorf("the log says of a read that it may have been executed: %s", line)
		}
	}
}

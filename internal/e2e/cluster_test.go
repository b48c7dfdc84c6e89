package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// threeKubos is a cluster of three peers, each with a Kubo that is connected to
// the others, on one database.
type threeKubos struct {
	db      database
	session *gocql.Session
	group   []*member
	cids    []string // all that were ever pinned
}

// A cluster as its users have it, through what happens to one: content is added
// and removed, a peer is killed and comes back, another is taken out and comes
// back, a third loses all its files but two.
func TestThreeKubos(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := on(t, server)
	c := &threeKubos{db: db, session: server.Session(t), group: newGroup(t, db, startSwarm(t, 3), nil)}
	for _, p := range c.group {
		p.start(t)
	}
	waitMeet(t, c.group...)
	for _, p := range c.group {
		c.checkPeers(t, p, 3)
	}
	c.addAndRemove(t)
	c.killAndReturn(t)
	c.removeAndRejoin(t)
	c.loseFolder(t)
	for _, p := range c.group {
		p.stop(t)
	}
}

// checkPeers waits until a peer lists n peers that all see each other.
func (c *threeKubos) checkPeers(t *testing.T, p *member, n int) {
	t.Helper()
	eventually(t, noticed, fmt.Sprintf("peers ls shows %d peers", n), func() error {
		got := p.ctl(t, "peers", "ls")
		if seen := strings.Count(got.stdout, fmt.Sprintf("| Sees %d other peers", n-1)); got.code != 0 || seen != n {
			return fmt.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		return nil
	})
}

// add adds a file at one peer.
func (c *threeKubos) add(t *testing.T, at *member, text string, query url.Values) (cid string) {
	t.Helper()
	cid, err := at.add(strings.Repeat(text+" ", 1000), query)
	if err != nil {
		t.Fatal(err)
	}
	c.cids = append(c.cids, cid)
	return cid
}

// settle waits until the pinset as seen by one peer, the Kubos of the given peers
// and the table of what they hold say the same.
func (c *threeKubos) settle(t *testing.T, what string, group ...*member) {
	t.Helper()
	eventually(t, noticed, what, func() error {
		return inLine(t, c.session, c.db, group[0], group, c.cids)
	})
}

// holders returns who shall hold a CID.
func (c *threeKubos) holders(t *testing.T, through *member, cid string, all ...*member) []string {
	t.Helper()
	pins, err := through.pins()
	if err != nil {
		t.Fatal(err)
	}
	pin, ok := pins[cid]
	if !ok {
		t.Fatalf("%s is not in the pinset", cid)
	}
	return holders(pin, ids(t, all...))
}

// sees waits until the status of a CID is the same from every peer: pinned on
// exactly these.
func (c *threeKubos) sees(t *testing.T, cid string, on []string, from ...*member) {
	t.Helper()
	for _, p := range from {
		eventually(t, noticed, "status of "+cid, func() error { return p.pinnedBy(cid, on) })
	}
}

func (c *threeKubos) addAndRemove(t *testing.T) {
	two := c.add(t, c.group[0], "two", factors(2, 2))
	all := c.add(t, c.group[1], "all", factors(-1, -1))
	c.settle(t, "what was added is pinned", c.group...)
	if on := c.holders(t, c.group[1], two, c.group...); len(on) != 2 {
		t.Errorf("with the factor 2 a file is allocated to %v", on)
	} else {
		c.sees(t, two, on, c.group...)
	}
	c.sees(t, all, ids(t, c.group...), c.group...)

	want := c.group[0].kubo.size(t, all)
	eventually(t, time.Minute, "the sizes are in placements", func() error {
		rows, err := placements(c.session, c.db.keyspace)
		if err != nil {
			return err
		}
		for _, id := range ids(t, c.group...) {
			if got := rows[id][all].size; got != want {
				return fmt.Errorf("%s has the size %d at %s, want %d", all, got, id, want)
			}
		}
		return nil
	})

	for i, cid := range []string{two, all} {
		if err := c.group[2-i].unpin(cid); err != nil {
			t.Fatal(err)
		}
	}
	c.settle(t, "what was unpinned leaves every Kubo", c.group...)
	for _, p := range c.group {
		for _, kind := range []string{"recursive", "direct"} {
			if pins := p.kubo.pinnedAs(t, kind); pins[two] || pins[all] {
				t.Errorf("Kubo keeps a pin of type %s after an unpin: %v", kind, pins)
			}
		}
	}
}

// killAndReturn kills a peer: its pins move. Then it comes back, and what it
// holds too much leaves.
func (c *threeKubos) killAndReturn(t *testing.T) {
	victim, others := c.group[2], c.group[:2]
	var files []string
	for i := range 6 {
		files = append(files, c.add(t, c.group[i%3], fmt.Sprintf("moved %d", i), factors(2, 2)))
	}
	id := victim.id(t)
	files = append(files, c.add(t, c.group[0], "the only copy", onto(id)))
	c.settle(t, "the files are pinned", c.group...)
	if on := c.holders(t, victim, files[len(files)-1], c.group...); !slices.Equal(on, []string{id}) {
		t.Fatalf("a file for %s is allocated to %v", id, on)
	}
	victim.daemon.Kill()
	eventually(t, noticed, "the pins of a dead peer move", func() error {
		pins, err := others[0].pins()
		if err != nil {
			return err
		}
		for _, cid := range files {
			if on := holders(pins[cid], nil); slices.Contains(on, id) {
				return fmt.Errorf("%s is on %v", cid, on)
			}
		}
		return nil
	})
	c.settle(t, "the others have the pins of a dead peer", others...)
	for _, p := range others {
		c.checkPeers(t, p, 2)
	}

	victim.start(t)
	waitMeet(t, c.group...)
	c.settle(t, "what a peer lost while it was dead leaves it", c.group...)
	for cid := range victim.kubo.pinned(t) {
		if slices.Contains(files, cid) {
			t.Errorf("%s was given to others and is still in Kubo", cid)
		}
	}
	c.checkPeers(t, victim, 3)
}

// removeAndRejoin takes a live peer out of the cluster, which hands its pins
// over first, and brings it back.
func (c *threeKubos) removeAndRejoin(t *testing.T) {
	leaver, others := c.group[1], []*member{c.group[0], c.group[2]}
	id := leaver.id(t)
	file := c.add(t, others[1], "handed over", onto(id))
	c.settle(t, "everything is pinned before a peer leaves", c.group...)
	if on := c.holders(t, leaver, file, c.group...); !slices.Equal(on, []string{id}) {
		t.Fatalf("a file for %s is allocated to %v", id, on)
	}

	if got := others[0].ctl(t, "peers", "rm", id); got.code != 0 {
		t.Fatalf("peers rm: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	select {
	case <-leaver.daemon.Exited():
	case <-time.After(noticed):
		t.Fatalf("a peer that was taken out of the cluster runs on after %s", noticed)
	}
	if code := exitCode(t, leaver.daemon.Wait()); code != 0 {
		t.Errorf("a peer that was taken out of the cluster ends with exit code %d, want 0", code)
	}
	for _, text := range []string{"it has left the cluster", "peer no longer in peerset. Initiating shutdown"} {
		if !strings.Contains(leaver.daemon.text(t), text) {
			t.Errorf("the log of a peer that was taken out of the cluster does not say %q", text)
		}
	}
	pins, err := others[0].pins()
	if err != nil {
		t.Fatal(err)
	}
	for cid, pin := range pins {
		if slices.Contains(holders(pin, nil), id) {
			t.Errorf("%s is still allocated to the peer that has left", cid)
		}
	}
	c.settle(t, "the others have what was handed over", others...)
	for _, p := range others {
		c.checkPeers(t, p, 2)
	}

	checkRefused(t, run(t, leaver.service(t, nil, "daemon")), "peer "+id+" was removed from the cluster", "--bootstrap")
	everywhere := c.add(t, others[0], "while one was out", factors(-1, -1))
	leaver.startAs(t, service, "--bootstrap", others[0].address(t))
	waitMeet(t, c.group...)
	c.settle(t, "a peer that came back has what every peer holds", c.group...)
	c.sees(t, everywhere, ids(t, c.group...), c.group...)
	c.checkPeers(t, leaver, 3)
}

// loseFolder removes all files of a peer but its identity and its configuration.
func (c *threeKubos) loseFolder(t *testing.T) {
	p := c.group[0]
	kept := []string{"identity.json", "service.json"}
	before := c.add(t, p, "before the loss", factors(2, 3))
	c.settle(t, "everything is pinned before the loss", c.group...)
	p.stop(t)
	entries, err := os.ReadDir(p.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(kept, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	during := c.add(t, c.group[1], "during the loss", factors(-1, -1))
	if err := c.group[1].unpin(before); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	waitMeet(t, c.group...)
	c.add(t, p, "after the loss", factors(2, 2))
	c.settle(t, "a peer without its files is in line with the pinset", c.group...)
	c.sees(t, during, ids(t, c.group...), p)
}

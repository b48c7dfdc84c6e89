package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// newLocalPeer makes the folder of a peer that keeps the pinset itself, with
// stock or with ours.
func newLocalPeer(t *testing.T, name, consensus string, k *ipfs) *peer {
	t.Helper()
	return initPeer(t, name, k, nil, "--consensus", consensus)
}

// startAs starts the daemon of stock or of ours and waits until it is ready.
func (p *peer) startAs(t *testing.T, name string, flags ...string) {
	t.Helper()
	p.launch(t, p.as(t, name, append([]string{"daemon"}, flags...)...))
	p.waitReady(t)
}

// id is the peer ID.
func (p *peer) id(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var identity struct{ ID string }
	if err := json.Unmarshal(text, &identity); err != nil {
		t.Fatal(err)
	}
	return identity.ID
}

// address is what others join this peer with.
func (p *peer) address(t *testing.T) string {
	t.Helper()
	var id api.ID
	if err := p.do(http.MethodGet, "/id", func(value json.RawMessage) error { return json.Unmarshal(value, &id) }); err != nil {
		t.Fatal(err)
	}
	if len(id.Addresses) == 0 {
		t.Fatal("the peer listens nowhere")
	}
	return id.Addresses[0].String()
}

// has fails the test unless the pinset has exactly the given CIDs and all of
// them get pinned.
func (p *peer) has(t *testing.T, cids ...string) {
	t.Helper()
	eventually(t, time.Minute, "the pinset is "+strings.Join(cids, " "), func() error {
		pins, err := p.allocations()
		if err != nil {
			return err
		}
		if found := slices.Sorted(maps.Keys(pins)); !slices.Equal(found, slices.Sorted(slices.Values(cids))) {
			return fmt.Errorf("it is %v", found)
		}
		return p.allPinned()
	})
}

func (p *peer) mustPin(t *testing.T, cid string, query url.Values) {
	t.Helper()
	if err := p.pin(cid, query); err != nil {
		t.Fatal(err)
	}
}

// sameOutput runs a command of both and returns the lines of stdout in
// alphabetical order, which are the same.
func (p *peer) sameOutput(t *testing.T, args ...string) []string {
	t.Helper()
	sorted := func(name string) []string {
		return slices.Sorted(strings.Lines(mustRun(t, p.as(t, name, args...)).stdout))
	}
	theirs, ours := sorted(stock), sorted(service)
	if !slices.Equal(theirs, ours) {
		t.Errorf("%v of stock prints\n%s\nof ours\n%s", args, strings.Join(theirs, ""), strings.Join(ours, ""))
	}
	return ours
}

// A folder of stock is used by stock and by ours in turn, and each finds what
// the other has left.
func TestFoldersOfStock(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	for _, consensus := range []string{"crdt", "raft"} {
		t.Run(consensus, func(t *testing.T) {
			p := newLocalPeer(t, stock, consensus, k)
			cids := k.addBlocks(t, "TestFoldersOfStock "+consensus, 4)
			config := readConfigOf(t, p)

			p.startAs(t, stock)
			p.mustPin(t, cids[0], url.Values{"name": {"everywhere"}})
			p.mustPin(t, cids[1], url.Values{"replication": {"1"}, "meta-key": {"value"}, "expire-in": {"24h"}})
			p.mustPin(t, cids[2], nil)
			p.has(t, cids[:3]...)
			p.stop(t)
			if n := len(p.sameOutput(t, "state", "export")); n != 3 {
				t.Fatalf("the export has %d pins, want 3", n)
			}

			p.startAs(t, service)
			p.has(t, cids[:3]...)
			p.mustPin(t, cids[3], nil)
			if err := p.unpin(cids[0]); err != nil {
				t.Fatal(err)
			}
			p.has(t, cids[1:]...)
			p.stop(t)

			p.startAs(t, stock)
			p.has(t, cids[1:]...)
			p.stop(t)
			exported := p.sameOutput(t, "state", "export")
			if n := len(exported); n != 3 {
				t.Fatalf("the export has %d pins, want 3", n)
			}
			if consensus == "crdt" {
				checkCRDTCommands(t, p)
			}

			file := filepath.Join(p.dir, "pins.json")
			if err := os.WriteFile(file, []byte(strings.Join(exported, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{stock, service} {
				mustRun(t, p.as(t, name, "state", "cleanup", "--force"))
				if left := p.sameOutput(t, "state", "export"); len(left) > 0 {
					t.Errorf("%s state cleanup leaves\n%s", name, strings.Join(left, ""))
				}
				mustRun(t, p.as(t, name, "state", "import", "--force", file))
				if got := p.sameOutput(t, "state", "export"); !slices.Equal(got, exported) {
					t.Errorf("%s state import of\n%s\ngives\n%s", name, strings.Join(exported, ""), strings.Join(got, ""))
				}
			}

			if after := readConfigOf(t, p); after != config {
				t.Errorf("service.json was\n%s\nand is\n%s", config, after)
			}
			for _, name := range []string{stock, service} { // --leave is in no help
				p.startAs(t, name, "-x")
				p.has(t, cids[1:]...)
				p.stop(t)
				if log := p.daemon.text(t); !strings.Contains(log, "attempting to leave the cluster") {
					t.Errorf("%s daemon -x did not try to leave", name)
				}
				mustRun(t, p.as(t, stock, "state", "import", "--force", file)) // leaving may have removed the pins
			}
		})
	}
}

func readConfigOf(t *testing.T, p *peer) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "service.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkCRDTCommands compares the output of the commands that are for a crdt
// datastore. Ours sets the marks: stock ends without closing the datastore, and
// in pebble its marks are lost.
func checkCRDTCommands(t *testing.T, p *peer) {
	t.Helper()
	info := func(dirty string) {
		t.Helper()
		text := strings.Join(p.sameOutput(t, "state", "crdt", "info"), "")
		if !regexp.MustCompile(`Number of heads: 1\. Current max-height: 5\. Dirty: ` + dirty).MatchString(text) {
			t.Errorf("state crdt info prints %q, want one head of height 5, dirty %s", text, dirty)
		}
	}
	info("false")
	mustRun(t, p.as(t, service, "state", "crdt", "mark-dirty"))
	info("true")
	mustRun(t, p.as(t, service, "state", "crdt", "mark-clean"))
	info("false")
	dot := p.sameOutput(t, "state", "crdt", "dot")
	if nodes := strings.Count(strings.Join(dot, ""), "[label="); nodes != 5 {
		t.Errorf("state crdt dot has %d nodes, want 5:\n%s", nodes, strings.Join(dot, ""))
	}
}

// A peer of ours joins a cluster of stock, and a pin on one is pinned by both.
func TestOursJoinsStock(t *testing.T) {
	t.Parallel()
	k := startKubo(t)
	for _, consensus := range []string{"crdt", "raft"} {
		t.Run(consensus, func(t *testing.T) {
			theirs, ours := newLocalPeer(t, stock, consensus, k), newLocalPeer(t, service, consensus, k)
			theirs.startAs(t, stock)
			ours.startAs(t, service, "--bootstrap", theirs.address(t))
			checkTwoPeers(t, theirs, ours, k)
		})
	}
}

// A peer with a scylla state joins another by --bootstrap.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	kubos := []*ipfs{startKubo(t), startKubo(t)} // one that is shared has lost a pin that both made at once
	one, two := newPeer(t, db, kubos[0], nil), newPeer(t, db, kubos[1], nil)
	one.startAs(t, service)
	two.startAs(t, service, "-j", one.address(t))
	checkTwoPeers(t, one, two, kubos...)
}

// checkTwoPeers fails the test unless both peers see each other, and what is
// pinned through one is pinned by both, whose Kubos have the same blocks. It stops them.
func checkTwoPeers(t *testing.T, one, two *peer, kubos ...*ipfs) {
	t.Helper()
	ids := slices.Sorted(slices.Values([]string{one.id(t), two.id(t)}))
	for _, p := range []*peer{one, two} {
		eventually(t, time.Minute, "ipfs-cluster-ctl peers ls shows both peers", func() error {
			got := p.ctl(t, "peers", "ls")
			for _, id := range ids {
				if got.code != 0 || !regexp.MustCompile(`(?m)^`+id+` .*Sees 1 other peers`).MatchString(got.stdout) {
					return fmt.Errorf("%s is not there: exit code %d\n%s%s", id, got.code, got.stdout, got.stderr)
				}
			}
			return nil
		})
	}
	var cids []string
	for _, k := range kubos {
		cids = k.addBlocks(t, t.Name(), 2)
	}
	for i, p := range []*peer{one, two} {
		p.mustPin(t, cids[i], nil)
	}
	for _, p := range []*peer{two, one} {
		p.has(t, cids...)
		for _, cid := range cids {
			eventually(t, time.Minute, cid+" is pinned by both peers", func() error { return p.pinnedBy(cid, ids) })
		}
	}
	two.stop(t)
	one.stop(t)
}

// pinnedBy returns an error unless the status of a CID is pinned on exactly
// these peers.
func (r *rest) pinnedBy(cid string, ids []string) error {
	return r.do(http.MethodGet, "/pins/"+cid, func(value json.RawMessage) error {
		var info api.GlobalPinInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return err
		}
		var pinned []string
		for id, of := range info.PeerMap {
			if of.Status == api.TrackerStatusPinned {
				pinned = append(pinned, id)
			}
		}
		if slices.Sort(pinned); !slices.Equal(pinned, ids) {
			return fmt.Errorf("the peers say %s", value)
		}
		return nil
	})
}

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// The ports of a peer, as offsets: see initPeer.
const (
	restPort   = 0
	proxyPort  = 1
	swarmPort  = 2
	pinsvcPort = 3
)

// checkPorts fails the test unless exactly the given ones of the ports of a
// peer are open.
func (p *peer) checkPorts(t *testing.T, want ...int) {
	t.Helper()
	base, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	var first int
	if _, err := fmt.Sscan(base.Port(), &first); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int{restPort, proxyPort, swarmPort, pinsvcPort} {
		address := net.JoinHostPort(base.Hostname(), fmt.Sprint(first+offset))
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err == nil {
			err = conn.Close()
		}
		if open := err == nil; open != slices.Contains(want, offset) {
			t.Errorf("port %s (offset %d) is open: %v", address, offset, open)
		}
	}
}

// A peer of each role, the one for the API without a Kubo: it takes what its
// users want, and holds nothing. The worker is called by nobody.
func TestRoles(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := on(t, server)
	kubos := startSwarm(t, 2)
	group := newGroup(t, db, []*ipfs{kubos[0], nil, kubos[1]}, map[string]string{"CLUSTER_REPLICATIONFACTORMIN": "1", "CLUSTER_REPLICATIONFACTORMAX": "2"})
	full, front, worker := group[0], group[1], group[2]
	daemons := []*member{full, worker}
	full.start(t)
	front.launch(t, front.service(t, nil, "daemon", "--role", "api"))
	worker.launch(t, worker.service(t, map[string]string{"CLUSTER_ROLE": "worker"}, "daemon"))
	for _, p := range []*member{full, front} {
		p.waitReady(t)
		eventually(t, time.Minute, "the peer knows who can hold pins", func() error { return p.canAllocate(ids(t, daemons...)) })
	}
	eventually(t, time.Minute, "the worker is ready", func() error { return worker.daemon.logged(t, readyLine, 1) })
	full.checkPorts(t, restPort, proxyPort, swarmPort, pinsvcPort)
	front.checkPorts(t, restPort, swarmPort, pinsvcPort)
	worker.checkPorts(t, swarmPort)

	id := front.id(t)
	n := 0
	// try pins a new block through a peer, and waits until it is pinned by as many
	// as are wanted, of which the peer without a Kubo is none.
	try := func(through *member, query url.Values, copies int) {
		t.Helper()
		n++
		cid := kubos[n%2].addBlocks(t, fmt.Sprintf("%s %d", t.Name(), n), 1)[0]
		if err := through.pin(cid, query); err != nil {
			t.Error(err)
			return
		}
		checkHeld(t, through, cid, daemons, copies)
	}
	for _, through := range []*member{front, full} {
		try(through, nil, 2)
		try(through, factors(-1, -1), 2)
		try(through, factors(1, 1), 1)
		try(through, url.Values{"user-allocations": {id}, "replication-min": {"1"}, "replication-max": {"1"}}, 1)
		try(through, onto(id, full.id(t)), 2)
		try(through, onto(worker.id(t)), 1)
	}
	var answer *refusal
	err := front.pin(kubos[0].addBlocks(t, t.Name()+" too many", 1)[0], factors(3, 3))
	if !errors.As(err, &answer) || !strings.Contains(answer.text, "not enough peers to allocate") {
		t.Errorf("a pin on three peers of which two have a Kubo: %v", err)
	}

	added, err := front.add("added through a peer without a Kubo\n", factors(2, 2))
	if err != nil {
		t.Fatal(err)
	}
	checkHeld(t, front, added, daemons, 2)
	query := factors(1, 1)
	query.Set("local", "true")
	if cid, err := front.add("added to a peer without a Kubo\n", query); !errors.As(err, &answer) {
		t.Errorf("an add to a peer without a Kubo gives %q (%v), want an error", cid, err)
	}
	const hint = "has the role api and no IPFS daemon: add without local=true, or at another peer"
	if !strings.Contains(front.daemon.text(t), hint) {
		t.Errorf("the log of the peer without a Kubo does not say %q", hint)
	}
	if err := front.unpin(added); err != nil {
		t.Error(err)
	}
	eventually(t, time.Minute, "what is unpinned through a peer without a Kubo leaves the others", func() error {
		for _, p := range daemons {
			if p.kubo.pinned(t)[added] {
				return errors.New("it is still pinned")
			}
		}
		return nil
	})

	checkNothingAt(t, server, db, full, front)
	if got := full.ctl(t, "peers", "ls"); !strings.Contains(got.stdout, worker.id(t)) || !strings.Contains(got.stdout, id) {
		t.Errorf("peers ls does not show all roles:\n%s%s", got.stdout, got.stderr)
	}
	for _, p := range group {
		p.stop(t)
	}
}

// checkHeld waits until a pin is pinned on as many peers as it is to have copies,
// as its status through a peer says.
func checkHeld(t *testing.T, through *member, cid string, daemons []*member, copies int) {
	t.Helper()
	pins, err := through.pins()
	if err != nil {
		t.Fatal(err)
	}
	on := holders(pins[cid], ids(t, daemons...))
	for _, h := range on {
		if !slices.Contains(ids(t, daemons...), h) {
			t.Errorf("%s is allocated to %s, which has no Kubo", cid, h)
		}
	}
	if len(on) != copies {
		t.Errorf("%s is allocated to %v, want %d peers", cid, on, copies)
	}
	eventually(t, noticed, "the pin is pinned", func() error { return through.pinnedBy(cid, on) })
	for _, p := range daemons {
		if p.kubo.pinned(t)[cid] != slices.Contains(on, p.id(t)) {
			t.Errorf("%s is for %v, and in Kubo of %s it is pinned: %v", cid, on, p.id(t), p.kubo.pinned(t)[cid])
		}
	}
}

// checkNothingAt fails the test if a pin is allocated to a peer, or held by it
// as the table says.
func checkNothingAt(t *testing.T, server *cqltest.Server, db database, through, nobody *member) {
	t.Helper()
	id := nobody.id(t)
	pins, err := through.pins()
	if err != nil {
		t.Fatal(err)
	}
	if len(pins) < 10 {
		t.Errorf("%d pins, too few for a test", len(pins))
	}
	for cid, pin := range pins {
		if slices.Contains(api.PeersToStrings(pin.Allocations), id) {
			t.Errorf("%s is allocated to a peer without a Kubo", cid)
		}
	}
	rows, err := placements(server.Session(t), db.keyspace)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 || len(rows[id]) > 0 {
		t.Errorf("placements: %d peers, %d rows of the peer without a Kubo", len(rows), len(rows[id]))
	}
	if err := nobody.do(http.MethodGet, "/pins?local=true&filter=pinned,pin_queued,pinning,pin_error", nil); err != nil {
		t.Error(err)
	}
}

// A role that does not exist, or cannot be with the pinset of the peer, is
// refused.
func TestBadRole(t *testing.T) {
	t.Parallel()
	shared := newPeer(t, nobody(), nil, nil)
	local := newLocalPeer(t, service, "crdt", nil)
	for _, test := range []struct {
		name string
		p    *peer
		args []string
		env  map[string]string
		want []string
	}{
		{"no such role", shared, []string{"--role", "nonsense"}, nil, []string{"--role", `role "nonsense" is none of "full", "api" and "worker"`}},
		{"no such role in the environment", shared, nil, map[string]string{"CLUSTER_ROLE": "nonsense"}, []string{`role "nonsense"`}},
		{"api with crdt", local, []string{"--role", "api"}, nil, []string{"the role api needs a scylla state", "crdt"}},
		{"worker with crdt", local, nil, map[string]string{"CLUSTER_ROLE": "worker"}, []string{"the role worker needs a scylla state", "crdt"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkRefused(t, run(t, test.p.service(t, test.env, append([]string{"daemon"}, test.args...)...)), test.want...)
		})
	}
}

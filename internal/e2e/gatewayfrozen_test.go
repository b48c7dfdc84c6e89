package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// TestGatewayFrozen: the database and NATS stand still with all their connections, and go on;
// at length also the peer and Kubo, and all are cut off or started again. Meanwhile
// clients of the gateway get what they ask for, or an error in the form of their API with
// Retry-After, within a bounded time: never an empty answer. After, everything goes on
// without a restart of the gateway, what was acknowledged is there, and what was removed is
// not.
func TestGatewayFrozen(t *testing.T) {
	t.Parallel()
	natsDir, natsAt := t.TempDir(), net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	nats := startNATSAt(t, natsDir, natsAt)
	var own *cqltest.Own
	var server *cqltest.Server
	if longTests() {
		own = cqltest.StartOwn(t, engine.Options{})
		server = &own.Server
	} else {
		server = cqltest.Start(t)
		t.Log("A SLICE ONLY: NATS, and the way to the database, stand still. TEST_LONG=1 freezes, cuts off and starts again all that there is.")
	}
	between := newWay(t, server)
	s := newStandstill(t, server, between.port, "nats://"+natsAt)
	s.door.must(t, s.alice, "GET", "/cluster/peers", "", 403) // a denial that is on record
	s.serves(1)
	s.settles()

	s.signal(nats, syscall.SIGSTOP)
	s.serves(2)
	s.signal(nats, syscall.SIGCONT)
	s.isTold("acme-1")

	if own == nil {
		s.failsWithoutDatabase(between.freeze, between.mend)
		s.settles()
	} else {
		s.failsWithoutDatabase(func() { s.must(own.Cluster().Freeze(0)) }, func() { s.must(own.Cluster().Resume(0)) })
		s.settles()

		s.signal(nats, syscall.SIGSTOP)
		eventually(t, readyTimeout, "the gateway takes NATS for lost", func() error { return s.door.logged(t, lostNATS, 1) })
		s.signal(nats, syscall.SIGCONT)
		s.isTold("acme-2")
		nats.Kill()
		s.serves(2)
		startNATSAt(t, natsDir, natsAt)
		s.isTold("acme-3")

		s.failsWithoutDatabase(between.cut, between.mend)
		s.settles()
		s.must(own.Cluster().Restart(t.Context(), 0))
		s.settles()

		s.signal(s.peer.daemon, syscall.SIGSTOP)
		s.serves(2)
		s.failsWithoutPeer()
		s.signal(s.peer.daemon, syscall.SIGCONT)
		s.settles()

		s.signal(s.kubo.daemon, syscall.SIGSTOP)
		s.serves(2)
		s.failsWithoutKubo()
		s.signal(s.kubo.daemon, syscall.SIGCONT)
		s.settles()
	}
	if s.door.starts != 1 {
		t.Error("the gateway was started again")
	}
	s.close(t)
	s.checkRecords(t)
	s.peer.stop(t)
}

// lostNATS is what a gateway logs whose NATS stands still.
var lostNATS = regexp.MustCompile(`lost the connection to NATS`)

// failsWithoutDatabase asks all that needs the database, also as Kubo does it, first while
// the gateway still knows who asks and then when it does not any more.
func (s *standstill) failsWithoutDatabase(begin, end func()) {
	s.t.Helper()
	s.some(7) // for both times
	begin()
	defer end()
	for round := range 2 {
		victims := s.some(4)
		// What is asked for is not acknowledged, and may be done nevertheless.
		wanted := func() string {
			name, cid := s.next()
			s.open[name] = cid
			return fmt.Sprintf(`{"cid":%q,"name":%q}`, cid, name)
		}
		for _, e := range victims[:3] {
			delete(s.present, e.name)
			s.unsure[e.name] = e
		}
		pin := victims[3]
		questions := []clientQuestion{
			{s.alice, "GET", "/psa/pins", "", failureOfPinning},
			{s.alice, "GET", "/psa/pins?status=queued,pinning,pinned,failed", "", failureOfPinning},
			{s.alice, "GET", "/psa/pins?name=" + victims[0].name, "", failureOfPinning},
			{s.alice, "GET", "/psa/pins?cid=" + pin.cid, "", failureOfPinning},
			{s.alice, "GET", "/psa/pins/" + pin.id, "", failureOfPinning},
			{s.alice, "POST", "/psa/pins", wanted(), failureOfPinning},
			{s.alice, "POST", "/psa/pins/" + victims[0].id, wanted(), failureOfPinning},
			{s.alice, "DELETE", "/psa/pins/" + victims[1].id, "", failureOfPinning},
			{s.never[round], "GET", "/psa/pins", "", failureOfPinning}, // a key that the gateway has not seen
			{s.alice, "GET", "/cluster/allocations", "", failureOfCluster},
			{s.alice, "GET", "/cluster/allocations/" + pin.cid, "", failureOfCluster},
			{s.alice, "GET", "/cluster/pins?filter=error", "", failureOfCluster},
			{s.alice, "GET", "/cluster/pins/" + pin.cid, "", failureOfCluster},
			{s.alice, "DELETE", "/cluster/pins/" + victims[2].cid, "", failureOfCluster},
			{s.alice, "GET", "/keys", "", failureOfAdmin},
			{s.operator, "GET", "/admin/tenants", "", failureOfAdmin},
			{s.operator, "GET", "/admin/tenants/acme/usage", "", failureOfAdmin},
		}
		s.allFail(503, "DEPENDENCY_UNAVAILABLE", questions)
		s.kuboFails("ls", "--status=queued,pinning,pinned,failed")
		name, cid := s.next()
		s.open[name] = cid
		s.kuboFails("add", "--background", "--name="+name, cid)
		s.kuboFails("rm", "--force", "--name="+pin.name)
	}
}

// failsWithoutPeer asks what only a peer knows. What is the gateway's own is served.
func (s *standstill) failsWithoutPeer() {
	s.t.Helper()
	pin := s.some(1)[0]
	s.allFail(504, "UPSTREAM_TIMEOUT", []clientQuestion{
		{s.alice, "GET", "/cluster/pins", "", failureOfCluster},
		{s.alice, "GET", "/cluster/pins?filter=error", "", failureOfCluster},
		{s.alice, "GET", "/cluster/pins/" + pin.cid, "", failureOfCluster},
		{s.operator, "GET", "/cluster/peers", "", failureOfCluster},
	})
}

// failsWithoutKubo asks for what the peer says of pins whose IPFS it cannot ask.
func (s *standstill) failsWithoutKubo() {
	s.t.Helper()
	pin := s.some(1)[0]
	s.allFail(502, "UPSTREAM_UNAVAILABLE", []clientQuestion{{s.alice, "GET", "/cluster/pins?filter=pinned", "", failureOfCluster}})
	for _, path := range []string{"/cluster/pins/" + pin.cid, "/cluster/pins?filter=error"} {
		status, _, text, err := s.within(s.alice, "GET", path, "")
		if err != nil || status != 200 || !unknownToPeer.MatchString(text) {
			s.t.Errorf("Kubo stands still, %s: %d %s %v", path, status, text, err)
		}
	}
}

// unknownToPeer is what a peer says of a pin whose IPFS does not answer.
var unknownToPeer = regexp.MustCompile(`"status":"cluster_error".*"error":"[^"]`)

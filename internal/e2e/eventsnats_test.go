package e2e

import (
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// works fails the test unless pins and unpins are acknowledged, and reach Kubo: it pins the
// first CID, and unpins the second.
func (p *peer) works(t *testing.T, k *ipfs, pin, unpin string) {
	t.Helper()
	p.mustPin(t, pin, nil)
	if err := p.unpin(unpin); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "Kubo has what is pinned", func() error {
		return onlyPinned(k.pinned(t), []string{pin, unpin}, []string{pin})
	})
}

// TestEventsWithoutJetStream: a peer on a NATS that has no JetStream says so, and works.
func TestEventsWithoutJetStream(t *testing.T) {
	t.Parallel()
	server := natstest.StartWith(t, 1, natstest.Options{NoJetStream: true})
	db, k := on(t, cqltest.Start(t)), startKubo(t)
	cids := k.addBlocks(t, t.Name(), 2)
	vars := map[string]string{"CLUSTER_EVENTS_URLS": server.URLs()[0]}
	p := newPeer(t, db, k, nil)
	p.launch(t, p.service(t, vars, "daemon"))
	p.waitReady(t)
	p.mustPin(t, cids[1], nil)
	p.works(t, k, cids[0], cids[1])
	said := regexp.MustCompile(`events are not told from here, and wait in the database: .*NATS has no JetStream here.*: enable it on the servers, and for the account`)
	eventually(t, time.Minute, "the log says what is missing", func() error { return p.daemon.logged(t, said, 1) })
	p.works(t, k, cids[1], cids[0])
	status := run(t, p.service(t, vars, "events", "status"))
	checkRefused(t, status, "looking at NATS: ", "NATS has no JetStream here")
	checkSays(t, status.stdout, "shards are not read by a relay yet", "rows after that", "server ")
	p.stop(t)
}

// TestFrozenNATS: while NATS is stopped with all its connections, pins and unpins are
// acknowledged and done. When it goes on, what became of them is told.
func TestFrozenNATS(t *testing.T) {
	t.Parallel()
	nats, url := startNATS(t)
	db, k := on(t, cqltest.Start(t)), startKubo(t)
	cids := k.addBlocks(t, t.Name(), 2)
	vars := map[string]string{"CLUSTER_EVENTS_URLS": url}
	p := newPeer(t, db, k, nil)
	p.launch(t, p.service(t, vars, "daemon"))
	p.waitReady(t)
	p.mustPin(t, cids[0], nil)
	told(t, p, vars, "--since", "1h", "--cid", cids[0], "-n", "2") // the events flow

	if err := nats.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.works(t, k, cids[1], cids[0])
	waits := regexp.MustCompile(`events wait in the database: `)
	eventually(t, time.Minute, "the log says that events wait", func() error { return p.daemon.logged(t, waits, 1) })
	p.works(t, k, cids[0], cids[1])
	if err := nats.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ cid, kind string }{
		{cids[0], "pin.dropped"}, {cids[1], "pin.pinned"}, {cids[1], "pin.unpinned"}, {cids[1], "pin.dropped"},
	} {
		told(t, p, vars, "--since", "1h", "--cid", of.cid, "--type", of.kind, "-n", "1") // ends when it is
	}
	p.stop(t)
}

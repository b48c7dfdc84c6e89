package e2e

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// tell makes the variables of a peer with a NATS server of its own.
func tell(t *testing.T) (vars map[string]string, listen string) {
	t.Helper()
	listen = net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	return map[string]string{"CLUSTER_EVENTS_EMBEDDED_ENABLED": "true", "CLUSTER_EVENTS_EMBEDDED_LISTEN": listen}, listen
}

// told are the events that a command prints, one a line.
func told(t *testing.T, p *peer, vars map[string]string, args ...string) []events.Event {
	t.Helper()
	var all []events.Event
	for line := range strings.Lines(mustRun(t, p.service(t, vars, append([]string{"events", "tail"}, args...)...)).stdout) {
		e, err := events.Parse([]byte(strings.TrimSpace(line)))
		if err != nil {
			t.Fatalf("%q is not an event: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func kinds(all []events.Event) (out []string) {
	for _, e := range all {
		out = append(out, e.Type.Kind())
	}
	return out
}

// checkSays fails the test unless a text has some parts.
func checkSays(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// TestEvents: a user sees what becomes of a pin, by the commands of the page on events, and
// again after a restart of everything that told it.
func TestEvents(t *testing.T) {
	t.Parallel()
	server, k := cqltest.Start(t), startKubo(t)
	db, cids := on(t, server), k.addBlocks(t, t.Name(), 3)
	vars, listen := tell(t)
	p := newPeer(t, db, k, nil)
	begin := func() {
		t.Helper()
		p.launch(t, p.service(t, vars, "daemon"))
		p.waitReady(t)
	}
	begin()
	p.mustPin(t, cids[0], url.Values{"name": {"a name"}})
	got := told(t, p, vars, "--since", "1h", "--cid", cids[0], "--count", "2")
	if want := []string{"pin.accepted", "pin.pinned"}; !slices.Equal(kinds(got), want) {
		t.Fatalf("the events of a pin are %v, want %v", kinds(got), want)
	}
	if got[0].Pin.Pin.Name != "a name" || got[1].Status.Peer != p.id(t) || got[1].Status.Size == 0 || got[1].Status.Version != got[0].Pin.Version {
		t.Errorf("they are %+v of the pin %+v, and %+v", *got[0].Pin, *got[0].Pin.Pin, *got[1].Status)
	}
	if err := p.unpin(cids[0]); err != nil {
		t.Fatal(err)
	}
	got = told(t, p, vars, "--since", "1h", "--cid", cids[0], "--type", "pin.unpinned,pin.dropped", "-n", "2")
	if want := []string{"pin.unpinned", "pin.dropped"}; !slices.Equal(kinds(got), want) {
		t.Errorf("the events of an unpin are %v, want %v", kinds(got), want)
	}
	if came := told(t, p, vars, "--since", "1h", "--type", "peer.came", "-n", "1"); came[0].Peer.Peer != p.id(t) {
		t.Errorf("the peer that came is %+v", *came[0].Peer)
	}

	// By a server at an address, as another program on this machine would.
	byURL := map[string]string{"CLUSTER_EVENTS_URLS": "nats://" + listen}
	p.mustPin(t, cids[1], nil)
	again := mustRun(t, p.service(t, byURL, "events", "replay", "--cid", cids[1])).stdout
	if again != "1 events told again\n" {
		t.Errorf("replay says %q", again)
	}
	if all := mustRun(t, p.service(t, byURL, "events", "replay", "--all")).stdout; all != "1 events told again\n" {
		t.Errorf("replay --all says %q", all)
	}
	p.mustPin(t, cids[2], nil)
	corruptRow(t, server.Session(t), db.keyspace, cids[1])
	all := run(t, p.service(t, byURL, "events", "replay", "--all"))
	checkRefused(t, all, "telling events again: 1 were told, and 1 could not be read")
	checkSays(t, all.stderr, "passed over: the stored pin of "+cids[1]+" is corrupt")
	if got := mustRun(t, p.service(t, byURL, "events", "replay", "--since", "1h")).stdout; !strings.HasSuffix(got, " events told again\n") || strings.HasPrefix(got, "0 ") {
		t.Errorf("replay --since says %q", got)
	}
	var status struct {
		Since   time.Time
		Told    []time.Time
		Streams []struct {
			Name     string
			Messages int
		}
	}
	if err := json.Unmarshal([]byte(mustRun(t, p.service(t, byURL, "events", "status", "--json")).stdout), &status); err != nil {
		t.Fatal(err)
	}
	if status.Since.IsZero() || len(status.Told) != 16 || len(status.Streams) != 2 || status.Streams[0].Messages < 5 {
		t.Errorf("the status is %+v", status)
	}
	checkSays(t, mustRun(t, p.service(t, byURL, "events", "status")).stdout,
		"stream ipfs-cluster-events", "1 replicas", "events  ", "since ", "rows after that")
	noDatabase := map[string]string{"CLUSTER_EVENTS_URLS": byURL["CLUSTER_EVENTS_URLS"], "CLUSTER_SCYLLA_PORT": "1", "CLUSTER_SCYLLA_CONNECTTIMEOUT": "1s"}
	down := run(t, p.service(t, noDatabase, "events", "status"))
	checkRefused(t, down, "looking at the database: ", "connect_timeout (1s)")
	checkSays(t, down.stdout, "server ", "stream ipfs-cluster-events", "stream ipfs-cluster-dead")
	if got := mustRun(t, p.service(t, byURL, "events", "dead-letters", "list")); got.stdout != "" || !strings.Contains(got.stderr, "no dead letters") {
		t.Errorf("dead-letters list says %q and %q", got.stdout, got.stderr)
	}
	checkRefused(t, run(t, p.service(t, byURL, "events", "dead-letters", "show", "7")), "dead letter 7", "there is no such dead letter")

	p.stop(t)
	begin()
	if got := told(t, p, vars, "--since", "1h", "--cid", cids[0], "-n", "4"); len(got) != 4 {
		t.Errorf("after a restart the stream has %v of the first pin", kinds(got))
	}
	p.stop(t)
	// Each part of the status is there without the other.
	down = run(t, p.service(t, byURL, "events", "status"))
	checkRefused(t, down, "looking at NATS: not connected to NATS", listen)
	checkSays(t, down.stdout, "events ", "told up to", "rows after that")
	down = run(t, p.service(t, byURL, "events", "status", "--json"))
	checkRefused(t, down, "looking at NATS: not connected to NATS")
	var part struct {
		Told   []time.Time
		Errors []string
	}
	if err := json.Unmarshal([]byte(down.stdout), &part); err != nil || len(part.Told) != 16 || len(part.Errors) != 1 {
		t.Errorf("without NATS the status is %s (%v)", down.stdout, err)
	}
}

// TestEventsBadInput: what is wrong with what a user says of events is named.
func TestEventsBadInput(t *testing.T) {
	t.Parallel()
	p := newPeer(t, nobody(), nil, nil)
	on := map[string]string{"CLUSTER_EVENTS_URLS": "nats://" + ownAddress() + ":1"}
	anyPort := map[string]string{"CLUSTER_EVENTS_EMBEDDED_ENABLED": "true", "CLUSTER_EVENTS_EMBEDDED_LISTEN": "127.0.0.1:0"}
	noPort := []string{"state.events.embedded.listen is 127.0.0.1:0", "127.0.0.1:4222", "restart the peer"}
	for _, test := range []struct {
		env  map[string]string
		args []string
		want []string
	}{
		{nil, []string{"events", "status"}, []string{"has no events", "CLUSTER_EVENTS_URLS"}},
		{on, []string{"events", "tail", "--type", "pin.gone"}, []string{"--type", `"pin.gone"`, "pin.accepted"}},
		{on, []string{"events", "tail", "--cid", "Qm"}, []string{"--cid", `"Qm" is not a CID`}},
		{on, []string{"events", "tail", "--since", "soon"}, []string{"--since", `"soon"`, "90m"}},
		{on, []string{"events", "tail", "now"}, []string{`"now"`}},
		{on, []string{"events", "replay"}, []string{"--since, --cid and --all"}},
		{on, []string{"events", "replay", "--all", "--since", "1h"}, []string{"one of --since, --cid and --all"}},
		{on, []string{"events", "dead-letters", "drop", "x"}, []string{`"x" is not the id of a dead letter`}},
		{on, []string{"events", "dead-letters", "drop"}, []string{"give the id"}},
		{anyPort, []string{"events", "tail"}, noPort},
		{anyPort, []string{"events", "replay", "--since", "1h"}, noPort},
		{anyPort, []string{"events", "dead-letters", "list"}, noPort},
		{map[string]string{"CLUSTER_EVENTS_URL": "nats://x"}, []string{"daemon"}, []string{"CLUSTER_EVENTS_URL", "did you mean CLUSTER_EVENTS_URLS?"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			checkRefused(t, run(t, p.service(t, test.env, test.args...)), test.want...)
		})
	}
}

// TestEventsOfTwoPeers: two peers tell events on servers of their own, and wake each other;
// a NATS server within a peer is refused where there are others; and NATS may be down when
// peers start, and pins are made, and what became of them is told when it is there.
func TestEventsOfTwoPeers(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, 1)
	urls := map[string]string{"CLUSTER_EVENTS_URLS": strings.Join(nats.URLs(), ",")}
	nats.Kill(0)
	db := on(t, cqltest.Start(t))
	kubos := []*ipfs{startKubo(t), startKubo(t)}
	var cids []string
	for _, k := range kubos {
		cids = k.addBlocks(t, t.Name(), 3)
	}
	group := newGroup(t, db, kubos, map[string]string{"CLUSTER_REPLICATIONFACTORMIN": "2", "CLUSTER_REPLICATIONFACTORMAX": "2"})
	for _, m := range group {
		m.launch(t, m.service(t, urls, "daemon"))
	}
	waitMeet(t, group...)
	front := group[0]
	front.mustPin(t, cids[0], nil)
	front.mustPin(t, cids[1], nil)
	eventually(t, time.Minute, "it is pinned without NATS", func() error {
		for _, m := range group {
			if err := onlyPinned(m.kubo.pinned(t), cids, cids[:2]); err != nil {
				return err
			}
		}
		return nil
	})
	nats.Start(t, 0)
	var got []events.Event
	eventually(t, time.Minute, "what came of a pin is told", func() error {
		out := run(t, front.service(t, urls, "events", "tail", "--since", "1h", "--cid", cids[0], "-n", "3"))
		if out.code != 0 {
			return errors.New(out.stderr)
		}
		got = nil
		for line := range strings.Lines(out.stdout) {
			e, err := events.Parse([]byte(strings.TrimSpace(line)))
			if err != nil {
				return err
			}
			got = append(got, e)
		}
		return nil
	})
	slices.SortFunc(got, func(a, b events.Event) int { return strings.Compare(a.Type.Kind(), b.Type.Kind()) })
	if want := []string{"pin.accepted", "pin.pinned", "pin.pinned"}; !slices.Equal(kinds(got), want) || got[1].Status.Peer == got[2].Status.Peer {
		t.Errorf("the events are %v", kinds(got))
	}
	own, _ := tell(t)
	group[1].stop(t)
	checkRefused(t, run(t, group[1].service(t, own, "daemon")), "state.events.embedded.enabled", "for a cluster of one peer", "has 2", "allow_many_peers")
	group[0].stop(t)
}

// TestRefusedStartHasNoEvents: a peer that is refused has not turned on the events of the
// others, which would be for good.
func TestRefusedStartHasNoEvents(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db, session := on(t, server), server.Session(t)
	group := newGroup(t, db, []*ipfs{nil, nil}, nil)
	group[0].launch(t, group[0].service(t, nil, "daemon", "--role", "api"))
	eventually(t, readyTimeout, "the first peer is ready", func() error { return group[0].daemon.logged(t, readyLine, 1) })
	embedded, listen := tell(t)
	busy, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	checkRefused(t, run(t, group[1].service(t, embedded, "daemon", "--role", "api")), "starting the NATS server", "cannot listen on "+listen)
	if err := busy.Close(); err != nil {
		t.Fatal(err)
	}
	noFile := map[string]string{"CLUSTER_EVENTS_URLS": "nats://" + listen, "CLUSTER_EVENTS_CREDENTIALSFILE": "missing.creds"}
	checkRefused(t, run(t, group[1].service(t, noFile, "daemon", "--role", "api")), "missing.creds")
	checkRefused(t, run(t, group[1].service(t, embedded, "daemon", "--role", "api")), "for a cluster of one peer", "has 2")
	var since *time.Time
	if err := session.Query("SELECT events_since FROM " + db.keyspace + ".cluster").Scan(&since); err != nil {
		t.Fatal(err)
	}
	if since != nil {
		t.Errorf("the keyspace has events since %s", since)
	}
	var peers int
	if err := session.Query("SELECT COUNT(*) FROM " + db.keyspace + ".peers").Scan(&peers); err != nil {
		t.Fatal(err)
	}
	if peers != 1 {
		t.Errorf("there are %d peers", peers)
	}
	group[0].stop(t)
}

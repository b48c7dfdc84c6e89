package scylla

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// nodesIn makes nodes from lines like "dc1/r1 dc1/r1 dc2/r1".
func nodesIn(text string) []node {
	var out []node
	for i, where := range strings.Fields(text) {
		dc, rack, _ := strings.Cut(where, "/")
		out = append(out, node{id: fmt.Sprint(i), dc: dc, rack: rack, addr: fmt.Sprintf("n%d", i+1)})
	}
	return out
}

// TestReplicasOf: how many replicas a row has, and how many a rack may hold.
func TestReplicasOf(t *testing.T) {
	const network = "class=org.apache.cassandra.locator.NetworkTopologyStrategy "
	for _, tt := range []struct{ replication, nodes, want string }{
		{network + "dc1=1", "dc1/a", "1: dc1/a 1"},
		{network + "dc1=3", "dc1/a dc1/a dc1/a", "3: dc1/a 3"},
		{network + "dc1=3", "dc1/a dc1/b dc1/c dc1/c", "3: dc1/a 1 dc1/b 1 dc1/c 1"},
		{network + "dc1=3", "dc1/a dc1/a dc1/b", "3: dc1/a 2 dc1/b 1"},
		{network + "dc1=5", "dc1/a dc1/a dc1/a dc1/a dc1/b dc1/b dc1/c", "5: dc1/a 3 dc1/b 2 dc1/c 1"},
		{network + "dc1=3", "dc1/a dc1/a", "3: dc1/a 2"}, // a node is not there yet
		{network + "dc2=2 dc1=3", "dc1/a dc1/a dc1/a dc2/a dc2/b dc3/a", "5: dc1/a 3 dc2/a 1 dc2/b 1"},
		{"class=NetworkTopologyStrategy dc1=2 dc2=0", "dc1/a dc1/b dc2/a", "2: dc1/a 1 dc1/b 1"},
		{"class=SimpleStrategy replication_factor=2", "dc1/a dc1/b dc2/a dc2/a dc2/a", "2: dc1/a 1 dc1/b 1 dc2/a 2"},
		{"class=org.apache.cassandra.locator.EverywhereStrategy", "dc1/a dc1/a dc1/b", "3: dc1/a 2 dc1/b 1"},
		{network + "dc1=3/1", "dc1/a", `its number of replicas in dc1, "3/1", is not a number`},
		{"class=SimpleStrategy", "dc1/a", `its replication factor "" is not a number`},
		{"class=LocalStrategy", "dc1/a", `its replication strategy "LocalStrategy" is not known here`},
	} {
		replication := make(map[string]string)
		for _, pair := range strings.Fields(tt.replication) {
			name, value, _ := strings.Cut(pair, "=")
			replication[name] = value
		}
		r, err := replicasOf(replication, nodesIn(tt.nodes))
		got := fmt.Sprintf("%d:", r.total)
		for _, p := range r.places {
			got += fmt.Sprintf(" %s/%s %d", p.dc, p.rack, p.most)
		}
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s on %s: %s, want %s", tt.replication, tt.nodes, got, tt.want)
		}
	}
}

// TestLosses: one crash loses writes when it makes a quorum forget them, by what is
// known, and nobody says so when it does not.
func TestLosses(t *testing.T) {
	rightless := errors.New("the role peer lacks the right SELECT")
	for _, tt := range []struct {
		name, nodes, modes string // the modes of the nodes in turn, ? for unknown
		replicas           int
		losses             []string
		unknown            string
	}{
		{"one replica, periodic", "dc1/a", "periodic", 1,
			[]string{"the keyspace k has one replica", "(commitlog_sync: periodic on n1)", "set commitlog_sync: batch"}, ""},
		{"one replica, batch", "dc1/a", "batch", 1, nil, ""},
		{"one replica, group", "dc1/a", "group", 1, nil, ""},
		{"one replica on many nodes", "dc1/a dc1/b dc1/c", "batch periodic periodic", 1,
			[]string{"the keyspace k has one replica", "(commitlog_sync: periodic on n2, n3)"}, ""},
		{"one replica, unknown", "dc1/a dc1/b", "batch ?", 1, nil, "commitlog_sync on n2: the role peer lacks the right SELECT"},
		{"one rack, periodic", "dc1/a dc1/a dc1/a", "periodic periodic periodic", 3,
			[]string{"the rack a of dc1 may hold 3 of the 3 replicas of the keyspace k", "periodic on n1, n2, n3)"}, ""},
		{"one rack, a quorum of it periodic", "dc1/a dc1/a dc1/a", "batch periodic periodic", 3, []string{"periodic on n2, n3)"}, ""},
		{"one rack, less than a quorum periodic", "dc1/a dc1/a dc1/a", "batch batch periodic", 3, nil, ""},
		{"one rack, maybe a quorum", "dc1/a dc1/a dc1/a", "batch ? periodic", 3, nil, "commitlog_sync on n2: the role"},
		{"one rack, a quorum whatever the third", "dc1/a dc1/a dc1/a", "periodic ? periodic", 3, []string{"periodic on n1, n3)"}, ""},
		{"three racks, periodic", "dc1/a dc1/b dc1/c", "periodic periodic periodic", 3, nil, ""},
		{"three racks, unknown", "dc1/a dc1/b dc1/c", "? ? ?", 3, nil, ""},
		{"two of three replicas in a rack", "dc1/a dc1/a dc1/b", "periodic periodic periodic", 3, []string{"the rack a of dc1 may hold 2 of the 3"}, ""},
		{"two replicas, two racks", "dc1/a dc1/b", "periodic periodic", 2, nil, ""},
		{"two replicas, one rack", "dc1/a dc1/a", "periodic periodic", 2, []string{"may hold 2 of the 2"}, ""},
		{"many nodes", "dc1/a dc1/a dc1/a dc1/a dc1/a dc1/a dc1/a", strings.Repeat("periodic ", 7), 3,
			[]string{"periodic on n1, n2, n3, n4, n5 and 2 more)"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes := nodesIn(tt.nodes)
			d := Durability{Keyspace: "k", Logged: true, dialect: Dialect{Engine: Cassandra}}
			d.replicas, d.unread = replicasOf(map[string]string{"class": "NetworkTopologyStrategy", "dc1": fmt.Sprint(tt.replicas)}, nodes)
			for i, mode := range strings.Fields(tt.modes) {
				l := CommitLog{Address: nodes[i].addr, DC: nodes[i].dc, Rack: nodes[i].rack, Err: rightless}
				if mode != "?" {
					l.Sync, l.Synced, l.Err = d.dialect.commitLogSync(mode)
				}
				d.Logs = append(d.Logs, l)
			}
			losses := d.Losses()
			if len(losses) != min(1, len(tt.losses)) {
				t.Fatalf("the losses are %q, want %q", losses, tt.losses)
			}
			for _, part := range tt.losses {
				if !strings.Contains(losses[0], part) {
					t.Errorf("%q does not say %q", losses[0], part)
				}
			}
			if got := d.Unknown(); !strings.HasPrefix(got, tt.unknown) || tt.unknown == "" && got != "" {
				t.Errorf("unknown is %q, want %q", got, tt.unknown)
			}
			// A replica may never have had the write, and one that has it may forget it.
			forgetful := slices.ContainsFunc(strings.Fields(tt.modes), func(mode string) bool { return mode == "periodic" || mode == "?" })
			if got := d.Holds(); strings.Contains(got, "as long as every replica had it") != forgetful {
				t.Errorf("it promises %q", got)
			}
			d.Logged = false
			if got := d.Losses(); len(got) != 1 || !strings.Contains(got[0], "durable_writes = true") {
				t.Errorf("without a commit log the losses are %q", got)
			}
		})
	}
	d := Durability{Keyspace: "k", Logged: true, unread: errors.New("why")}
	if got := d.Unknown(); len(d.Losses()) > 0 || got != "where the replicas of the keyspace k are is not understood: why" {
		t.Errorf("a replication that is not understood: losses %q, unknown %q", d.Losses(), got)
	}
}

// TestCommitLogSync reads what each engine answers.
func TestCommitLogSync(t *testing.T) {
	for _, tt := range []struct {
		engine Engine
		value  string
		want   string
	}{
		{Cassandra, "periodic", "periodic, false"},
		{Cassandra, "batch", "batch, true"},
		{Cassandra, "group", "group, true"},
		{ScyllaDB, `"periodic"`, "periodic, false"},
		{ScyllaDB, `"batch"`, "batch, true"},
		{ScyllaDB, `"group"`, `the mode "group" is not known here`},
		{ScyllaDB, "batch", `"batch" is not a JSON string`},
		{Cassandra, "never", `the mode "never" is not known here`},
	} {
		mode, synced, err := Dialect{Engine: tt.engine}.commitLogSync(tt.value)
		got := fmt.Sprintf("%s, %t", mode, synced)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s, %s: %s, want %s", tt.engine, tt.value, got, tt.want)
		}
	}
}

// testDurability reads the settings of a node that waits for its disk, as a
// superuser and as one that may not read them.
func testDurability(t *testing.T, own *cqltest.Own, hosts []string) {
	conf := configOn(own, hosts)
	conf.Keyspace = own.Keyspace(t)
	db := openDB(t, conf)
	d, err := db.Durability(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Logs) != 1 || d.Logs[0].Sync != "batch" || len(d.Losses()) > 0 || d.Unknown() != "" {
		t.Errorf("a superuser sees %+v: losses %q, unknown %q", d, d.Losses(), d.Unknown())
	}
	if got, want := d.String(), "1 replica in 1 rack, commitlog_sync batch on 1 node"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}

	run := func(statement string) {
		t.Helper()
		if err := db.Session.Query(statement).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	role := "durable_" + conf.Keyspace
	run("CREATE ROLE " + role + " WITH PASSWORD = 'p' AND LOGIN = true")
	run("GRANT SELECT ON KEYSPACE " + conf.Keyspace + " TO " + role)
	asRole := conf
	asRole.Username, asRole.Password = role, "p"
	least := openDB(t, asRole)
	d, err = least.Durability(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	grant := db.Dialect.settingsGrant(role)
	for _, part := range []string{"commitlog_sync on " + hosts[0], "the role " + role + " lacks the right SELECT", grant} {
		if got := d.Unknown(); !strings.Contains(got, part) || strings.Contains(got, "\n") {
			t.Errorf("unknown is %q, want it to say %q", got, part)
		}
	}
	if losses := d.Losses(); len(losses) > 0 {
		t.Errorf("what is not known is lost: %q", losses)
	}
	if db.Dialect.Engine == Cassandra { // the face has no such table to grant
		run(strings.TrimSuffix(grant, ";"))
		if d, err = least.Durability(t.Context()); err != nil || d.Unknown() != "" || d.Logs[0].Sync != "batch" {
			t.Errorf("with the right: %+v, unknown %q (%v)", d, d.Unknown(), err)
		}
	}

	run("ALTER KEYSPACE " + conf.Keyspace + " WITH durable_writes = false")
	if d, err = db.Durability(t.Context()); err != nil || len(d.Losses()) != 1 || d.Logged {
		t.Errorf("without a commit log: %+v, losses %q (%v)", d, d.Losses(), err)
	}
}

// testNodesSilent asks two nodes of another data centre that take a connection and
// say nothing, and one that answers: nobody holds up the others. Nor does any of
// them who waits no longer.
func testNodesSilent(t *testing.T, db *DB) {
	var silent []*net.TCPListener
	var nodes []node
	for _, addr := range []string{"127.99.99.96", "127.99.99.97"} {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(db.conf.Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		silent = append(silent, l.(*net.TCPListener))
		nodes = append(nodes, node{id: addr, dc: "elsewhere", rack: "r", addr: addr})
	}
	nodes = append(nodes, db.nodes...)
	said := make(chan []CommitLog, 1)
	go func() { said <- db.commitLogs(t.Context(), nodes) }()
	first, second := accept(t, silent[0]), accept(t, silent[1])
	if err := first.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, first); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second node is asked when the first has been given up (%v)", err)
	}
	for _, c := range []io.Closer{first, second, silent[0], silent[1]} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	logs := <-said
	if len(logs) != 3 || !errors.Is(logs[0].Err, errNoAnswer) || !errors.Is(logs[1].Err, errNoAnswer) || logs[2].Err != nil || logs[2].Sync != "batch" {
		t.Errorf("the nodes say %+v", logs)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, l := range db.commitLogs(ended, nodes) {
		if !errors.Is(l.Err, errNoAnswer) {
			t.Errorf("nobody waits any more, and the nodes say %+v", l)
		}
	}
}

// accept takes a connection to l, which is closed when the test ends.
func accept(t *testing.T, l *net.TCPListener) net.Conn {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

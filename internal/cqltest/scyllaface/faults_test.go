package scyllaface_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// ask starts a query and returns where its error will come.
func ask(ctx context.Context, session *gocql.Session, statement string, values ...any) <-chan error {
	done := make(chan error, 1)
	query := session.Query(statement, values...).WithContext(ctx)
	go func() { done <- query.Exec() }()
	return done
}

// open tells whether somebody accepts connections.
func open(host string, port int) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	return err == nil && conn.Close() == nil
}

func executed(statement string) func(scyllaface.Request) bool {
	return func(r scyllaface.Request) bool { return r.Op == scyllaface.Execute && r.Statement == statement }
}

// While a node hangs it accepts connections and answers nothing, and requests
// do not reach Cassandra. Then they go on.
func TestHang(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	direct := server.Session(t)
	insert := "INSERT INTO " + name + " (k, v) VALUES (?, 1)"
	run(t, session, insert, 1)
	node := face.Nodes()[0]

	for _, tt := range []struct {
		name    string
		hang    func()
		key     int
		reaches bool
	}{{"both ways", node.Hang, 2, false}, {"answers", node.HangAnswers, 3, true}} {
		t.Run(tt.name, func(t *testing.T) {
			before := node.Count(executed(insert))
			there := func() bool {
				var k int
				return direct.Query("SELECT k FROM "+name+" WHERE k = ?", tt.key).Scan(&k) == nil
			}
			tt.hang()
			done := ask(t.Context(), session, insert, tt.key)
			cqltest.WaitFor(t, "the request to arrive", func() bool { return node.Count(executed(insert)) == before+1 })
			if tt.reaches {
				cqltest.WaitFor(t, "the request to reach Cassandra", there)
			} else if there() {
				t.Error("the request reached Cassandra")
			}
			if !open(node.Address(), face.Port()) {
				t.Error("a node that hangs does not accept connections")
			}
			select {
			case err := <-done:
				t.Fatalf("there was an answer while the node hung: %v", err)
			default:
			}
			if err := node.Resume(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("the request did not go on: %v", err)
			}
			if !there() {
				t.Error("the row is not there")
			}
		})
	}
}

// While a node has vanished nobody can connect, and nobody is refused; what
// was connected hangs. The driver goes on when it is back.
func TestVanish(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	node := face.Nodes()[0]
	if err := node.Vanish(); err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"9042", "19042"} {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(node.Address(), port))
		cancel()
		if conn != nil {
			conn.Close() //nolint:errcheck // there should be none
		}
		if !os.IsTimeout(err) {
			t.Errorf("connecting to port %s ended with %v, want a timeout", port, err)
		}
	}
	insert := "INSERT INTO " + name + " (k, v) VALUES (1, 1)"
	done := ask(t.Context(), session, insert)
	if err := node.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	connect(t, config(face))
}

// An answer that is cut was a request that worked, whose connection closed.
func TestCutAnswers(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	update := "UPDATE " + name + " SET v = ? WHERE k = 1 IF v = ?"
	if _, err := session.Query(update, 1, nil).MapScanCAS(map[string]any{}); err != nil {
		t.Fatal(err)
	}
	node := face.Nodes()[0]
	node.CutAnswers(1, func(r scyllaface.Request) bool { return r.Op == scyllaface.Execute && r.Conditional })
	run(t, session, "SELECT v FROM "+name+" WHERE k = 1") // does not match
	if err := <-ask(t.Context(), session, update, 2, 1); err == nil {
		t.Fatal("the answer came")
	}
	if got := cells(t, server.Session(t), "SELECT v FROM "+name+" WHERE k = 1")[0]; got != "2" {
		t.Errorf("the value is %s: the update did not reach Cassandra", got)
	}
	cqltest.WaitFor(t, "the driver to be back", func() bool { return <-ask(t.Context(), session, update, 3, 2) == nil })
}

// A node that moved answers at another address, which the system tables name,
// and no more at the old one. The driver follows by its contact points.
func TestMove(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	node := face.Nodes()[0]
	old := node.Address()
	if err := node.Move(false); err != nil {
		t.Fatal(err)
	}
	if node.Address() == old || face.Hosts()[0] != node.Address() {
		t.Errorf("moved from %s to %s, hosts %v", old, node.Address(), face.Hosts())
	}
	if open(old, face.Port()) {
		t.Error("the old port is open")
	}
	if err := session.Query("SELECT v FROM " + name + " WHERE k = 1").Exec(); err == nil {
		t.Error("the session of the old address still works")
	}
	moved := connect(t, config(face))
	if got := cells(t, moved, "SELECT rpc_address FROM system.local")[0]; got != node.Address() {
		t.Errorf("system.local names %s, the node is at %s", got, node.Address())
	}
	run(t, moved, "INSERT INTO "+name+" (k, v) VALUES (1, 1)")
}

// Ports that are refused are closed with all their connections, and the driver
// comes back when they open.
func TestRefuseAndDelay(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	node := face.Nodes()[0]
	node.Refuse()
	if open(node.Address(), face.Port()) {
		t.Error("the port is open")
	}
	cqltest.WaitFor(t, "the connections to go", func() bool { return len(node.Connections()) == 0 })
	if err := node.Accept(); err != nil {
		t.Fatal(err)
	}
	insert := "INSERT INTO " + name + " (k, v) VALUES (?, 1)"
	cqltest.WaitFor(t, "the driver to be back", func() bool { return <-ask(t.Context(), session, insert, 1) == nil })

	const delay = 300 * time.Millisecond
	node.Delay(delay)
	begin := time.Now()
	run(t, session, insert, 2)
	if took := time.Since(begin); took < delay {
		t.Errorf("a request with a delay of %s took %s", delay, took)
	}
}

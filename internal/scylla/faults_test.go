package scylla

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/datastax/go-cassandra-native-protocol/primitive"
	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// testFaults breaks a node behind a face of ScyllaDB in the ways that need one.
func testFaults(t *testing.T, own *cqltest.Own) {
	node := own.Face().Nodes()[0]
	db := openDB(t, configOn(own, own.Hosts()))
	change(t, db, leasesTable)
	contains := func(text string) func(scyllaface.Request) bool {
		return func(r scyllaface.Request) bool { return strings.Contains(r.Statement, text) }
	}

	// The driver sends a change of the schema again when its answer is lost,
	// and is told that the column is there already.
	t.Run("the answer to a change of the schema is lost", func(t *testing.T) {
		const alter = "ALTER TABLE altered ADD v int"
		change(t, db, "CREATE TABLE IF NOT EXISTS altered (k int PRIMARY KEY) WITH ${point}")
		c, err := db.conf.dialContact(own.Hosts()[0], time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		sent := func() int { return node.Count(contains("ADD v int")) }
		resumed := make(chan error, 1)
		node.Delay(300 * time.Millisecond) // so that answers stop before there is one
		go func() {
			wait(t, func() bool { return sent() >= 1 })
			node.HangAnswers()
			node.Delay(0)
			wait(t, func() bool { return sent() >= 2 })
			resumed <- node.Resume()
		}()
		if err := db.ddl(t.Context(), c, alter); err != nil {
			t.Error(err)
		}
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
		if there, err := c.columnsDone(t.Context(), alter); err != nil || !there {
			t.Error(there, err)
		}
	})

	t.Run("a lease that was taken without an answer is the taker's", func(t *testing.T) {
		l := &Lease{db: db, name: "mine", holder: "me"}
		node.CutAnswers(1, contains("UPDATE leases"))
		if _, err := l.take(t.Context(), nil); err != nil {
			t.Fatal("the lost answer was not asked about: ", err)
		}
		l = &Lease{db: db, name: "mine", holder: "me"} // as if that had failed too
		ctx, cancel := context.WithTimeout(t.Context(), leaseTime/2)
		defer cancel()
		if err := l.acquire(ctx); err != nil {
			t.Fatal("it waits for itself: ", err)
		}
		if l.epoch != 1 {
			t.Errorf("epoch %d", l.epoch)
		}
		if err := l.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	})

	// The holder's ballots would fail if those who wait made some too.
	t.Run("waiting for a lease makes no ballots", func(t *testing.T) {
		holder, err := db.AcquireLease(t.Context(), "held")
		if err != nil {
			t.Fatal(err)
		}
		reads := func(cons primitive.ConsistencyLevel) int {
			return node.Count(func(r scyllaface.Request) bool { return r.Statement == selectLease && r.Consistency == cons })
		}
		quorum, serial := reads(primitive.ConsistencyLevelQuorum), reads(primitive.ConsistencyLevelSerial)
		if serial == 0 {
			t.Error("a lease that was free was taken without a ballot")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := db.AcquireLease(ctx, "held")
			ended <- err
		}()
		cqltest.WaitFor(t, "three looks at the lease", func() bool { return reads(primitive.ConsistencyLevelQuorum) >= quorum+3 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := reads(primitive.ConsistencyLevelSerial) - serial; n > 0 {
			t.Errorf("%d ballots of one who waits", n)
		}
		holder.Release(t.Context())
	})

	t.Run("a lease lasts as long as the nodes take to agree", func(t *testing.T) {
		testSlowAgreement(t, db, own.Cluster().Hosts()[0])
	})

	t.Run("a contact that hangs is left when its time is over", func(t *testing.T) {
		c, err := db.conf.dialContact(own.Hosts()[0], ddlTimeout)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		node.Hang()
		defer func() {
			if err := node.Resume(); err != nil {
				t.Error(err)
			}
		}()
		err = c.within(t.Context(), time.Second, c.look)
		if want := "did not answer within 1s"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want that it %s", err, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := db.conf.survey(ctx, questionTimeout); err == nil {
			t.Error("no error of the caller's")
		}
	})

	// The outcome is found out at another node, and in the time of the request.
	t.Run("a conditional update waits for less than its request lasts", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), db.limit-time.Second)
		defer cancel()
		node.Hang()
		_, _, err := db.CAS(ctx, Bind("UPDATE leases SET holder = ? WHERE name = ? IF holder = ?", "me", "cas", "nobody"))
		if resumed := node.Resume(); resumed != nil {
			t.Fatal(resumed)
		}
		if err == nil || ctx.Err() != nil {
			t.Errorf("%v, and the time of its caller: %v", err, ctx.Err())
		}
	})

	t.Run("a scan leaves the cache alone and bounds the servers' work", func(t *testing.T) {
		rows := db.Scan(t.Context(), gocql.Quorum, 10, Bind("SELECT holder FROM leases"))
		for rows.Next(new(string)) {
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if node.Count(func(r scyllaface.Request) bool {
			return r.Statement == "SELECT holder FROM leases BYPASS CACHE USING TIMEOUT 4s"
		}) == 0 {
			t.Error("the server was not told")
		}
	})

	t.Run("statements are known before they are sent", func(t *testing.T) {
		text := "SELECT holder FROM leases WHERE name = ?"
		prepared := func() int {
			return node.Count(func(r scyllaface.Request) bool { return r.Op == scyllaface.Prepare && r.Statement == text })
		}
		db.Prepare(t.Context(), []string{text})
		before := prepared()
		if before == 0 {
			t.Error("it was not prepared")
		}
		if _, err := db.Read(t.Context(), gocql.Quorum, Bind(text, "mine"), new(string)); err != nil {
			t.Error(err)
		}
		if prepared() != before {
			t.Error("it was prepared once more")
		}
	})
}

// testSlowAgreement lets a node in another data centre, which is up, keep another
// schema for longer than a lease lasts: it is the node at addr under another name.
func testSlowAgreement(t *testing.T, db *DB, addr string) {
	contact := func() *contact {
		c, err := db.conf.survey(t.Context(), ddlTimeout)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		return c
	}
	c := contact()
	slow := func() { c.disagreesWith(t, "127.99.99.99", addr) }
	agrees := func() { c.forgets(t, "127.99.99.99") }
	defer agrees()

	defer func(was time.Duration) { db.leaseTime = was }(db.leaseTime)
	db.leaseTime = 3 * time.Second // renewed each second
	lease := &Lease{db: db, name: "schema"}
	read := func() leaseRow {
		r, err := lease.read(t.Context(), gocql.Serial)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// apply changes the schema and returns when the change is waited for, for
	// longer than the lease lasts.
	apply := func(files map[string]string, statement string) (ended chan error) {
		ended = make(chan error, 1)
		changes := contact() // which a lost lease closes
		slow()
		go func() { ended <- db.applyUnderLease(t.Context(), changes, migrations(t, files), nil) }()
		cqltest.WaitFor(t, "the change", func() bool {
			there, err := c.columnsDone(t.Context(), statement)
			if err != nil {
				t.Error(err)
			}
			return there || len(ended) > 0
		})
		first := read().until
		cqltest.WaitFor(t, "the lease to be renewed", func() bool { return read().until.Sub(first) > 2*db.leaseTime || len(ended) > 0 })
		return ended
	}
	if err := db.ApplySchema(t.Context(), migrations(t, map[string]string{"0001_first.cql": firstFile})); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"0001_first.cql": firstFile, "0002_second.cql": "ALTER TABLE one ADD w int;"}
	ended := apply(files, "ALTER TABLE one ADD w int")
	if len(ended) > 0 {
		t.Fatalf("it has not kept its lease: %v", <-ended)
	}
	agrees()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if r := read(); r.holder != "" {
		t.Errorf("%q holds the lease afterwards", r.holder)
	}

	files["0003_third.cql"] = "ALTER TABLE one ADD x int;"
	ended = apply(files, "ALTER TABLE one ADD x int")
	epoch := *read().epoch
	if taken, err := lease.write(t.Context(), "somebody else", epoch+1, time.Now().Add(time.Hour), &epoch); err != nil || !taken {
		t.Fatal(taken, err)
	}
	if err := <-ended; !errors.Is(err, errTaken) || !strings.HasPrefix(err.Error(), "changing the schema: renewing the lease schema: another process") {
		t.Errorf("without its lease it ends with %v", err)
	}
}

// disagreesWith lets the contact believe in a node of another data centre, at addr,
// that has another schema. Peer names it.
func (c *contact) disagreesWith(t *testing.T, peer, addr string) {
	t.Helper()
	err := c.exec.Exec(fmt.Sprintf("INSERT INTO system.peers (peer, rpc_address, host_id, data_center, schema_version) VALUES ('%s', '%s', %s, 'elsewhere', %s)",
		peer, addr, gocql.MustRandomUUID(), gocql.MustRandomUUID()))
	if err != nil {
		t.Fatal(err)
	}
}

// forgets ends that.
func (c *contact) forgets(t *testing.T, peer string) {
	t.Helper()
	if err := c.exec.Exec("DELETE FROM system.peers WHERE peer = '" + peer + "'"); err != nil {
		t.Fatal(err)
	}
}

// wait returns when the condition holds, or when the test ends.
func wait(t *testing.T, holds func() bool) {
	for !holds() && t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
}

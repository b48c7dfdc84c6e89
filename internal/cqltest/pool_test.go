package cqltest

import (
	"testing"
)

// TestPool shows that a test finds nothing of the one before but the tables and
// their version, that two tests at once have a keyspace each, and that none is
// left in the end.
func TestPool(t *testing.T) {
	server := Start(t)
	session := server.Session(t)
	do := func(statement string, args ...any) {
		t.Helper()
		if err := session.Query(statement, args...).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(table string) (n int) {
		t.Helper()
		if err := session.Query("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	p := &pool{}
	t.Cleanup(func() { _ = p.drop() }) // if it does not come to the end
	take := func() string {
		t.Helper()
		name, err := p.take(server)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	first, second := take(), take()
	if first == second {
		t.Fatalf("two tests at once got the keyspace %s", first)
	}
	do("CREATE KEYSPACE " + first + " WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}")
	tables := []string{"changes", "leases", historyTable}
	for _, table := range tables {
		do("CREATE TABLE " + first + "." + table + " (a int PRIMARY KEY)")
	}
	for range 2 {
		for _, table := range tables {
			do("INSERT INTO " + first + "." + table + " (a) VALUES (1)")
		}
		p.put(first)
		if got := take(); got != first {
			t.Fatalf("got the keyspace %s, want that of the test before, %s", got, first)
		}
		for _, table := range tables {
			want := 0
			if table == historyTable {
				want = 1
			}
			if n := rows(first + "." + table); n != want {
				t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
	}
	if third := take(); third == first || third == second {
		t.Errorf("the keyspace %s is given to two tests at once", third)
	}
	p.put(second) // its test made nothing
	if got := take(); got != second {
		t.Errorf("got the keyspace %s, want %s", got, second)
	}

	if err := p.drop(); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := session.Query("SELECT COUNT(*) FROM system_schema.keyspaces WHERE keyspace_name IN (?, ?)", first, second).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d keyspaces are left, %v", left, err)
	}
}

package pins

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// TestCost counts the statements of each operation. The package comment has the figures.
func TestCost(t *testing.T) {
	server := cqltest.Start(t)
	if server.Face() != nil {
		t.Skip("SKIPPED BEHIND A FACE: the statements are counted by one of its own, without CQL_FACE")
	}
	face, err := scyllaface.Reserve(scyllaface.Options{Name: server.Name(), Nodes: server.Hosts(), Port: server.Port()})
	if err != nil {
		if strings.HasPrefix(server.Name(), "Apache Cassandra") {
			cqltest.Unavailable(t, fmt.Errorf("no face can be put before it: %w", err))
		}
		t.Skipf("SKIPPED ON %s: no face can be put before it: %v", server.Name(), err)
	}
	t.Cleanup(func() { _ = face.Close() })
	if err := face.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, c := openOn(t, face.Hosts(), face.Port(), server.Keyspace(t)), newClock()
	s := newInstance(db, c, 0)
	s.slicer.rows = 1000
	counted := func() map[string]int {
		all := make(map[string]int)
		for _, what := range []string{"INSERT INTO ", "UPDATE ", "DELETE FROM ", "SELECT "} {
			for _, table := range []string{"pins", "by_status", "slices", "claims", "todo", "usage", "freed", "ended"} {
				for _, op := range []scyllaface.Op{scyllaface.Execute, scyllaface.Batch} {
					for _, node := range face.Nodes() {
						n := node.Count(func(r scyllaface.Request) bool {
							words := " " + r.Statement + " "
							return r.Op == op && strings.HasPrefix(r.Statement, what) &&
								(strings.Contains(words, " INTO "+table+" ") || strings.Contains(words, " FROM "+table+" ") || strings.Contains(words, "UPDATE "+table+" "))
						})
						if n > 0 {
							all[strings.Fields(what)[0]+" "+table+map[bool]string{true: " (batch)"}[op == scyllaface.Batch]] += n
						}
					}
				}
			}
		}
		return all
	}
	cost := func(what func()) string {
		before := counted()
		what()
		var out []string
		after := counted()
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if n := after[name] - before[name]; n > 0 {
				out = append(out, fmt.Sprint(n, " ", name))
			}
		}
		return strings.Join(out, ", ")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create(t, s, newRequest("t1", 0)) // the first one of a tenant reserves places and notes a slice
	var made Request
	quota := Quota{}
	for _, tt := range []struct {
		name string
		what func()
		want string
	}{
		{"Create", func() { made = create(t, s, newRequest("t1", 1)) },
			"1 INSERT by_status (batch), 1 INSERT claims, 1 INSERT pins (batch), 1 INSERT todo"},
		{"Get", func() { _, err := s.Get(t.Context(), "t1", made.ID); must(err) }, "1 SELECT pins"},
		{"List, any status", func() { _, err := s.List(t.Context(), "t1", Query{}); must(err) }, "1 SELECT pins, 1 SELECT slices"},
		{"List, one status", func() { _, err := s.List(t.Context(), "t1", Query{Statuses: []Status{Pinned}}); must(err) }, "1 SELECT by_status, 1 SELECT slices"},
		{"List, two statuses", func() { _, err := s.List(t.Context(), "t1", Query{Statuses: []Status{Pinned, Failed}}); must(err) }, "4 SELECT by_status, 2 SELECT slices"},
		{"List, one CID", func() { _, err := s.List(t.Context(), "t1", Query{CIDs: []string{made.CID}}); must(err) }, "1 SELECT claims, 1 SELECT pins"},
		{"a change of the status", func() {
			c.add(time.Second)
			_, err := s.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned})
			must(err)
		}, "3 DELETE by_status (batch), 1 INSERT by_status, 1 SELECT pins, 1 UPDATE pins (batch)"},
		{"Remove", func() { must(s.Remove(t.Context(), "t1", made.ID)) },
			"4 DELETE by_status (batch), 1 DELETE claims, 1 DELETE pins (batch), 1 INSERT todo, 1 SELECT pins"},
		{"Create, and somebody is told", func() {
			s.told = newEar(t)
			made = create(t, s, newRequest("t1", 1))
		}, "1 INSERT by_status (batch), 1 INSERT claims, 1 INSERT pins (batch), 1 INSERT todo"},
		{"the first sight of it pinned, soon", func() {
			c.add(time.Second)
			_, err := s.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned})
			must(err)
		}, "3 DELETE by_status (batch), 1 INSERT by_status, 1 SELECT pins, 2 UPDATE pins (batch)"},
		{"its size, later", func() {
			c.add(time.Hour)
			_, err := s.tell(t.Context(), "t1", keyOf(t, made.ID), observation{begun: c.now(), status: Pinned, size: 7})
			must(err)
		}, "3 DELETE by_status (batch), 1 INSERT by_status, 1 INSERT todo, 1 SELECT pins, 2 UPDATE pins (batch)"},
		{"Remove, and somebody is told", func() { must(s.Remove(t.Context(), "t1", made.ID)) },
			"4 DELETE by_status (batch), 1 DELETE claims, 1 DELETE pins (batch), 1 INSERT ended (batch), 1 INSERT todo, 1 SELECT pins"},
		{"to tell of it", func() {
			k := keyOf(t, made.ID)
			_, err := s.facts(t.Context(), &todoItem{cid: made.CID, tenant: "t1", key: k, removed: c.now().UnixMilli()})
			must(err)
		}, "1 SELECT ended, 1 SELECT pins"},
		{"Create at a limit", func() {
			quota = Quota{MaxPins: 1000}
			withQuota(s, c, quota)
			made = create(t, s, newRequest("t1", 1))
		}, ""},
	} {
		got := cost(tt.what)
		if tt.want != "" && got != tt.want {
			t.Errorf("%s costs %s\nwant %s", tt.name, got, tt.want)
		}
		t.Logf("%s: %s", tt.name, got)
	}
	t.Logf("Remove with a quota: %s", cost(func() { must(s.Remove(t.Context(), "t1", made.ID)) }))
}

package scylla

import (
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

// TestWriteLogged: writes to several partitions and tables in one logged batch, which both
// engines tell from an unlogged one by refusing counters in it.
func TestWriteLogged(t *testing.T) {
	db := openDB(t, testConfig(t))
	for _, table := range []string{"one", "two"} {
		change(t, db, "CREATE TABLE IF NOT EXISTS "+table+" (k int PRIMARY KEY, v text) WITH ${point}")
	}
	change(t, db, "CREATE TABLE IF NOT EXISTS counts (k int PRIMARY KEY, n counter) WITH ${point}")
	all := []Statement{
		Bind("INSERT INTO one (k, v) VALUES (?, ?) USING TIMESTAMP ?", 1, "a", 1000),
		Bind("INSERT INTO one (k, v) VALUES (?, ?) USING TIMESTAMP ?", 2, "b", 1000),
		Bind("INSERT INTO two (k, v) VALUES (?, ?) USING TIMESTAMP ?", 1, "c", 1000),
	}
	for range 2 { // it may be applied more than once
		if err := db.WriteLogged(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.WriteLogged(t.Context(), []Statement{Bind("DELETE FROM one USING TIMESTAMP ? WHERE k = ?", 2000, 2)}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		table string
		k     int
		want  string
	}{{"one", 1, "a"}, {"one", 2, ""}, {"two", 1, "c"}} {
		var v string
		if _, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM "+tt.table+" WHERE k = ?", tt.k), &v); err != nil || v != tt.want {
			t.Errorf("%s %d: %q, %v, want %q", tt.table, tt.k, v, err, tt.want)
		}
	}
	const count = "UPDATE counts SET n = n + 1 WHERE k = ?"
	if err := db.WriteLogged(t.Context(), []Statement{Bind(count, 1), Bind(count, 2)}); err == nil || !strings.Contains(strings.ToLower(err.Error()), "logged batch") {
		t.Errorf("the batch is not a logged one: %v", err)
	}
}

package scylla

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func migrations(t *testing.T, files map[string]string) []Migration {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	out, err := ReadMigrations(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const firstFile = `-- two tables; the semicolon in this comment does no harm
CREATE TABLE IF NOT EXISTS one (k int PRIMARY KEY, v text) WITH ${point};
CREATE TABLE IF NOT EXISTS two (
    k int PRIMARY KEY
) WITH ${feed};
`

func TestReadMigrations(t *testing.T) {
	got := migrations(t, map[string]string{
		"0001_first.cql":  firstFile,
		"0002_second.cql": "-- min_binary: 2\nALTER TABLE one ADD w int;",
	})
	if len(got) != 2 || len(got[0].Statements) != 2 || got[0].MinBinary != 1 || got[1].MinBinary != 2 {
		t.Fatalf("%+v", got)
	}
	if !strings.HasPrefix(got[0].Statements[1], "CREATE TABLE IF NOT EXISTS two (\n") {
		t.Errorf("second statement %q", got[0].Statements[1])
	}
	for name, files := range map[string]fstest.MapFS{
		"gap":         {"0002_x.cql": {Data: []byte(firstFile)}},
		"name":        {"1_x.cql": {Data: []byte(firstFile)}},
		"two columns": {"0001_x.cql": {Data: []byte("ALTER TABLE one ADD a int, b int;")}},
		"drop one":    {"0001_x.cql": {Data: []byte("ALTER TABLE one DROP a;")}},
		"drop under an old binary": {
			"0001_x.cql": {Data: []byte(firstFile)}, "0002_x.cql": {Data: []byte("ALTER TABLE one DROP (v);")},
		},
		"for later binaries only": {"0001_x.cql": {Data: []byte("-- min_binary: 2\n" + firstFile)}},
		"insert":                  {"0001_x.cql": {Data: []byte("INSERT INTO one (k) VALUES (1);")}},
	} {
		if _, err := ReadMigrations(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestApplySchemaAtOnce lets several processes start on an empty keyspace.
func TestApplySchemaAtOnce(t *testing.T) {
	conf := testConfig(t)
	files := migrations(t, map[string]string{"0001_first.cql": firstFile})
	const peers = 4
	errs := make([]error, peers)
	var wg sync.WaitGroup
	for i := range peers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			db, err := Open(t.Context(), conf, noSetup)
			if err == nil {
				err = db.ApplySchema(t.Context(), files)
				db.Close()
			}
			errs[i] = err
		}()
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("peer %d: %v", i, err)
		}
	}
	db := openDB(t, conf)
	var rows int
	if err := db.Session.Query("SELECT COUNT(*) FROM schema_history").Scan(&rows); err != nil || rows != 1 {
		t.Fatalf("%d rows in schema_history, %v", rows, err)
	}
	for _, table := range []string{"one", "two", "leases", "schema_history"} {
		var id string
		if err := db.Session.Query("SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?", conf.Keyspace, table).Scan(&id); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		if want := db.Dialect.TableID(conf.Keyspace, table); want != "" && !strings.HasSuffix(want, id) {
			t.Errorf("table %s has id %s, want%s", table, id, want)
		}
	}
}

func TestCheckSchema(t *testing.T) {
	conf := testConfig(t)
	db := openDB(t, conf)
	one := map[string]string{"0001_first.cql": firstFile}
	two := map[string]string{"0001_first.cql": firstFile, "0002_second.cql": "-- min_binary: 2\nALTER TABLE one ADD w int;"}

	missing, err := db.CheckSchema(t.Context(), migrations(t, two))
	if err != nil || len(missing) != 2 {
		t.Fatalf("an empty keyspace lacks %d files, %v", len(missing), err)
	}
	for range 2 { // the second time there is nothing to do
		if err := db.ApplySchema(t.Context(), migrations(t, two)); err != nil {
			t.Fatal(err)
		}
	}
	if missing, err = db.CheckSchema(t.Context(), migrations(t, two)); err != nil || len(missing) != 0 {
		t.Fatalf("missing %d, %v", len(missing), err)
	}
	_, err = db.CheckSchema(t.Context(), migrations(t, one))
	if !Permanent(err) || !strings.Contains(text(err), "needs a binary with schema version 2 or newer; this one has 1") {
		t.Errorf("an old binary: %v", err)
	}
	two["0001_first.cql"] += "-- changed\n"
	_, err = db.CheckSchema(t.Context(), migrations(t, two))
	if !Permanent(err) || !strings.Contains(text(err), "0001_first.cql differs") {
		t.Errorf("a changed file: %v", err)
	}
	other := map[string]string{"0001_other.cql": firstFile}
	_, err = db.CheckSchema(t.Context(), migrations(t, other))
	if !Permanent(err) || !strings.Contains(text(err), "has the tables of another program: schema file 0001_first.cql was applied to it, where this one has 0001_other.cql") {
		t.Errorf("another program: %v", err)
	}
}

// TestLease shows that one holder keeps another waiting, that a lease that ran
// out is taken, and that its old holder then cannot renew it.
func TestLease(t *testing.T) {
	conf := testConfig(t)
	db := openDB(t, conf)
	change(t, db, leasesTable)
	first, err := db.AcquireLease(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *Lease, 1)
	go func() {
		l, err := db.AcquireLease(t.Context(), "x")
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	if err := first.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
		t.Fatal("two processes hold one lease")
	default:
	}
	first.Release(t.Context())
	second := <-got

	// The second one is paused until its time is over.
	if applied, err := second.write(t.Context(), second.holder, second.epoch, time.Unix(1, 0), &second.epoch); err != nil || !applied {
		t.Fatal(applied, err)
	}
	third, err := db.AcquireLease(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Renew(t.Context()); err == nil {
		t.Error("a lost lease was renewed")
	}
	third.Release(t.Context())
}

// TestLeaseTakenWithoutAnAnswer shows that a lease which turns out to be one's own,
// taken by a try whose answer was lost, can be renewed and given back.
func TestLeaseTakenWithoutAnAnswer(t *testing.T) {
	db := openDB(t, testConfig(t))
	change(t, db, leasesTable)
	lost := &Lease{db: db, name: "x", holder: "this process"}
	for epoch, old := int64(1), (*int64)(nil); epoch <= 3; epoch++ {
		if taken, err := lost.write(t.Context(), lost.holder, epoch, time.Now().Add(leaseTime), old); err != nil || !taken {
			t.Fatal(taken, err)
		}
		before := epoch
		old = &before
	}
	if err := lost.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lost.epoch != 3 || time.Until(lost.until) > leaseTime || time.Until(lost.until) < leaseTime/2 {
		t.Errorf("it is held at epoch %d until %s", lost.epoch, lost.until)
	}
	if err := lost.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	lost.Release(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), leaseTime/2)
	defer cancel()
	next, err := db.AcquireLease(ctx, "x")
	if err != nil {
		t.Fatalf("it was not given back: %v", err)
	}
	next.Release(t.Context())
}

func TestSkew(t *testing.T) {
	db := openDB(t, testConfig(t))
	skew, err := db.Skew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if skew.Ahead.Abs() > 100*time.Millisecond || skew.Spread > 200*time.Millisecond {
		t.Errorf("the clock of this machine is off the clock of this machine: %+v", skew)
	}
}

// TestApplySchemaAfterDeath shows that a file is applied by whoever follows a
// process that died in the middle of it.
func TestApplySchemaAfterDeath(t *testing.T) {
	conf := testConfig(t)
	db := openDB(t, conf)
	one := map[string]string{"0001_first.cql": firstFile}
	if err := db.ApplySchema(t.Context(), migrations(t, one)); err != nil {
		t.Fatal(err)
	}
	statements := []string{
		"ALTER TABLE one ADD w int",
		"ALTER TABLE one ADD (x int, y frozen<list<text>>)",
		"ALTER TABLE two ADD (z int)",
		"ALTER TABLE one DROP (v, w)",
		"ALTER TABLE one WITH ${expiring}",
	}
	for _, s := range statements {
		change(t, db, s)
	}
	two := map[string]string{"0001_first.cql": firstFile, "0002_second.cql": "-- min_binary: 2\n" + strings.Join(statements[1:], ";\n") + ";\nALTER TABLE one ADD last int;"}
	if err := db.ApplySchema(t.Context(), migrations(t, two)); err != nil {
		t.Fatal(err)
	}
	if err := db.Session.Query("UPDATE one SET x = 1, y = ['a'], last = 2 WHERE k = 1").Exec(); err != nil {
		t.Error(err)
	}
	var grace int
	err := db.Session.Query("SELECT gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'one'", conf.Keyspace).Scan(&grace)
	if err != nil || grace != 86400 {
		t.Errorf("tombstones stay for %d s, %v", grace, err)
	}
	if err := db.Session.Query("SELECT v FROM one").Exec(); err == nil {
		t.Error("the column v is still there")
	}
}

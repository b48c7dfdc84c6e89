package audittable

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// A chain is written, found, and gone on with by the next process; each writer has its own.
func TestTable(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	kept := new(copies)
	o := options("gw-1")
	o.Chain.Every, o.Chain.Copies = 5, []audit.CheckpointCopy{kept}
	for start := range 3 {
		table := openTable(t, db, o)
		fill(t, table, fmt.Sprint("a", start), 7)
		must(t, table.Close())
	}
	other := openTable(t, db, options("gw-2"))
	fill(t, other, "b", 2)
	must(t, other.Close())

	report := mustBeIntact(t, db, kept.all)
	if len(report.Writers) != 2 {
		t.Fatalf("%+v", report)
	}
	w := report.Writers[0]
	if w.Writer != "gw-1" || w.First != 1 || w.Starts != 3 || w.Sealed != w.Last-1 || w.Last < 3*9 || len(kept.all) < 6 {
		t.Errorf("%+v, %d copies", w, len(kept.all))
	}
	found := search(t, db)
	if len(found) != 3*7+2 || found["a0-0"].Event.Resource.Name != "a <name> & \u20ac" {
		t.Errorf("%d events: %+v", len(found), found["a0-0"])
	}
}

// gated holds conditional updates until the gate is closed, and counts them.
func gated(l *tableLog, gate <-chan struct{}, began func()) *atomic.Int64 {
	var n atomic.Int64
	cas := l.cas
	l.cas = func(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
		n.Add(1)
		began()
		<-gate
		return cas(ctx, s)
	}
	return &n
}

// startLog starts a chain on a log whose conditional updates a test has changed.
func startLog(t *testing.T, db *scylla.DB, writer string, change func(*tableLog)) *audit.Chain {
	t.Helper()
	log := newTestLog(db, writer)
	at, err := log.end(t.Context())
	must(t, err)
	chain, err := audit.StartChain(options(writer).Chain, log, at, nil)
	must(t, err)
	change(log) // the goroutine that writes looks at it with the first record, which comes later
	return chain
}

func newTestLog(db *scylla.DB, writer string) *tableLog {
	return newLog(db, gocql.MustRandomUUID(), options(writer), func() bool { return false })
}

// All records that wait at a moment are one row.
func TestTogether(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	gate, began := make(chan struct{}), make(chan struct{})
	var updates *atomic.Int64
	chain := startLog(t, db, "gw-1", func(l *tableLog) { updates = gated(l, gate, sync.OnceFunc(func() { close(began) })) })
	var wg sync.WaitGroup
	var waiting atomic.Int64
	for i := range 200 {
		wg.Go(func() {
			waiting.Add(1)
			if err := appendIntent(t.Context(), chain, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	<-began
	close(gate)
	wg.Wait()
	// What is recorded while a row is made waits for the next.
	if n := updates.Load(); n > 100 {
		t.Errorf("200 records took %d rows", n)
	}
	must(t, chain.Close())
	if last := mustBeIntact(t, db, nil).Writers[0].Last; last != 202 {
		t.Errorf("%d records", last)
	}
}

// Rows go into partitions of a bounded number of records, and the end is found in the last.
func TestBlocks(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	o := options("gw-1")
	for range 2 {
		table := openTable(t, db, o)
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				for range 11 {
					if err := appendIntent(t.Context(), table, "x"); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		must(t, table.Close())
	}
	w := mustBeIntact(t, db, nil).Writers[0]
	if w.Files != 3 || w.Last < 11000 || w.Starts != 2 {
		t.Errorf("%+v", w)
	}
	for _, r := range rowsOf(t, db, "gw-1", 1) {
		if blockOf(r.seq) != 1 || r.seq <= blockRecords || r.seq > 2*blockRecords {
			t.Errorf("block 1 has the row %d", r.seq)
		}
	}
	// The row of audit_writers is a help, not the truth.
	change(t, db, "UPDATE audit_writers SET newest = 0 WHERE writer = 'gw-1'")
	table := openTable(t, db, o)
	must(t, table.Close())
	mustBeIntact(t, db, nil)
}

// A second process with the name of one that lives does not start and changes nothing; the
// name is free when it has ended.
func TestSecondProcess(t *testing.T) {
	conf := newKeyspace(t)
	db, theirs := openDB(t, conf), openDB(t, conf)
	o := options("gw-1")
	o.leaseTime = time.Hour
	table := openTable(t, db, o)
	o.leaseWait = time.Second
	if _, err := Open(t.Context(), theirs, o); !errors.Is(err, ErrTaken) {
		t.Fatalf("the second: %v", err)
	}
	other := openTable(t, theirs, options("gw-2"))
	fill(t, table, "a", 3)
	must(t, other.Close())
	must(t, table.Close())
	if w := mustBeIntact(t, db, nil).Writers[0]; w.Starts != 1 || w.Last != 5 {
		t.Errorf("%+v", w)
	}
	must(t, openTable(t, theirs, options("gw-1")).Close())
}

// One that was taken for dead and goes on does not write over what another has recorded, and
// is told so for each record.
func TestWakesUpLate(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	paused := startLog(t, db, "gw-1", func(*tableLog) {}) // without a lease, as if it had run out
	fill(t, paused, "a", 2)
	table := openTable(t, db, options("gw-1"))
	fill(t, table, "b", 2)
	before := rowsOf(t, db, "gw-1", 0)
	for range 2 {
		if err := appendIntent(t.Context(), paused, "late"); !errors.Is(err, ErrTaken) {
			t.Fatalf("one that woke up late: %v", err)
		}
	}
	if err := paused.Close(); !errors.Is(err, ErrTaken) {
		t.Errorf("it closed: %v", err)
	}
	if after := rowsOf(t, db, "gw-1", 0); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the rows were %v and are %v", before, after)
	}
	must(t, table.Close())
	mustBeIntact(t, db, nil)
	if _, there := search(t, db)["late"]; there {
		t.Error("what was refused is there")
	}
}

// The lease is prolonged as long as the table is open.
func TestLeaseKept(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	table := openTable(t, db, options("gw-1"))
	until := func() (at time.Time) {
		must(t, db.Session.Query("SELECT until FROM leases WHERE name = 'audit/gw-1'").Scan(&at))
		return at
	}
	first := until()
	cqltest.WaitFor(t, "a lease that is prolonged", func() bool { return until().After(first) })
	must(t, table.Close())
	if !until().Equal(time.Unix(0, 0)) {
		t.Errorf("after the end it is held until %s", until())
	}
}

// A lease that another has taken ends the recording.
func TestLeaseLost(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	told := make(chan error, 1)
	o := options("gw-1")
	o.LeaseFailed = func(err error) { told <- err }
	table := openTable(t, db, o)
	change(t, db, "UPDATE leases SET holder = 'another', epoch = 9999999999999, until = ? WHERE name = 'audit/gw-1' IF EXISTS", time.Now().Add(time.Hour))
	if err := <-told; !errors.Is(err, ErrTaken) {
		t.Fatal(err)
	}
	if err := appendIntent(t.Context(), table, "a"); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	if err := table.Close(); err == nil {
		t.Error("the last checkpoint was not written, and nobody is told")
	}
}

var errLost = errors.New("the answer was lost")

// losing makes a log lose the answers of its next n conditional updates; applied says whether
// they work.
func losing(l *tableLog, n int64, applied bool) {
	cas := l.cas
	var left atomic.Int64
	left.Store(n)
	l.cas = func(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
		if left.Add(-1) < 0 {
			return cas(ctx, s)
		}
		if applied {
			if _, _, err := cas(ctx, s); err != nil {
				return false, nil, err
			}
		}
		return false, nil, errLost
	}
}

// A write without an answer is sent again, and is one.
func TestLostAnswer(t *testing.T) {
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint(applied), func(t *testing.T) {
			db := openDB(t, newKeyspace(t))
			chain := startLog(t, db, "gw-1", func(l *tableLog) { losing(l, 2, applied) })
			fill(t, chain, "a", 3)
			must(t, chain.Close())
			if w := mustBeIntact(t, db, nil).Writers[0]; w.Last != 5 {
				t.Errorf("%+v", w)
			}
		})
	}
}

// A write whose outcome stays unknown is an error, and is settled before the next record,
// whether it was applied or not.
func TestUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint(applied), func(t *testing.T) {
			db := openDB(t, newKeyspace(t))
			var lost atomic.Bool
			var log *tableLog // is touched only while nothing is being written
			chain := startLog(t, db, "gw-1", func(l *tableLog) {
				log = l
				cas := l.cas
				l.cas = func(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
					if !lost.Load() {
						return cas(ctx, s)
					}
					if applied {
						if _, _, err := cas(ctx, s); err != nil {
							return false, nil, err
						}
					}
					<-ctx.Done()
					return false, nil, ctx.Err()
				}
			})
			fill(t, chain, "a", 1)
			lost.Store(true)
			log.limit = time.Second
			for range 2 { // the second finds the first open
				if err := appendIntent(t.Context(), chain, "unknown"); !errors.Is(err, audit.ErrOpen) {
					t.Fatal(err)
				}
			}
			lost.Store(false)
			log.limit = time.Minute
			fill(t, chain, "b", 1)
			must(t, chain.Close())
			if w := mustBeIntact(t, db, nil).Writers[0]; w.Last != 5 { // start, a-0, the first unknown, b-0, checkpoint
				t.Errorf("%+v", w)
			}
			if f := search(t, db)["unknown"]; f.Result.Verdict != audit.Unknown {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What a process that died had under way belongs to the chain, also if it comes late.
func TestLeftUnderWay(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	dead := startLog(t, db, "gw-1", func(*tableLog) {})
	fill(t, dead, "a", 1)
	log := newTestLog(db, "gw-1")
	late := sync.OnceFunc(func() { must(t, appendIntent(t.Context(), dead, "late")) })
	cas := log.cas
	log.cas = func(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
		late() // after the end was read
		return cas(ctx, s)
	}
	chain, err := start(t.Context(), log, options("gw-1").Chain)
	must(t, err)
	fill(t, chain, "b", 1)
	must(t, chain.Close())
	if err := dead.Close(); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	if w := mustBeIntact(t, db, nil).Writers[0]; w.Starts != 2 {
		t.Errorf("%+v", w)
	}
	if found := search(t, db); found["late"].Result.Verdict != audit.Unknown || found["b-0"].ID == "" {
		t.Errorf("%v", found)
	}
}

// A chain whose end was changed is not gone on with.
func TestChangedEnd(t *testing.T) {
	db := openDB(t, newKeyspace(t))
	table := openTable(t, db, options("gw-1"))
	fill(t, table, "a", 2)
	must(t, table.Close())
	all := rowsOf(t, db, "gw-1", 0)
	r := all[len(all)-1]
	r.lines = strings.Replace(r.lines, "sealed", "seaked", 1)
	r.put(t, db)
	if _, err := Open(t.Context(), db, options("gw-1")); err == nil || !strings.Contains(err.Error(), "not as they were written") {
		t.Errorf("it was opened: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"writer":    func(o *Options) { o.Chain.Writer = "GW" },
		"key":       func(o *Options) { o.Chain.Key = nil },
		"retention": func(o *Options) { o.Retention = time.Millisecond },
		"for ever":  func(o *Options) { o.Retention = 21 * 365 * 24 * time.Hour },
	} {
		o := options("gw-1")
		spoil(&o)
		if _, err := Open(t.Context(), nil, o); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}

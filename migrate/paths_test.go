package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestRunThatMeetsAPeerContinuesWithConditionalWrites(t *testing.T) {
	for stop := 1; stop <= 10; stop++ {
		items := mixedItems(t, 100)
		src, dst := newFakeSource(t, items...), newFakeTarget(t)
		users := testPin("of a user")
		changed := testPin("pin 99", func(p *api.Pin) { p.Name, p.Timestamp = "changed", time.Unix(1_900_000_000, 0) })
		dst.after = func(op string) {
			if op == "write" && dst.opsNamed("write") == stop {
				for _, pin := range []api.Pin{users, changed} {
					if err := dst.update(pin.Cid, func(*api.Pin) (*api.Pin, error) { return &pin, nil }); err != nil {
						t.Error(err)
					}
				}
			}
		}
		_, err := Run(t.Context(), src, dst, often())
		if !errors.Is(err, state.ErrLive) {
			t.Fatal("Run: ", err)
		}
		wantError(t, err, "run the same command again, it goes on with conditional writes")
		stored := dst.migrations[src.id]
		if stored.Phase == state.MigrationDone {
			t.Fatal("the run is stored as done")
		}
		_, err = Run(t.Context(), src, dst, often())
		wantError(t, err, changed.Cid.String(), "--existing newer", "2030-03-17T17:46:40Z", "2020-09-13T12:26:40Z")
		opts := often()
		opts.Existing = ExistingNewer
		report := mustRun(t, src, dst, opts)
		want, bad := wanted(items)
		want[string(users.Cid.Bytes())] = string(encode(t, users))
		want[string(changed.Cid.Bytes())] = string(encode(t, changed))
		sameContentAs(t, dst, want)
		if report.Run != 1 || report.Bulk || report.Bad != bad || report.Replaced != 0 {
			t.Errorf("stopped at write %d: run %d, bulk %v, %d bad, %d replaced", stop, report.Run, report.Bulk, report.Bad, report.Replaced)
		}
		if from := src.from[2]; from != stored.Read { // the first run has read twice
			t.Errorf("went on after record %d: want %d", from, stored.Read)
		}
	}
}

// sameContentAs compares pins and not their encodings.
func sameContentAs(t *testing.T, dst *fakeTarget, want map[string]string) {
	t.Helper()
	got := dst.values()
	if len(got) != len(want) {
		t.Errorf("the pinset holds %d pins: want %d", len(got), len(want))
	}
	for key, value := range want {
		a, err := decodeRow([]byte(key), []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		b, err := decodeRow([]byte(key), []byte(got[key]))
		if err != nil || !sameContent(a, b) {
			t.Errorf("%s: stored is another pin (%v)", a.Cid, err)
		}
	}
}

func TestPeerThatComesBetweenLookingAndBeginningIsNoticed(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 5)...), newFakeTarget(t)
	dst.fail = func(op string, _ int) error {
		if op == "begin" {
			dst.live.By = "a peer"
		}
		return nil
	}
	_, err := Run(t.Context(), src, dst, Options{})
	if !errors.Is(err, state.ErrLive) {
		t.Fatal("Run: ", err)
	}
	report := mustRun(t, src, dst, Options{})
	if report.Bulk || len(dst.rows) != 5 {
		t.Errorf("bulk %v, %d pins", report.Bulk, len(dst.rows))
	}
}

func TestPinsOfAnotherMigrationAreInTheWay(t *testing.T) {
	first, second, dst := newFakeSource(t, pinItems(t, 20)...), newFakeSource(t, pinItems(t, 30)...), newFakeTarget(t)
	second.id = "fake:/second"
	mustRun(t, first, dst, Options{})
	_, err := Run(t.Context(), second, dst, Options{})
	wantError(t, err, "holds 20 pins")
	report := mustRun(t, second, dst, Options{Existing: ExistingKeep})
	if report.Bulk || report.Kept != 20 || report.Copied != 10 || len(dst.rows) != 30 {
		t.Errorf("bulk %v, %d kept, %d copied, %d pins", report.Bulk, report.Kept, report.Copied, len(dst.rows))
	}
}

func TestMigrationThatCameBetweenMakesTheRunCountAgain(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 100)...), newFakeTarget(t)
	broken := errors.New("broken")
	src.fail = func(n int64) error {
		if n == 50 {
			return broken
		}
		return nil
	}
	if _, err := Run(t.Context(), src, dst, often()); !errors.Is(err, broken) {
		t.Fatal("Run: ", err)
	}
	src.fail = nil
	other := state.Migration{ID: "other", Run: 1, Bulk: true, Phase: state.MigrationDone, Updated: time.Now()}
	dst.migrations["other"] = other
	dst.rows["a key"] = row{id: "other", run: 1, number: 1}
	_, err := Run(t.Context(), src, dst, often())
	wantError(t, err, "holds 1 pins")
	delete(dst.rows, "a key")
	if report := mustRun(t, src, dst, often()); !report.Bulk || !report.Resumed {
		t.Errorf("bulk %v, resumed %v: the other migration has left nothing", report.Bulk, report.Resumed)
	}
	if n := dst.opsNamed("count"); n != 3 {
		t.Errorf("the pins were counted %d times: want 3", n)
	}
}

func TestConditionalRunNeverGoesOnInBulk(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 40)...), newFakeTarget(t)
	mustRun(t, src, dst, often())
	// A pin of somebody else makes the second run a conditional one, which keeps
	// all it meets. Then that pin is gone.
	dst.rows["a key"] = row{}
	src.fingerprint = "two"
	opts := often()
	opts.Existing = ExistingKeep
	breakOff(t, src, dst, opts, 30)
	delete(dst.rows, "a key")
	report := mustRun(t, src, dst, opts)
	if report.Bulk || len(dst.rows) != 40 {
		t.Errorf("bulk %v, %d pins are left of 40", report.Bulk, len(dst.rows))
	}
	if n := dst.opsNamed("count"); n != 2 {
		t.Errorf("the pins were counted %d times: want once when each run was begun", n)
	}
}

func TestChangedSourceBeginsAnewAndTheSweepRemovesWhatHasVanished(t *testing.T) {
	items := pinItems(t, 100)
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	mustRun(t, src, dst, often())
	src.items, src.fingerprint = append(items[:40:40], pinItem(t, testPin("new"))), "two"
	report := mustRun(t, src, dst, often())
	want, _ := wanted(src.items)
	wantValues(t, dst, want)
	if report.Run != 2 || report.Removed != 60 || report.Resumed || dst.migrations[src.id].Removed != 60 {
		t.Errorf("run %d, %d removed, resumed %v: want run 2, 60 removed", report.Run, report.Removed, report.Resumed)
	}
	report = mustRun(t, src, dst, often()) // the same again does no harm
	wantValues(t, dst, want)
	if report.Run != 3 || report.Removed != 0 {
		t.Errorf("run %d, %d removed: want run 3, none removed", report.Run, report.Removed)
	}
}

func TestUnfinishedRunIsNotContinuedWithAnother(t *testing.T) {
	changes := map[string]func(*fakeSource, *Options){
		"source":            func(s *fakeSource, _ *Options) { s.fingerprint = "two" },
		"change":            func(_ *fakeSource, o *Options) { o.Change.ReplicationMin = 2 },
		"nobody can tell":   func(s *fakeSource, _ *Options) { s.fingerprint = "" },
		"nobody could tell": func(*fakeSource, *Options) {},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
			if name == "nobody could tell" {
				src.fingerprint = ""
			}
			breakOff(t, src, dst, often(), 35)
			opts := often()
			change(src, &opts)
			report := mustRun(t, src, dst, opts)
			if from := src.from[len(src.from)-1]; report.Run != 2 || report.Resumed || from != 0 || report.Copied != 50 {
				t.Errorf("run %d, resumed %v from %d, %d copied", report.Run, report.Resumed, from, report.Copied)
			}
			for _, r := range dst.rows {
				if r.run != 2 {
					t.Fatal("a row is still that of the first run")
				}
			}
		})
	}
}

func TestSweepRemovesNothingWhenInDoubt(t *testing.T) {
	tests := map[string]struct {
		then func(*fakeSource, *fakeTarget)
		note string
	}{
		"bad records":        {func(s *fakeSource, _ *fakeTarget) { s.items = append(s.items[:20:20], item{bad: "bad"}) }, "1 records cannot be read"},
		"an empty source":    {func(s *fakeSource, _ *fakeTarget) { s.items = nil }, "the source holds none"},
		"a damaged source":   {func(s *fakeSource, _ *fakeTarget) { s.items, s.mayLack = s.items[:20], true }, "the source may lack pins"},
		"not asked for":      {nil, "--remove-missing removes it"},
		"conditional writes": {func(s *fakeSource, d *fakeTarget) { s.items, d.live.By = s.items[:20], "a peer" }, "a run with conditional writes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
			mustRun(t, src, dst, often())
			src.fingerprint = "two"
			opts := often()
			if test.then == nil {
				opts.RemoveMissing = false
				src.items = src.items[:20]
			} else {
				test.then(src, dst)
			}
			report := mustRun(t, src, dst, opts)
			if len(dst.rows) != 50 || report.Removed != 0 || dst.opsNamed("sweep") != 0 {
				t.Errorf("%d pins are left of 50, %d removed", len(dst.rows), report.Removed)
			}
			if !strings.Contains(fmt.Sprint(report.Notes), test.note) {
				t.Errorf("the notes are %q: want %q in them", report.Notes, test.note)
			}
		})
	}
}

func TestSweepThatWasStoppedIsMadeAgainWithoutReading(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	mustRun(t, src, dst, often())
	src.items, src.fingerprint = src.items[:20], "two"
	dst.fail = func(op string, _ int) error {
		if op == "sweep" {
			return errors.New("stopped")
		}
		return nil
	}
	_, err := Run(t.Context(), src, dst, often())
	wantError(t, err, "stopped", "20 of 20 records")
	dst.fail = nil
	reads := len(src.from)
	report := mustRun(t, src, dst, often())
	if len(src.from) != reads || report.Removed != 30 || len(dst.rows) != 20 || report.Copied != 20 {
		t.Errorf("%d reads, %d removed, %d left, %d copied", len(src.from)-reads, report.Removed, len(dst.rows), report.Copied)
	}
}

func TestRunsComeToAnEnd(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 3)...), newFakeTarget(t)
	dst.migrations[src.id] = state.Migration{ID: src.id, Run: state.MaxMigrationRuns, Phase: state.MigrationDone}
	_, err := Run(t.Context(), src, dst, Options{})
	wantError(t, err, "800 times", "new keyspace", "state import")
	plan, err := MakePlan(t.Context(), src, dst, Options{})
	if err != nil || !strings.Contains(plan.Refused, "new keyspace") {
		t.Errorf("the plan: %v, %+v", err, plan)
	}
}

func TestLastOfTwoPinsOfOneCidWins(t *testing.T) {
	twice := pinItems(t, 30)
	for i := range 20 {
		twice = append(twice, pinItem(t, testPin(fmt.Sprint("pin ", i), func(p *api.Pin) { p.Name = "again" })))
	}
	for _, window := range []int{7, 1000} {
		src, dst := newFakeSource(t, twice...), newFakeTarget(t)
		report := mustRun(t, src, dst, Options{Window: window})
		want, _ := wanted(twice)
		wantValues(t, dst, want)
		if duplicates := report.Duplicates; window == 1000 && duplicates != 20 || window == 7 && duplicates != 0 {
			t.Errorf("%d duplicates in windows of %d", duplicates, window)
		}
		wantComparison(t, src, dst, Comparison{Records: 50, Pins: 50, Target: 30, Duplicates: 20, Passes: 1})
	}
	src, dst := newFakeSource(t, twice...), newFakeTarget(t)
	dst.live.By = "a peer"
	mustRun(t, src, dst, Options{}) // in one window, so that nothing is in the way
	want, _ := wanted(twice)
	wantValues(t, dst, want)
}

func TestDryRunWritesNothing(t *testing.T) {
	src, dst := newFakeSource(t, mixedItems(t, 50)...), newFakeTarget(t)
	want, bad := wanted(src.items)
	report := mustRun(t, src, dst, Options{DryRun: true, Window: 10, CheckpointEvery: 1})
	if !report.DryRun || !report.Bulk || report.Copied != int64(len(want)) || report.Bad != bad {
		t.Errorf("the report is %+v", report)
	}
	dst.live.By = "a peer"
	for since, reason := range map[time.Time]string{
		{}:                          "the pinset is in use (a peer)",
		time.Unix(1_700_000_000, 0): "the pinset is in use since 2023-11-14T22:13:20Z (a peer)",
	} {
		dst.live.Since = since
		if report := mustRun(t, src, dst, Options{DryRun: true}); report.Bulk || report.Reason != reason {
			t.Errorf("bulk %v: %q, want %q", report.Bulk, report.Reason, reason)
		}
	}
	if len(dst.rows)+len(dst.migrations) > 0 || dst.opsNamed("begin")+dst.opsNamed("checkpoint")+dst.opsNamed("sweep") > 0 {
		t.Errorf("%d rows, %d migrations, operations %v", len(dst.rows), len(dst.migrations), dst.ops)
	}
	_, err := Run(t.Context(), src, dst, Options{DryRun: true, Change: Change{ReplicationMin: 5}})
	wantError(t, err, "replication factors 5 to 2", "no pin was written")
}

func TestChangeIsMadeInEveryPin(t *testing.T) {
	change := Change{ReplicationMin: 2, ReplicationMax: 3}
	for _, live := range []bool{false, true} {
		src, dst := newFakeSource(t, mixedItems(t, 50)...), newFakeTarget(t)
		if live {
			dst.live.By = "a peer"
		}
		mustRun(t, src, dst, Options{Change: change})
		for key, value := range dst.values() {
			pin, err := decodeRow([]byte(key), []byte(value))
			if err != nil || pin.ReplicationFactorMin != 2 || pin.ReplicationFactorMax != 3 {
				t.Fatalf("%v, %+v", err, pin)
			}
		}
		recorded, err := RecordedChange(dst.migrations[src.id])
		if err != nil {
			t.Fatal(err)
		}
		comparison, err := Verify(t.Context(), src, dst, Options{Change: recorded})
		if err != nil || comparison.Missing+comparison.Extra+comparison.Different != 0 || comparison.Target == 0 {
			t.Errorf("%v, %+v", err, comparison)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for part, opts := range map[string]Options{
		`"older" is unknown`: {Existing: "older"},
		"more than":          {Change: Change{ReplicationMin: 3, ReplicationMax: 2}},
		"use 1 or more":      {Change: Change{ReplicationMin: -1}},
	} {
		src, dst := newFakeSource(t), newFakeTarget(t)
		_, err := Run(t.Context(), src, dst, opts)
		wantError(t, err, part)
		_, err = MakePlan(t.Context(), src, dst, opts)
		wantError(t, err, part)
	}
}

package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// often stores the position after each window of 10.
func often() Options { return Options{CheckpointEvery: 1, Window: 10, RemoveMissing: true} }

func mustRun(t *testing.T, src *fakeSource, dst *fakeTarget, opts Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), src, dst, opts)
	if err != nil {
		t.Fatal("Run: ", err)
	}
	if sum := report.Copied + report.Kept + report.Bad + report.TooLarge + report.Duplicates; sum != report.Records || !report.Complete {
		t.Errorf("of %d records %d were copied, %d kept, %d bad, %d duplicates, complete %v",
			report.Records, report.Copied, report.Kept, report.Bad, report.Duplicates, report.Complete)
	}
	dst.mu.Lock() // another run may be under way
	defer dst.mu.Unlock()
	for key, row := range dst.rows {
		if row.id == src.id && row.run == report.Run && !dst.indexed[key] {
			t.Fatalf("the pin of record %d is there without what belongs to it", row.number)
		}
	}
	return report
}

// breakOff makes a run whose source cannot be read from a record on, and then can.
func breakOff(t *testing.T, src *fakeSource, dst *fakeTarget, opts Options, record int64) {
	t.Helper()
	src.fail = func(n int64) error {
		if n == record {
			return errors.New("broken")
		}
		return nil
	}
	_, err := Run(t.Context(), src, dst, opts)
	wantError(t, err, "broken")
	src.fail = nil
}

func wantValues(t *testing.T, dst *fakeTarget, want map[string]string) {
	t.Helper()
	if got := dst.values(); !maps.Equal(got, want) {
		t.Errorf("the pinset is another than it should be: it holds %d pins, want %d", len(got), len(want))
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error: want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q: want %q in it", err, part)
		}
	}
}

func TestPinsArriveByteForByte(t *testing.T) {
	var items []item
	for _, s := range statetest.Samples(t) {
		items = append(items, pinItem(t, s.Pin), oldItem(t, testPin("old "+s.Name)))
	}
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	report := mustRun(t, src, dst, Options{})
	want, _ := wanted(items)
	wantValues(t, dst, want)
	if !report.Bulk || report.Copied != int64(len(items)) || report.Run != 1 || report.Total != int64(len(items)) || report.Warnings == nil {
		t.Errorf("the report is %+v", report)
	}
	if m := dst.migrations[src.id]; m.Phase != state.MigrationDone || m.Read != int64(len(items)) {
		t.Errorf("the migration is stored as %s after %d records", m.Phase, m.Read)
	}
	for i, it := range items {
		if r := dst.rows[string(it.cid.Bytes())]; r.number != int64(i+1) || r.run != 1 {
			t.Errorf("record %d is written as record %d of run %d", i+1, r.number, r.run)
		}
	}
	if dst.live.Yes() || dst.opsNamed("update") > 0 {
		t.Error("the run has used the pinset as a peer does")
	}
}

func TestBadRecordsAreCountedAndTheFirstNamed(t *testing.T) {
	items := mixedItems(t, 600)
	items = append(items, item{bad: strings.Repeat("long", listedText)})
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	report := mustRun(t, src, dst, often())
	want, bad := wanted(items)
	wantValues(t, dst, want)
	if report.Bad != bad || len(report.BadRecords) != listed {
		t.Errorf("%d bad records, %d named: want %d, %d named", report.Bad, len(report.BadRecords), bad, listed)
	}
	if first := report.BadRecords[0]; first.At != "line 6" || first.Error != "the source cannot read it" {
		t.Errorf("the first bad record is %+v", first)
	}
}

// TestRunGoesOnAfterAnyStop stops a run at each of its operations: for good, as a
// kill does, and by an error after which the position can still be stored.
func TestRunGoesOnAfterAnyStop(t *testing.T) {
	for _, live := range []bool{false, true} {
		for _, kill := range []bool{false, true} {
			t.Run(fmt.Sprintf("live=%v kill=%v", live, kill), func(t *testing.T) {
				items := mixedItems(t, 65)
				want, bad := wanted(items)
				for stop := 1; ; stop++ {
					src, dst := newFakeSource(t, items...), newFakeTarget(t)
					if live {
						dst.live = state.Live{By: "a peer"}
					}
					dst.stored = inOrder(t, src, dst)
					stopped := false
					dst.fail = func(op string, n int) error {
						if n == stop || kill && n > stop {
							stopped = true
							return fmt.Errorf("stopped at operation %d, %s", n, op)
						}
						return nil
					}
					_, err := Run(t.Context(), src, dst, often())
					if !stopped {
						if err != nil {
							t.Fatal(err)
						}
						break // there are no more operations
					}
					if err == nil {
						t.Fatalf("stopped at operation %d: no error", stop)
					}
					dst.fail = nil
					stored := dst.migrations[src.id]
					report := mustRun(t, src, dst, often())
					wantStopped(t, stop, report, stored, bad, int64(len(want)), live)
					if from := src.from[len(src.from)-1]; from != stored.Read {
						t.Errorf("stopped at operation %d: went on after record %d, stored was %d", stop, from, stored.Read)
					}
					for key := range want {
						if _, ok := dst.rows[key]; !ok {
							t.Fatalf("stopped at operation %d: a pin is missing", stop)
						}
					}
					if !live {
						wantValues(t, dst, want)
					}
				}
			})
		}
	}
}

func wantStopped(t *testing.T, stop int, report *Report, stored state.Migration, bad, pins int64, live bool) {
	t.Helper()
	if report.Run != 1 || report.Bad != bad || int64(len(report.BadRecords)) != bad || report.Copied+report.Kept != pins {
		t.Errorf("stopped at operation %d: run %d, %d bad, %d named, %d copied, %d kept: want run 1, %d bad, %d pins",
			stop, report.Run, report.Bad, len(report.BadRecords), report.Copied, report.Kept, bad, pins)
	}
	if !live && report.Kept != 0 {
		t.Errorf("stopped at operation %d: a bulk run has kept %d pins", stop, report.Kept)
	}
	if report.Resumed != (stored.ID != "") || report.ResumedFrom != stored.Read {
		t.Errorf("stopped at operation %d: resumed %v from %d: want %d", stop, report.Resumed, report.ResumedFrom, stored.Read)
	}
}

// TestRunGoesOnAfterTheSourceFails also shows that what was read before is not lost.
func TestRunGoesOnAfterTheSourceFails(t *testing.T) {
	items := mixedItems(t, 60)
	want, bad := wanted(items)
	for stop := int64(1); stop <= 60; stop++ {
		src, dst := newFakeSource(t, items...), newFakeTarget(t)
		dst.stored = inOrder(t, src, dst)
		broken := errors.New("the disk is broken")
		src.fail = func(n int64) error {
			if n == stop {
				return broken
			}
			return nil
		}
		report, err := Run(t.Context(), src, dst, often())
		if !errors.Is(err, broken) || report.Records != stop-1 {
			t.Fatalf("broken at record %d: %v, %d records", stop, err, report.Records)
		}
		if stop == 1 {
			wantError(t, err, "no pin was written")
		} else {
			wantError(t, err, fmt.Sprintf("%d of 60 records are done", stop-1), "goes on from there")
		}
		src.fail = nil
		report = mustRun(t, src, dst, often())
		wantValues(t, dst, want)
		if report.Bad != bad || report.ResumedFrom != stop-1 {
			t.Errorf("broken at record %d: %d bad, resumed from %d", stop, report.Bad, report.ResumedFrom)
		}
	}
}

func TestPositionIsStoredWhenTheContextEnds(t *testing.T) {
	src, dst := newFakeSource(t, mixedItems(t, 100)...), newFakeTarget(t)
	ctx, cancel := context.WithCancel(t.Context())
	dst.after = func(op string) {
		if op == "write" && dst.opsNamed("write") == 3 {
			cancel()
		}
	}
	report, err := Run(ctx, src, dst, Options{Window: 10, CheckpointEvery: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Fatal("Run: ", err)
	}
	m := dst.migrations[src.id]
	if m.Read < 30 || m.Read != report.Records || m.Read == 100 || report.Complete {
		t.Errorf("stored is record %d, the report says %d: want 30 or a little more", m.Read, report.Records)
	}
	mustRun(t, src, dst, often())
	if from := src.from[len(src.from)-1]; from != m.Read {
		t.Errorf("went on after record %d: want %d", from, m.Read)
	}
}

func TestPositionsAreStoredNoMoreOftenThanAsked(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 100)...), newFakeTarget(t)
	mustRun(t, src, dst, Options{Window: 10, CheckpointEvery: time.Hour})
	if n := dst.opsNamed("checkpoint"); n != 1 {
		t.Errorf("%d checkpoints: want one at the end", n)
	}
	src.fingerprint = "two"
	mustRun(t, src, dst, often())
	if n := dst.opsNamed("checkpoint"); n != 1+10+2 {
		t.Errorf("%d checkpoints: want 12 more: each window, before the sweep, and at the end", n)
	}
}

func TestSourceThatStopsWithTheContextIsNotComplete(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 25)...), newFakeTarget(t)
	ctx, cancel := context.WithCancel(t.Context())
	src.fail = func(n int64) error {
		if n == 25 {
			cancel()
		}
		return nil
	}
	if report, err := Run(ctx, src, dst, often()); !errors.Is(err, context.Canceled) || report.Complete {
		t.Errorf("Run: %v, report %+v", err, report)
	}
	if _, err := Verify(ctx, src, dst, Options{}); !errors.Is(err, context.Canceled) {
		t.Error("Verify: ", err)
	}
	dry, cancel := context.WithCancel(t.Context())
	src.fail = func(n int64) error {
		if n == 25 {
			cancel()
		}
		return nil
	}
	if report, err := Run(dry, src, dst, Options{DryRun: true}); !errors.Is(err, context.Canceled) || report.Complete {
		t.Errorf("a dry run: %v, report %+v", err, report)
	}
	if m := dst.migrations[src.id]; m.Phase == state.MigrationDone {
		t.Error("the migration is stored as done")
	}
}

func TestLargePinsEndAWindowEarly(t *testing.T) {
	var items []item
	for i := range 2 * windowBytes / state.MaxPinBytes {
		items = append(items, pinItem(t, sizedPin(t, fmt.Sprint(i), state.MaxPinBytes)))
	}
	dst := newFakeTarget(t)
	mustRun(t, newFakeSource(t, items...), dst, Options{})
	if n := dst.opsNamed("write"); n != 2 {
		t.Errorf("%d writes: want 2 of %d pins each", n, len(items)/2)
	}
}

func TestRecordsOutOfOrderEndTheRun(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 5)...), newFakeTarget(t)
	_, err := Run(t.Context(), repeated{src}, dst, Options{})
	wantError(t, err, "record 1 comes after record 5")
}

func TestTheOtherProcessTakesOver(t *testing.T) {
	items := mixedItems(t, 100)
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	var second *Report
	src.fail = func(n int64) error {
		if n == 50 {
			src.fail = nil
			second = mustRun(t, newFakeSource(t, items...), dst, often())
		}
		return nil
	}
	opts := often()
	opts.SkipTooLarge = true // the source is read only while pins are written
	_, err := Run(t.Context(), src, dst, opts)
	if !errors.Is(err, state.ErrMigrationTaken) {
		t.Fatal("Run: ", err)
	}
	want, bad := wanted(items)
	wantValues(t, dst, want)
	if second.Run != 1 || !second.Resumed || second.Bad != bad {
		t.Errorf("the second process has done run %d, resumed %v, %d bad", second.Run, second.Resumed, second.Bad)
	}
	if m := dst.migrations[src.id]; m.Phase != state.MigrationDone {
		t.Errorf("the phase is %s: the first process has stored it after the second", m.Phase)
	}
}

func TestProgressEndsWhereThePhaseEnds(t *testing.T) {
	src, dst := newFakeSource(t, mixedItems(t, 100)...), newFakeTarget(t)
	last := make(map[Phase]Progress)
	opts := often()
	opts.Progress = func(p Progress) { last[p.Phase] = p }
	mustRun(t, src, dst, opts)
	_, bad := wanted(src.items)
	if p := last[PhaseCopying]; p.Done != 100 || p.Total != 100 || p.Bad != bad {
		t.Errorf("copying ended with %+v", p)
	}
	if p := last[PhaseCounting]; p.Done != 100 {
		t.Errorf("counting ended with %+v", p)
	}
	if _, ok := last[PhaseCheckingTarget]; !ok {
		t.Error("nothing was said about the target")
	}
}

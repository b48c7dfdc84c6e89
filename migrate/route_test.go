package migrate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// begun makes a target in which the migration of another source was begun in bulk
// some time ago, and has written nothing yet.
func begun(t *testing.T, ago time.Duration) *fakeTarget {
	t.Helper()
	dst := newFakeTarget(t)
	dst.holder = 1
	dst.store(state.Migration{ID: "fake:/rival", Run: 1, Bulk: true, Phase: state.MigrationCopying, Updated: time.Now().Add(-ago)})
	return dst
}

// Rows that two sources write in bulk at the same time would be a mixture.
func TestAnotherBulkRunIsUnderWay(t *testing.T) {
	src := newFakeSource(t, pinItems(t, 50)...)
	dst := begun(t, time.Second)
	_, err := Run(t.Context(), src, dst, Options{})
	wantError(t, err, "the migration of fake:/rival has not ended and may still write", "--existing newer")
	if len(dst.rows) > 0 {
		t.Errorf("%d pins were written", len(dst.rows))
	}
	plan := mustPlan(t, src, dst, Options{})
	if plan.Path != PathConditional || !strings.Contains(plan.Refused, "fake:/rival") {
		t.Errorf("the plan is %+v", plan)
	}
	plan = mustPlan(t, src, dst, Options{Existing: ExistingKeep})
	if plan.Path != PathConditional || plan.Refused != "" {
		t.Errorf("the plan is %+v", plan)
	}
	if report := mustRun(t, src, begun(t, 2*time.Hour), Options{}); !report.Bulk {
		t.Errorf("beside one that was given up: %s", report.Reason)
	}
}

// One that goes on in bulk gives way, too.
func TestResumedRunMeetsAnotherBulkRun(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	breakOff(t, src, dst, often(), 30)
	dst.store(state.Migration{ID: "fake:/rival", Run: 1, Bulk: true, Phase: state.MigrationCopying, Updated: time.Now()})
	_, err := Run(t.Context(), src, dst, often())
	wantError(t, err, "fake:/rival has not ended")
	dst.store(state.Migration{ID: "fake:/rival", Run: 1, Bulk: true, Phase: state.MigrationDone, Updated: time.Now()})
	if report := mustRun(t, src, dst, often()); !report.Bulk || !report.Resumed {
		t.Errorf("after the other one has ended: bulk %v, resumed %v", report.Bulk, report.Resumed)
	}
}

// What was found out about the pinset counts only as long as nobody else begins.
func TestAnotherRunBeginsAfterTheLook(t *testing.T) {
	items := pinItems(t, 50)
	src, rival, dst := newFakeSource(t, items[:30]...), newFakeSource(t, items[20:]...), newFakeTarget(t)
	rival.id = "fake:/rival"
	src.fail = func(int64) error {
		src.fail = nil
		mustRun(t, rival, dst, Options{})
		return nil
	}
	_, err := Run(t.Context(), src, dst, Options{})
	if !errors.Is(err, state.ErrMigrationTaken) {
		t.Errorf("Run: %v", err)
	}
	want, _ := wanted(items[20:])
	wantValues(t, dst, want)
	_, err = Run(t.Context(), src, dst, Options{})
	wantError(t, err, "holds 30 pins", "--existing keep")
}

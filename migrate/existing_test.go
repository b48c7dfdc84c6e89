package migrate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestPinsThatAreThere(t *testing.T) {
	older := testPin("older", func(p *api.Pin) { p.Name, p.Timestamp = "there", time.Unix(1_500_000_000, 0) })
	equal := testPin("equal", func(p *api.Pin) { p.Name = "there" })
	newer := testPin("newer", func(p *api.Pin) { p.Name, p.Timestamp = "there", time.Unix(1_700_000_000, 0) })
	same, alone := testPin("same"), testPin("alone")
	tests := []struct {
		existing                  Existing
		kept, different, replaced int64
		source                    []string // pins that are those of the source
	}{
		{ExistingNewer, 3, 2, 1, []string{"older"}},
		{ExistingKeep, 4, 3, 0, nil},
	}
	for _, test := range tests {
		t.Run(string(test.existing), func(t *testing.T) {
			var items []item
			for _, name := range []string{"older", "equal", "newer", "same", "missing"} {
				items = append(items, pinItem(t, testPin(name)))
			}
			src, dst := newFakeSource(t, items...), newFakeTarget(t)
			there := []api.Pin{older, equal, newer, same, alone}
			want, _ := wanted(items)
			for _, pin := range there {
				dst.user(pin.Cid, pin)
				want[string(pin.Cid.Bytes())] = string(encode(t, pin))
			}
			for _, name := range test.source {
				want[string(statetest.Cid(name).Bytes())] = string(encode(t, testPin(name)))
			}
			_, err := Run(t.Context(), src, dst, Options{})
			wantError(t, err, "holds 5 pins", "--existing newer", "--existing keep", "empty keyspace")
			if dst.opsNamed("begin") != 0 {
				t.Error("the refused run was begun")
			}
			dry := mustRun(t, src, dst, Options{Existing: test.existing, DryRun: true})
			if n := dst.opsNamed("begin") + dst.opsNamed("update"); n > 0 {
				t.Errorf("a dry run has begun or written %d times", n)
			}
			report := mustRun(t, src, dst, Options{Existing: test.existing})
			wantValues(t, dst, want)
			for what, r := range map[string]*Report{"the run": report, "the dry run": dry} {
				if r.Kept != test.kept || r.Different != test.different || r.Replaced != test.replaced || r.Copied != test.replaced+1 {
					t.Errorf("%s: %d kept, %d of them different, %d replaced, %d copied: want %d, %d, %d, %d", what, r.Kept, r.Different, r.Replaced, r.Copied,
						test.kept, test.different, test.replaced, test.replaced+1)
				}
			}
			if n := dst.opsNamed("count"); n != 1 {
				t.Errorf("the pins were counted %d times: want once, by the run to which the number matters", n)
			}
		})
	}
}

// A pin that the migration itself has brought, and brings otherwise now that the
// pinset is in use, is nobody's mistake: nothing is replaced, and it is said.
func TestOwnPinsThatDiffer(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 20))
	dst.live.By = "a peer"
	want := dst.values()
	change := Change{ReplicationMin: 1, ReplicationMax: 3}
	for _, dry := range []bool{true, false} {
		_, err := Run(t.Context(), src, dst, Options{Change: change, DryRun: dry})
		wantError(t, err, "the pinset has another pin of it", "--existing keep", "both leave the one that is there")
	}
	_, err := Run(t.Context(), src, dst, Options{Change: change})
	wantError(t, err, "Nothing was replaced")
	for _, existing := range []Existing{ExistingNewer, ExistingKeep} {
		report := mustRun(t, src, dst, Options{Change: change, Existing: existing})
		if report.Kept != 20 || report.Different != 20 {
			t.Errorf("%s: %d kept, %d of them different, want 20", existing, report.Kept, report.Different)
		}
	}
	wantValues(t, dst, want)
}

// How many of the kept pins are different is counted over all parts of a run.
func TestDifferentPinsAreCountedOverAStop(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 20))
	dst.live.By = "a peer"
	opts := Options{Change: Change{ReplicationMin: 1, ReplicationMax: 3}, Existing: ExistingKeep, Window: 5, CheckpointEvery: 1}
	breakOff(t, src, dst, opts, 13)
	if report := mustRun(t, src, dst, opts); !report.Resumed || report.Different != 20 {
		t.Errorf("resumed %v, %d different, want 20", report.Resumed, report.Different)
	}
}

// A bulk run that was stopped between pins and what belongs to them may be followed
// by one that begins anew, with conditions: a source that has changed, or cannot tell.
func TestConditionalRunCompletesWhatABulkRunHasLeft(t *testing.T) {
	for _, fingerprint := range []string{"another", ""} {
		t.Run(fmt.Sprintf("%q", fingerprint), func(t *testing.T) {
			src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
			dst.fail = func(op string, _ int) error {
				if op == "write" {
					return errors.New("killed")
				}
				return nil
			}
			_, err := Run(t.Context(), src, dst, often())
			wantError(t, err, "killed")
			if len(dst.rows) == 0 || len(dst.indexed) > 0 {
				t.Fatalf("%d pins and %d indexed before, which tests nothing", len(dst.rows), len(dst.indexed))
			}
			dst.fail, dst.live.By, src.fingerprint = nil, "a peer", fingerprint
			left := len(dst.rows)
			report := mustRun(t, src, dst, often())
			if report.Resumed || report.Bulk || report.Kept != int64(left) {
				t.Errorf("resumed %v, bulk %v, %d kept, want a run anew with conditions that keeps %d", report.Resumed, report.Bulk, report.Kept, left)
			}
			if len(dst.indexed) != left {
				t.Errorf("%d of the %d pins that were there have what belongs to them", len(dst.indexed), left)
			}
		})
	}
}

// A dry run looks at all records, also those that a run would not read again.
func TestDryRunReadsEverything(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	breakOff(t, src, dst, often(), 30)
	stored := dst.migrations[src.id]
	opts := often()
	opts.DryRun = true
	report := mustRun(t, src, dst, opts)
	if from := src.from[len(src.from)-1]; from != 0 || report.Records != 50 || report.Copied != 50 || report.Resumed {
		t.Errorf("read from record %d: %d records, %d copied, resumed %v", from, report.Records, report.Copied, report.Resumed)
	}
	if now := dst.migrations[src.id]; now.Read != stored.Read || now.Phase != stored.Phase {
		t.Errorf("the dry run has stored %+v", now)
	}
}

func TestWriteWithAnUnknownOutcomeIsMadeAgain(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 5)...), newFakeTarget(t)
	dst.live.By = "a peer"
	dst.fail = func(op string, _ int) error {
		if op == "update" {
			return state.ErrOutcomeUnknown
		}
		return nil
	}
	report := mustRun(t, src, dst, Options{})
	if report.Copied != 5 || len(dst.rows) != 5 {
		t.Errorf("%d copied, %d pins", report.Copied, len(dst.rows))
	}
}

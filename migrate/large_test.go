package migrate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// sizedPin is a pin whose encoding has exactly so many bytes.
func sizedPin(tb testing.TB, label string, size int) api.Pin {
	tb.Helper()
	pin := testPin(label, func(p *api.Pin) { p.Metadata = map[string]string{"fill": strings.Repeat("x", size)} })
	over := len(encode(tb, pin)) - size
	pin.Metadata["fill"] = strings.Repeat("x", size-over)
	if got := len(encode(tb, pin)); got != size {
		tb.Fatalf("the pin has %d bytes, want %d", got, size)
	}
	return pin
}

// withLarge returns n pins, and after the tenth record pins as large as can be and
// some that are larger.
func withLarge(tb testing.TB, n, large int) []item {
	tb.Helper()
	items := pinItems(tb, n)
	added := []item{pinItem(tb, sizedPin(tb, "largest", state.MaxPinBytes))}
	for i := range large {
		added = append(added, pinItem(tb, sizedPin(tb, fmt.Sprint("large ", i), state.MaxPinBytes+1+i)))
	}
	return append(items[:10:10], append(added, items[10:]...)...)
}

// fitting returns the items that are not too large.
func fitting(items []item) []item {
	var fit []item
	for _, it := range items {
		if len(it.value) <= state.MaxPinBytes {
			fit = append(fit, it)
		}
	}
	return fit
}

func wantLarge(t *testing.T, what string, n int64, list []LargePin, bound int, want int64) {
	t.Helper()
	if n != want || int64(len(list)) != min(want, listed) || bound != state.MaxPinBytes {
		t.Fatalf("%s: %d pins are too large, %d named, the bound is %d: want %d, the first %d named", what, n, len(list), bound, want, listed)
	}
	for i, pin := range list {
		if want := (LargePin{statetest.Cid(fmt.Sprint("large ", i)).String(), state.MaxPinBytes + 1 + i}); pin != want {
			t.Errorf("%s: the large pin %d is %+v: want %+v", what, i, pin, want)
		}
	}
}

// TestRunIsRefusedBeforeItWrites: one pin in many is found before the first write,
// and plan and dry run say the same.
func TestRunIsRefusedBeforeItWrites(t *testing.T) {
	for name, live := range map[string]state.Live{"bulk": {}, "conditional": {By: "a peer"}} {
		t.Run(name, func(t *testing.T) {
			src, dst := newFakeSource(t, withLarge(t, 50, 3)...), newFakeTarget(t)
			dst.live = live
			report, err := Run(t.Context(), src, dst, often())
			wantError(t, err, "3 have more than", fmt.Sprint(state.MaxPinBytes), statetest.Cid("large 0").String(), fmt.Sprint(state.MaxPinBytes+1),
				"--skip-too-large", "no pin was written")
			if dst.opsNamed("begin")+dst.opsNamed("write")+dst.opsNamed("update") > 0 || len(dst.rows) > 0 {
				t.Errorf("the refused run has done %v", dst.ops)
			}
			wantLarge(t, "the report", report.TooLarge, report.TooLargePins, report.MaxPinBytes, 3)

			plan := mustPlan(t, src, dst, Options{})
			wantLarge(t, "the plan", plan.TooLarge, plan.TooLargePins, plan.MaxPinBytes, 3)
			if plan.Records != 54 || plan.Pins != 51 || !strings.Contains(plan.Refused, "--skip-too-large") {
				t.Errorf("%d records, %d pins, refused: %q", plan.Records, plan.Pins, plan.Refused)
			}
			if plan = mustPlan(t, src, dst, Options{SkipTooLarge: true}); plan.Refused != "" || plan.TooLarge != 3 {
				t.Errorf("%d too large, refused: %q", plan.TooLarge, plan.Refused)
			}

			for _, skip := range []bool{false, true} {
				dry := mustRun(t, src, dst, Options{DryRun: true, SkipTooLarge: skip})
				wantLarge(t, "the dry run", dry.TooLarge, dry.TooLargePins, dry.MaxPinBytes, 3)
				if said := strings.Contains(fmt.Sprint(dry.Notes), "would be refused"); said == skip {
					t.Errorf("with skip %v the notes are %q", skip, dry.Notes)
				}
			}
			if len(dst.rows) > 0 {
				t.Error("plan or dry run have written")
			}
		})
	}
}

// TestLargePinsAreLeftOut where that is wanted, and are counted over stops.
func TestLargePinsAreLeftOut(t *testing.T) {
	for _, large := range []int{3, listed + 3} {
		items := withLarge(t, 50, large)
		src, dst := newFakeSource(t, items...), newFakeTarget(t)
		opts := often()
		opts.SkipTooLarge = true
		breakOff(t, src, dst, opts, 13) // in the middle of them
		report := mustRun(t, src, dst, opts)
		want, _ := wanted(fitting(items))
		wantValues(t, dst, want)
		wantLarge(t, "the report", report.TooLarge, report.TooLargePins, report.MaxPinBytes, int64(large))
		if !report.Resumed || report.Bad != 0 || report.Copied != 51 || report.Records != int64(len(items)) {
			t.Errorf("resumed %v, %d bad, %d copied, %d records", report.Resumed, report.Bad, report.Copied, report.Records)
		}
		stored, err := StoredReport(dst.migrations[src.id])
		if err != nil {
			t.Fatal(err)
		}
		wantLarge(t, "the stored report", stored.TooLarge, stored.TooLargePins, stored.MaxPinBytes, int64(large))
	}
}

// TestChangeThatMakesPinsTooLarge: what counts is the pin as it would be stored.
func TestChangeThatMakesPinsTooLarge(t *testing.T) {
	src, dst := newFakeSource(t, pinItem(t, sizedPin(t, "largest", state.MaxPinBytes)), pinItem(t, sizedPin(t, "large 0", state.MaxPinBytes+40))), newFakeTarget(t)
	more := Change{Allocations: ids("a", "b", "c")} // one more than it has: 36 bytes
	_, err := Run(t.Context(), src, dst, Options{Change: more})
	wantError(t, err, "2 have", fmt.Sprint(state.MaxPinBytes+36))
	fewer := Change{Allocations: []peer.ID{statetest.Peer("a")}}
	_, err = Run(t.Context(), src, dst, Options{Change: fewer})
	wantError(t, err, "1 have", fmt.Sprint(state.MaxPinBytes+4))
	if plan := mustPlan(t, src, dst, Options{Change: more}); plan.TooLarge != 2 || plan.Changed != 0 || plan.Bytes != 0 {
		t.Errorf("%d too large, %d changed, %d bytes: want 2 and nothing else", plan.TooLarge, plan.Changed, plan.Bytes)
	}
	if plan := mustPlan(t, src, dst, Options{Change: fewer}); plan.TooLarge != 1 || plan.Changed != 1 || plan.Bytes != state.MaxPinBytes-36 {
		t.Errorf("%d too large, %d changed, %d bytes", plan.TooLarge, plan.Changed, plan.Bytes)
	}
}

// TestLargePinInASourceThatIsReadOnce: it cannot be surveyed. The run ends before the first window
// with such a pin, and goes on in the ordinary way when it may leave it out.
func TestLargePinInASourceThatIsReadOnce(t *testing.T) {
	items := withLarge(t, 50, 1)
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	src.once, src.fingerprint = true, ""
	opts := often()
	opts.Window = 5
	report, err := Run(t.Context(), src, dst, opts)
	wantError(t, err, "--skip-too-large", "The 10 records before were written")
	if report.Copied != 10 || len(dst.rows) != 10 || report.TooLarge != 0 {
		t.Errorf("%d copied, %d pins, %d left out: want the 10 of the windows before", report.Copied, len(dst.rows), report.TooLarge)
	}
	src.from, opts.SkipTooLarge = nil, true
	if report = mustRun(t, src, dst, opts); report.TooLarge != 1 || len(dst.rows) != 51 {
		t.Errorf("%d left out, %d pins", report.TooLarge, len(dst.rows))
	}

	// One that comes into the first window leaves no trace.
	src, dst = newFakeSource(t, items[11:]...), newFakeTarget(t)
	src.once = true
	_, err = Run(t.Context(), src, dst, often())
	wantError(t, err, "--skip-too-large", "no pin was written")
	if dst.opsNamed("begin") > 0 {
		t.Error("the run was begun")
	}
}

// TestSurvey: it reads what the run will read, and leaves errors of the source to it.
func TestSurvey(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	src.uncounted = true
	breakOff(t, src, dst, often(), 35)
	if len(dst.rows) != 34 {
		t.Errorf("%d pins: want all that could be read", len(dst.rows))
	}
	src.from = nil
	if report := mustRun(t, src, dst, often()); fmt.Sprint(src.from) != "[34 34]" || report.Total != 50 {
		t.Errorf("it has read from %v, and knows of %d records: want the rest twice, and 50", src.from, report.Total)
	}
	broken := errors.New("broken")
	src.fail = func(int64) error { return broken }
	src.from, src.fingerprint = nil, "two"
	_, err := Run(t.Context(), src, dst, often())
	if !errors.Is(err, broken) || len(src.from) != 1 {
		t.Errorf("%v after %d reads: want the error after one", err, len(src.from))
	}
}

// TestBeginIsStoredAsOfNow and not of before the survey, which may take hours: others
// judge by it whether the migration is under way.
func TestBeginIsStoredAsOfNow(t *testing.T) {
	src, dst := newFakeSource(t, pinItems(t, 50)...), newFakeTarget(t)
	var surveyed time.Time
	src.fail = func(int64) error {
		if len(src.from) == 1 {
			surveyed = time.Now()
		}
		return nil
	}
	dst.stored = func(m state.Migration) {
		if m.Updated.Before(surveyed) {
			t.Errorf("stored as of %v, the survey ended %v", m.Updated, surveyed)
		}
	}
	mustRun(t, src, dst, often())
	if surveyed.IsZero() {
		t.Error("there was no survey")
	}
}

// TestSweepKeepsWhatWasLeftOut: an earlier run may have brought the pin when it was
// smaller.
func TestSweepKeepsWhatWasLeftOut(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 20))
	src.items[5] = pinItem(t, sizedPin(t, "pin 5", state.MaxPinBytes+1))
	src.items, src.fingerprint = src.items[:15], "two"
	opts := often()
	opts.SkipTooLarge = true
	report := mustRun(t, src, dst, opts)
	if len(dst.rows) != 20 || report.Removed != 0 || dst.opsNamed("sweep") != 0 || !strings.Contains(fmt.Sprint(report.Notes), "1 pins were left out") {
		t.Errorf("%d pins are left of 20, %d removed, notes %q", len(dst.rows), report.Removed, report.Notes)
	}
}

// TestVerifyKnowsWhatWasLeftOut: it is not missing, and what is there in its place,
// because somebody has pinned it by hand, is not extra.
func TestVerifyKnowsWhatWasLeftOut(t *testing.T) {
	src, dst := newFakeSource(t, withLarge(t, 50, 3)...), newFakeTarget(t)
	mustRun(t, src, dst, Options{SkipTooLarge: true})
	want := Comparison{Records: 54, Pins: 54, Target: 51, TooLarge: 3}
	want.Passes = 1
	c := wantComparison(t, src, dst, want)
	slices.SortFunc(c.TooLargePins, func(a, b LargePin) int { return cmp.Compare(a.Bytes, b.Bytes) })
	wantLarge(t, "the comparison", c.TooLarge, c.TooLargePins, c.MaxPinBytes, 3)
	if c.Equal() {
		t.Error("it says that the sides are equal")
	}

	byHand := sizedPin(t, "large 1", 1000)
	dst.user(byHand.Cid, byHand)
	want.Live, want.Target = true, 52
	wantComparison(t, src, dst, want)
	stranger := testPin("stranger")
	dst.user(stranger.Cid, stranger)
	want.Target, want.Extra = 53, 1
	wantComparison(t, src, dst, want)

	// A record of the same CID that fits is expected.
	src.items = append(src.items, pinItem(t, sizedPin(t, "large 1", 2000)))
	want.Records, want.Pins, want.Different, want.TooLarge, want.Duplicates = 55, 55, 1, 2, 1
	wantComparison(t, src, dst, want)
}

// TestVerifyOfLargePinsThatAreThere: a rollback compares what an earlier version has
// stored.
func TestVerifyOfLargePinsThatAreThere(t *testing.T) {
	src, dst := newFakeSource(t, withLarge(t, 50, 3)...), newFakeTarget(t)
	for _, it := range src.items {
		dst.rows[string(it.cid.Bytes())] = row{value: it.value}
	}
	if c := wantComparison(t, src, dst, Comparison{Records: 54, Pins: 54, Target: 54}); !c.Equal() {
		t.Error("it says that the sides differ")
	}
	old := oldItem(t, sizedPin(t, "large 1", state.MaxPinBytes+2))
	dst.rows[string(old.cid.Bytes())] = row{value: old.value}
	wantComparison(t, src, dst, Comparison{Records: 54, Pins: 54, Target: 54, EncodedDifferently: 1, Passes: 1})
}

// TestLargePinsInJSON: names that machines may rely on.
func TestLargePinsInJSON(t *testing.T) {
	large := []LargePin{{Cid: "c", Bytes: 7}}
	for what, value := range map[string]any{
		"plan":       Plan{TooLarge: 1, TooLargePins: large, MaxPinBytes: 5},
		"report":     Report{TooLarge: 1, TooLargePins: large, MaxPinBytes: 5},
		"comparison": Comparison{TooLarge: 1, TooLargePins: large, MaxPinBytes: 5},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if want := `"too_large":1,"too_large_pins":[{"cid":"c","bytes":7}],"max_pin_bytes":5`; !strings.Contains(string(text), want) {
			t.Errorf("a %s in JSON is %s: want %s in it", what, text, want)
		}
	}
}

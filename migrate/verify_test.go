package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// numbersOf are what a comparison has counted, without lists and texts.
func numbersOf(c *Comparison) Comparison {
	return Comparison{
		Live: c.Live, Records: c.Records, Pins: c.Pins, Target: c.Target, Duplicates: c.Duplicates,
		Missing: c.Missing, Extra: c.Extra, Different: c.Different, Newer: c.Newer,
		EncodedDifferently: c.EncodedDifferently, Bad: c.Bad, CorruptTarget: c.CorruptTarget,
		NotExamined: c.NotExamined, Passes: c.Passes, TooLarge: c.TooLarge,
	}
}

// testLimits are small, since the fake target looks at all rows for each piece.
func testLimits() limits {
	l := defaultLimits()
	l.pieces, l.buckets = 16, 1024
	return l
}

func wantComparison(t *testing.T, src *fakeSource, dst *fakeTarget, want Comparison) *Comparison {
	t.Helper()
	return wantLimited(t, src, dst, testLimits(), want)
}

func wantLimited(t *testing.T, src *fakeSource, dst *fakeTarget, l limits, want Comparison) *Comparison {
	t.Helper()
	got, err := verify(t.Context(), src, dst, Options{}, l)
	if err != nil {
		t.Fatal("Verify: ", err)
	}
	if a, b := fmt.Sprintf("%+v", numbersOf(got)), fmt.Sprintf("%+v", want); a != b {
		t.Errorf("the comparison is\n%s\nwant\n%s", a, b)
	}
	return got
}

// migrated returns a source and a target that holds its pins.
func migrated(t *testing.T, items []item) (*fakeSource, *fakeTarget) {
	t.Helper()
	src, dst := newFakeSource(t, items...), newFakeTarget(t)
	mustRun(t, src, dst, Options{})
	return src, dst
}

func TestVerifyOfWhatWasBroughtIn(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 300))
	c := wantComparison(t, src, dst, Comparison{Records: 300, Pins: 300, Target: 300})
	if !c.Equal() || len(src.from) != 3 {
		t.Errorf("equal %v after %d reads: want true after one beside the two of the run", c.Equal(), len(src.from)-2)
	}
	bad, dst := migrated(t, mixedItems(t, 100))
	_, n := wanted(bad.items)
	c = wantComparison(t, bad, dst, Comparison{Records: 100, Pins: 100 - n, Target: 100 - n, Bad: n})
	if c.Equal() || int64(len(c.BadRecords)) != n {
		t.Errorf("equal %v, %d bad records named: want %d", c.Equal(), len(c.BadRecords), n)
	}
}

// plant changes the pinset behind everybody's back, and returns what Verify should
// say of it.
func plant(t *testing.T, dst *fakeTarget) Comparison {
	t.Helper()
	set := func(label string, value []byte) { dst.rows[string(statetest.Cid(label).Bytes())] = row{value: value} }
	for i := range 3 {
		delete(dst.rows, string(statetest.Cid(fmt.Sprint("pin ", i)).Bytes()))
	}
	for i := range 4 {
		label := fmt.Sprint("extra ", i)
		set(label, encode(t, testPin(label)))
	}
	for i := 10; i < 15; i++ {
		label := fmt.Sprint("pin ", i)
		set(label, encode(t, testPin(label, func(p *api.Pin) { p.Name = "another" })))
	}
	for i := 20; i < 22; i++ {
		label := fmt.Sprint("pin ", i)
		set(label, encode(t, testPin(label, func(p *api.Pin) { p.Timestamp = time.Unix(1_900_000_000, 0) })))
	}
	for i := 30; i < 36; i++ {
		set(fmt.Sprint("pin ", i), oldItem(t, testPin(fmt.Sprint("pin ", i))).value)
	}
	set("pin 40", []byte("no pin"))
	set("nowhere", nil)
	dst.rows["no CID"] = row{value: encode(t, testPin("pin 1"))}
	return Comparison{
		Records: 300, Pins: 300, Target: 300 - 3 + 4 + 2,
		Missing: 3, Extra: 4, Different: 7, Newer: 2, EncodedDifferently: 6, CorruptTarget: 3,
	}
}

func TestVerifyFindsWhatIsWrongAndNothingElse(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 300))
	want := plant(t, dst)
	want.Passes = 1
	c := wantComparison(t, src, dst, want)
	if c.Equal() {
		t.Error("it says that the sides are equal")
	}
	if len(c.MissingPins) != 3 || len(c.ExtraPins) != 4 || len(c.DifferentPins) != 7 || len(c.EncodedDifferentlyPins) != 6 || len(c.CorruptTargetRows) != 3 {
		t.Errorf("the lists are not as long as the numbers say: %+v", c)
	}
	for _, d := range c.DifferentPins {
		if d.Source == nil || d.Target == nil || d.Source.Cid.String() != d.Cid || d.Source.Equals(*d.Target) && d.Source.Timestamp.Equal(d.Target.Timestamp) {
			t.Errorf("the difference is %+v", d)
		}
	}
	if m := c.MissingPins[0]; m.Target != nil || !strings.HasPrefix(m.Source.Name, "pin ") {
		t.Errorf("the first missing pin is %+v", m)
	}
	rows := fmt.Sprint(c.CorruptTargetRows)
	for _, at := range []string{statetest.Cid("pin 40").String(), "key 6e6f20434944"} {
		if !strings.Contains(rows, at) {
			t.Errorf("the corrupt rows are %s: want %s among them", rows, at)
		}
	}
}

func TestVerifyFindsEachKindAlone(t *testing.T) {
	one := statetest.Cid("pin 7")
	key := string(one.Bytes())
	all := Comparison{Records: 50, Pins: 50, Target: 50, Passes: 1}
	with := func(f func(*Comparison)) Comparison {
		c := all
		f(&c)
		return c
	}
	tests := map[string]struct {
		plant func(*testing.T, *fakeTarget)
		want  Comparison
		equal bool
	}{
		"missing": {func(_ *testing.T, d *fakeTarget) { delete(d.rows, key) },
			with(func(c *Comparison) { c.Target, c.Missing = 49, 1 }), false},
		"extra": {func(t *testing.T, d *fakeTarget) {
			d.rows[string(statetest.Cid("x").Bytes())] = row{value: encode(t, testPin("x"))}
		},
			with(func(c *Comparison) { c.Target, c.Extra = 51, 1 }), false},
		"different": {func(t *testing.T, d *fakeTarget) {
			d.rows[key] = row{value: encode(t, testPin("pin 7", func(p *api.Pin) { p.MaxDepth = 3 }))}
		}, with(func(c *Comparison) { c.Different = 1 }), false},
		"another order of allocations": {func(t *testing.T, d *fakeTarget) {
			d.rows[key] = row{value: encode(t, testPin("pin 7", func(p *api.Pin) {
				p.Allocations[0], p.Allocations[1] = p.Allocations[1], p.Allocations[0]
			}))}
		}, with(func(c *Comparison) { c.Different = 1 }), false},
		"encoded differently": {func(t *testing.T, d *fakeTarget) { d.rows[key] = row{value: oldItem(t, testPin("pin 7")).value} },
			with(func(c *Comparison) { c.EncodedDifferently = 1 }), true},
		"corrupt": {func(_ *testing.T, d *fakeTarget) { d.rows[key] = row{value: []byte("no pin")} },
			with(func(c *Comparison) { c.CorruptTarget = 1 }), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			src, dst := migrated(t, pinItems(t, 50))
			test.plant(t, dst)
			if c := wantComparison(t, src, dst, test.want); c.Equal() != test.equal {
				t.Errorf("equal is %v", c.Equal())
			}
		})
	}
}

// TestVerifyInManyPasses makes the groups so small that each holds a pin or two.
func TestVerifyInManyPasses(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 300))
	want := plant(t, dst)
	l := limits{buckets: 64, pieces: 16, piecePins: 1000, groupBytes: 3000, passes: 1000}
	got, err := verify(t.Context(), src, dst, Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if got.Passes < 10 {
		t.Errorf("%d passes: the groups hold more than they should", got.Passes)
	}
	want.Passes = got.Passes
	wantLimited(t, src, dst, l, want)

	l.passes = 2
	got, err = verify(t.Context(), src, dst, Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if got.Passes != 2 || got.NotExamined == 0 || got.Equal() || !strings.Contains(fmt.Sprint(got.Notes), "not all differences can be named") {
		t.Errorf("%d passes, %d not examined, equal %v, notes %q", got.Passes, got.NotExamined, got.Equal(), got.Notes)
	}
}

// Pins that say the same in other bytes, all over the pinset, do not hide the one
// that is missing and the one that is there too much.
func TestVerifyTellsEncodingsFromDifferences(t *testing.T) {
	items := make([]item, 300)
	for i := range items {
		items[i] = oldItem(t, testPin(fmt.Sprint("pin ", i)))
	}
	src, dst := migrated(t, pinItems(t, 300))
	src.items = items
	l := limits{buckets: 64, pieces: 16, piecePins: 1000, groupBytes: 3000, passes: 2}
	c := wantLimited(t, src, dst, l, Comparison{Records: 300, Pins: 300, Target: 300})
	if !c.Equal() {
		t.Error("the same pins in other bytes are not equal")
	}
	delete(dst.rows, string(statetest.Cid("pin 7").Bytes()))
	dst.user(statetest.Cid("x"), testPin("x"))
	c, err := verify(t.Context(), src, dst, Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
	if c.Missing != 1 || c.Extra != 1 || c.Different != 0 || c.NotExamined != 0 || c.EncodedDifferently == 0 || c.Pins != 300 || c.Target != 300 {
		t.Errorf("the comparison is %+v", numbersOf(c))
	}
}

// What can be read only once is compared, but what differs cannot be named.
func TestVerifyOfASourceThatIsReadOnce(t *testing.T) {
	for _, passes := range []int{1, 100} { // with and without a look at the contents
		src, dst := migrated(t, mixedItems(t, 100))
		_, bad := wanted(src.items)
		src.once, src.from = true, nil
		l := limits{buckets: 64, pieces: 16, piecePins: 1000, groupBytes: 300, passes: passes}
		want := Comparison{Records: 100, Pins: 100 - bad, Target: 100 - bad, Bad: bad}
		wantLimited(t, src, dst, l, want)

		for i := range 20 {
			label := fmt.Sprint("x", i)
			dst.user(statetest.Cid(label), testPin(label))
		}
		src.from = nil
		c, err := verify(t.Context(), src, dst, Options{}, l)
		if err != nil {
			t.Fatal(err)
		}
		if c.Equal() || c.NotExamined < 20 || c.Extra != 0 || c.Bad != bad || c.Pins != want.Pins || c.Target != want.Target+20 ||
			!strings.Contains(fmt.Sprint(c.Notes), "can be read only once") {
			t.Errorf("with %d passes the comparison is %+v, notes %q", passes, numbersOf(c), c.Notes)
		}
	}
}

func TestDifferencesThatNobodyLookedAtAreNotEqual(t *testing.T) {
	src, dst := newFakeSource(t), newFakeTarget(t)
	dst.user(statetest.Cid("x"), testPin("x"))
	l := testLimits()
	l.passes = 0
	wantLimited(t, src, dst, l, Comparison{Live: true, Target: 1, NotExamined: 1})
}

func TestGroupsStayWithinTheirBytes(t *testing.T) {
	v := &verifier{limits: limits{groupBytes: 100}, grid: grid{pieces: 4, parts: 2}}
	v.source, v.target = make([]bucket, 8), make([]bucket, 8)
	v.weights = []uint32{40, 40, 40, 500, 10, 10, 0, 99}
	for i := range v.source {
		v.source[i].low = uint64(i)
	}
	var got [][]int
	for _, g := range v.groups() { // bucket 0 is equal
		sum := 0
		for i := range g {
			sum += int(v.weights[i])
		}
		got = append(got, []int{len(g), sum, len(v.pieces(g))})
	}
	if want := "[[2 80 2] [1 500 1] [3 20 2] [1 99 1]]"; fmt.Sprint(got) != want {
		t.Errorf("the groups are %v: want %s (buckets, bytes, pieces)", got, want)
	}
}

func TestHashDependsOnKeyAndValue(t *testing.T) {
	seen := make(map[pinHash]string)
	for _, pair := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"ac", "c"}, {"ab", "d"}} {
		h := hashPin([]byte(pair[0]), []byte(pair[1]))
		if other, ok := seen[h]; ok {
			t.Errorf("the hash of %q is that of %s", pair, other)
		}
		seen[h] = fmt.Sprintf("%q", pair)
	}
}

func TestPiecesAreAsManyAsThereArePins(t *testing.T) {
	l := defaultLimits()
	for records, pieces := range map[int64]int{-1: 1024, 0: 1024, 100_000_000: 1024, 1_000_000_000: 16384, 1 << 40: l.buckets} {
		if g := l.grid(records); g.pieces != pieces || g.size() != l.buckets {
			t.Errorf("%d records: %d pieces of %d parts: want %d pieces", records, g.pieces, g.parts, pieces)
		}
	}
}

func TestVerifySaysThatAPinsetInUseMayHaveChanged(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 20))
	dst.user(statetest.Cid("pin 3"), api.Pin{})
	c := wantComparison(t, src, dst, Comparison{Live: true, Records: 20, Pins: 20, Target: 19, Missing: 1, Passes: 1})
	if !strings.Contains(fmt.Sprint(c.Notes), "in use") {
		t.Errorf("the notes are %q", c.Notes)
	}
}

func TestVerifyFailsWhenASideCannotBeRead(t *testing.T) {
	for _, op := range []string{"scan", "migrations"} {
		src, dst := migrated(t, pinItems(t, 20))
		broken := errors.New("broken")
		dst.fail = func(name string, _ int) error {
			if name == op {
				return broken
			}
			return nil
		}
		if _, err := Verify(t.Context(), src, dst, Options{}); !errors.Is(err, broken) {
			t.Errorf("%s fails: %v", op, err)
		}
	}
	src, dst := migrated(t, pinItems(t, 20))
	src.fail = func(n int64) error {
		if n == 20 {
			return errors.New("broken")
		}
		return nil
	}
	_, err := Verify(t.Context(), src, dst, Options{})
	wantError(t, err, "broken", src.id)
}

func TestVerifyTellsItsProgress(t *testing.T) {
	src, dst := migrated(t, pinItems(t, 700))
	delete(dst.rows, string(statetest.Cid("pin 3").Bytes()))
	last := make(map[Phase]Progress)
	_, err := verify(t.Context(), src, dst, Options{Progress: func(p Progress) { last[p.Phase] = p }}, testLimits())
	if err != nil {
		t.Fatal(err)
	}
	if p := last[PhaseComparing]; p.Done != 1399 || p.Total != 1400 {
		t.Errorf("comparing ended with %+v: want 1399 of 1400", p)
	}
	if p := last[PhaseDetails]; p.Done < 700 {
		t.Errorf("the details ended with %+v", p)
	}
}

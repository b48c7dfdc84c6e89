package ingest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []struct {
	name string
	test string // the one that finds it
	edit overlay.Edit
}{
	{
		"an event counts alone", "TestAnyOrder",
		overlay.Edit{File: "take.go", Old: `claim.Facts(dataOf(g.claim), in.policy)`, New: `claim.Facts(g.entries[0].data, in.policy)`},
	},
	{
		"what others have told is not left to them", "TestOld",
		overlay.Edit{File: "take.go", Old: `b.Delta.Equal(f.Delta)`, New: `b.Equal(f) && b.At > f.At`},
	},
	{
		"what was noted before is left to others", "TestKilled",
		overlay.Edit{File: "take.go", Old: `		others = others.Without(source)
`, New: `		if g.entries[0].told.Source > source {
			others = others.Without(source)
		}
`},
	},
	{
		"a conflict is counted", "TestConflict",
		overlay.Edit{File: "take.go", Old: `len(in.conflicts(g.claim)) > 0`, New: `len(in.conflicts(g.claim)) > 3`},
	},
	{
		"what is in conflict is dropped", "TestConflict",
		overlay.Edit{File: "take.go", Old: `		if !counted {`, New: `		if counted {`},
	},
	{
		"claims are read before they are noted", "TestConflictAtOnce",
		overlay.Edit{File: "take.go", Old: `	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
	if err := in.enter(ctx, groups); err != nil {
		return err
	}
	if err := in.read(ctx, groups); err != nil {
		return err
	}
`, New: `	if err := in.enter(ctx, groups); err != nil {
		return err
	}
	for k, g := range groups {
		known, err := in.store.Claims(ctx, []ledger.Key{k})
		if err != nil {
			return err
		}
		if g.claim = known[k]; g.claim.Terms == nil {
			g.claim = ledger.Claim{Key: k, Terms: map[ledger.Terms]ledger.Source{told[0].Terms: told[0].Source}, Sizes: map[int64]ledger.Source{told[0].Size: told[0].Source}}
		}
	}
	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
`},
	},
	{
		"what was there is late", "TestLate",
		overlay.Edit{File: "late.go", Old: `		case slices.ContainsFunc(stored[f.ID], f.Delta.Equal):
			continue
`, New: ``},
	},
	{
		"nothing is late", "TestLate",
		overlay.Edit{File: "late.go", Old: `in.store.MarkLate(ctx, today, begun)`, New: `in.store.MarkLate(ctx, today, nil)`},
	},
	{
		"the close is asked for before the facts are written", "TestMidnight",
		overlay.Edit{File: "late.go", Old: `	today := usage.DayOf(in.now().UnixMilli())
	over`, New: `	today := usage.DayOf(facts[0].At)
	over`},
	},
	{
		"any age counts", "TestOld",
		overlay.Edit{File: "late.go", Old: `in.policy.Timely(now, f)`, New: `error(nil)`},
	},
	{
		"half of a claim that is too old counts", "TestOld",
		overlay.Edit{File: "take.go", Old: `bad[keyOf(&f)] != nil`, New: `false`},
	},
	{
		"times that are ahead are noted", "TestPutAside",
		overlay.Edit{File: "ingest.go", Old: `anyAge.Timely(in.now(), facts...)`, New: `error(nil)`},
	},
	{
		"claims are entered after sizes were looked at", "TestSizes",
		overlay.Edit{File: "sized.go", Old: `	return in.store.PutUnsized(ctx, cids)`, New: `	return nil`},
	},
	{
		"sizes of peers are not looked at", "TestSizes",
		overlay.Edit{File: "sized.go", Old: `	if len(lacking) == 0 {`, New: `	if len(lacking) >= 0 {`},
	},
	{
		"a size that peers do not agree in counts", "TestSizesInConflict",
		overlay.Edit{File: "sized.go", Old: `		if len(known) > 1 {
			continue`, New: `		if len(known) > 5 {
			continue`},
	},
	{
		"who has a size stays among those without", "TestSizes",
		overlay.Edit{File: "sized.go", Old: `	return in.store.DeleteUnsized(ctx, cids)`, New: `	return nil`},
	},
	{
		"nobody is an owner", "TestSuspense",
		overlay.Edit{File: "take.go", Old: `		d.Owner = ""
`, New: ``},
	},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	cqltest.Start(t) // the programs use the same server
	for i, m := range mutants {
		if err := overlay.Check(".", []overlay.Edit{m.edit}); err != nil {
			t.Errorf("%s: %s", m.name, err)
		}
		if i > 0 && os.Getenv("TEST_LONG") != "1" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			program, err := overlay.Build(ctx, ".", "*_test.go", t.TempDir(), []overlay.Edit{m.edit})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "10m").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}

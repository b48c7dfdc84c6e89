package plan

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// notMerged rates each day by itself.
var notMerged = overlay.Edit{File: "rate.go", Old: `out[last].To == s.From && out[last].Plan.same(s.Plan)`, New: `out[last].To == s.From && out[last].Plan.same(s.Plan) && day < 0`}

// mutants are bugs that a test must find, planted in the real code. TestOracle draws what
// it looks at, and finds each within its hundred tries.
var mutants = []struct {
	name, test string
	edits      []overlay.Edit
}{
	{"an edge belongs to the tier above", "TestBoundaries", []overlay.Edit{{File: "charge.go", Old: `for i > 0 && to.Cmp(begins[i]) <= 0 {`, New: `for i > 0 && to.Cmp(begins[i]) < 0 {`}}},
	{"a tier begins one after its edge", "TestBoundaries", []overlay.Edit{{File: "charge.go", Old: `begins = append(begins, a.at(t.upTo))`, New: `begins = append(begins, new(big.Int).Add(a.at(t.upTo), a.perMeter))`}}},
	{"a full package opens the next one", "TestBoundaries", []overlay.Edit{{File: "charge.go", Old: `if rest.Sign() > 0 {`, New: `if rest.Sign() >= 0 && a.Sign() > 0 {`}}},
	{"a package that is not full is for nothing", "TestBoundaries", []overlay.Edit{{File: "charge.go", Old: `if rest.Sign() > 0 {`, New: `if rest.Sign() < 0 {`}}},
	{"tiers are of the day", "TestOracle", []overlay.Edit{notMerged}},
	{"rounded by the day", "TestOracle", []overlay.Edit{notMerged, {File: "charge.go", Old: `if s.Plan.carry {`, New: `if true {`}}},
	{"cuts matter", "TestCuts", []overlay.Edit{notMerged}},
	{"rounded twice", "TestOracle", []overlay.Edit{{File: "line.go", Old: `cost.Mul(cost, num), per.Mul(per, den)`, New: `cost.Mul(cost, quantity.Scaled(shown)), per.Mul(per, money.Pow10(shown))`}}},
	{"always half even", "TestOracle", []overlay.Edit{{File: "line.go", Old: `p.rounding.digits, p.rounding.mode)`, New: `p.rounding.digits, money.HalfEven)`}}},
	{"always the digits of the currency", "TestOracle", []overlay.Edit{{File: "line.go", Old: `p.rounding.digits, p.rounding.mode)`, New: `p.currency.Digits(), p.rounding.mode)`}}},
	{"the quota of a part of a month is whole", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `new(big.Int), s.To-s.From`, New: `new(big.Int), Day(r.month.Days())`}}},
	{"the quota moves no tier", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `from, to = beyond(from, quota), beyond(to, quota)`, New: `from = most(from, quota)`}}},
	{"carry begins at 0", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `from.Mul(r.before[c.unit.meter], a.perMeter)`, New: ``}}},
	{"only the stretch before is carried", "TestOracle", []overlay.Edit{{File: "rate.go", Old: `r.before = r.before.plus(s.Used)`, New: `r.before = s.Used.plus(nil)`}}},
	{"the fee of a tier is due again", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `if !reached || c.tiers[i].flat.Sign() == 0 {`, New: `if c.tiers[i].flat.Sign() == 0 {`}}},
	{"a fee that is not prorated is due again", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `r.due[due] = true`, New: ``}}},
	{"the minimum is that of a whole month", "TestOracle", []overlay.Edit{{File: "rate.go", Old: `if !p.minimum.prorate {`, New: `if true {`}}},
	{"the minimum is for the last days of a plan", "TestOracle", []overlay.Edit{{File: "rate.go", Old: `days, to = days+other.To-other.From, other.To`, New: `days, to = other.To-other.From, other.To`}}},
	{"the minimum looks at all plans", "TestOracle", []overlay.Edit{{File: "rate.go", Old: `if l.Plan != p.name || l.Version != p.version {`, New: `if l.Plan == "" {`}}},
	{"every month has 30 days", "TestOracle", []overlay.Edit{{File: "unit.go", Old: `dayInHour * int64(m.Days())`, New: `dayInHour * 30`}}},
	{"730 hours are 720", "TestOracle", []overlay.Edit{{File: "unit.go", Old: `		hours = 730`, New: `		hours = 720`}}},
	{"GiB are GB", "TestOracle", []overlay.Edit{{File: "unit.go", Old: `big.NewInt(1024)`, New: `big.NewInt(1000)`}}},
	{"usage in 64 bits", "TestOracle", []overlay.Edit{{File: "charge.go", Old: `to := new(big.Int).Mul(used, a.perMeter)`, New: `to := new(big.Int).Mul(big.NewInt(used.Int64()), a.perMeter)`}}},
	{"the total is not the sum", "TestOracle", []overlay.Edit{{File: "rate.go", Old: `for _, l := range r.lines {
		if out.Total`, New: `for _, l := range r.lines[min(1, len(r.lines)-1):] {
		if out.Total`}}},
	{"fees accrue from the whole stretch", "TestAccrue", []overlay.Edit{{File: "charge.go", Old: `min(s.To, r.through)-s.From`, New: `s.To-s.From`}}},
	{"the minimum accrues", "TestAccrueEndsWithTheBill", []overlay.Edit{{File: "accrue.go", Old: `day+1, false)`, New: `day+1, true)`}}},
	{"an estimate forgets the copies", "TestEstimateIsADifference", []overlay.Edit{{File: "estimate.go", Old: `int64(replicas) * DayMS`, New: `min(int64(replicas), 1) * DayMS`}}},
	{"an estimate forgets what there is", "TestEstimateIsADifference", []overlay.Edit{{File: "estimate.go", Old: `before[:len(before):len(before)], before`, New: `before[:0:0], before`}}},
	{"a threshold is crossed only beyond it", "TestLimit", []overlay.Edit{{File: "limit.go", Old: `>= 0, nil`, New: `> 0, nil`}}},
	{"a price may be a float", "TestLint", []overlay.Edit{{File: "yaml.go", Old: `case n.Tag != "!!str":
		example`, New: `case n.Tag == "":
		example`}}},
	{"unknown keys are let through", "TestLint", []overlay.Edit{{File: "yaml.go", Old: `case !isKnown:`, New: `case !isKnown && field == "no":`}}},
	{"a changed version is not noticed", "TestLintOfBook", []overlay.Edit{{File: "book.go", Old: `case p.digest != u.Digest:`, New: `case u.Digest == "":`}}},
	{"the digest leaves out the rounding", "TestDigest", []overlay.Edit{{File: "canonical.go", Old: `canonicalRounding{string(p.rounding.mode), p.rounding.digits}`, New: `canonicalRounding{}`}}},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	for i, m := range mutants {
		if err := overlay.Check(".", m.edits); err != nil {
			t.Errorf("%s: %s", m.name, err)
		}
		if i > 0 && os.Getenv("TEST_LONG") != "1" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			program, err := overlay.Build(ctx, ".", "*_test.go", t.TempDir(), m.edits)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "5m", "-rapid.nofailfile", "-rapid.shrinktime=1s").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}

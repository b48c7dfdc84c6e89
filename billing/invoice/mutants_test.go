package invoice

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []struct {
	name string
	test string // the one that finds it
	edit overlay.Edit
}{
	{"what is left over goes to nobody", "TestShare", overlay.Edit{File: "share.go", Old: `order[:left.Int64()]`, New: `order[:0]`}},
	{"what is left over goes to the first parts", "TestShareRemainder", overlay.Edit{File: "share.go", Old: `return lost[b].Cmp(lost[a])`, New: `return a - b`}},
	{"shares are by the original amounts", "TestCredit", overlay.Edit{File: "credit.go", Old: `			rest[at].Sub(rest[at], n)
`, New: `			rest[at].Sub(rest[at], new(big.Int).Sub(n, n))
`}},
	{"taxes are not credited", "TestCredit", overlay.Edit{File: "credit.go", Old: `note.Taxes = append(note.Taxes, t)`, New: `t.Amount = money.Zero(t.Amount.Currency())
		note.Taxes = append(note.Taxes, t)`}},
	{"one unit more than the invoice is credited", "TestCredit", overlay.Edit{File: "credit.go", Old: `units.Cmp(rest) > 0`, New: `units.Cmp(new(big.Int).Add(rest, one())) > 0`}},
	{"a credit note counts for any invoice", "TestCreditRefuses", overlay.Edit{File: "credit.go", Old: ` || d.Credits.Digest != digest`, New: ``}},
	{"a credit note counts twice", "TestCreditRefuses", overlay.Edit{File: "credit.go", Old: `		seen[note.Number] = true
`, New: ``}},
	{"a tax is on the tax before it", "TestTaxes", overlay.Edit{File: "tax.go", Old: `		t.Amount = money.FromMinor(due, c)
`, New: `		t.Amount = money.FromMinor(due, c)
		base = new(big.Int).Add(base, due)
`}},
	{"a rate has a digit too few", "TestTotals", overlay.Edit{File: "tax.go", Old: `t.Percent.Scale()+2`, New: `t.Percent.Scale()+1`}},
	{"taxes are always rounded half up", "TestTotals", overlay.Edit{File: "tax.go", Old: `0, t.Rounding)`, New: `0, money.HalfUp)`}},
	{"taxes of other rates are read", "TestParseRefusesOtherTaxes", overlay.Edit{File: "check.go", Old: `amount.Cmp(due) != 0`, New: `amount.Sign() < 0`}},
	{"other sums are read", "TestParseRefusesOtherSums", overlay.Edit{File: "check.go", Old: `if same, err := sum.has.Cmp(sum.want); err != nil || same != 0 {`, New: `if _, err := sum.has.Cmp(sum.want); err != nil {`}},
	{"unknown members are read", "TestUnknownMembers", overlay.Edit{File: "canonical.go", Old: `, json.RejectUnknownMembers(true)`, New: ``}},
	{"the JSON is not canonical", "TestDigest", overlay.Edit{File: "canonical.go", Old: `value.Canonicalize()`, New: `value.Compact()`}},
	{"the digest of a draft has the number", "TestDigest", overlay.Edit{File: "canonical.go", Old: `d.Series, d.Number, d.Issued, d.Due = "", "", 0, 0`, New: `d.Issued, d.Due = 0, 0`}},
	{"what was changed is not noticed", "TestVerify", overlay.Edit{File: "canonical.go", Old: `has != digest`, New: `has == ""`}},
	{"the caller's lists are kept", "TestNewKeepsNothing", overlay.Edit{File: "new.go", Old: `lines := slices.Clone(c.Lines)`, New: `lines := c.Lines`}},
	{"documents are issued twice", "TestIssue", overlay.Edit{File: "new.go", Old: `if !d.Draft() {`, New: `if d.Draft() && d.Issued != 0 {`}},
	{"an invoice pays the buyer", "TestIssue", overlay.Edit{File: "check.go", Old: `!d.Draft() && gross.Sign() < 0`, New: `false`}},
	{"what is paid stays open", "TestStanding", overlay.Edit{File: "standing.go", Old: `case due.Sign() <= 0 &&`, New: `case due.Sign() < 0 &&`}},
	{"what is taken back stays paid", "TestStanding", overlay.Edit{File: "standing.go", Old: `case due.Sign() > 0 && s.State == Paid:`, New: `case due.Sign() > 0 && s.State == "":`}},
	{"an invoice that was paid in part is voided", "TestStanding", overlay.Edit{File: "standing.go", Old: ` || s.Paid.Sign() != 0 || s.Credited.Sign() != 0`, New: ``}},
	{"a void invoice is paid", "TestStanding", overlay.Edit{File: "standing.go", Old: `	if s.State == Draft || s.State == Void {
		return s, s.refuse("is paid")`, New: `	if s.State == Draft {
		return s, s.refuse("is paid")`}},
	{"more is taken back than was paid", "TestStanding", overlay.Edit{File: "standing.go", Old: `if paid.Sign() < 0 {`, New: `if false {`}},
	{"what is uncollectible stays so", "TestStanding", overlay.Edit{File: "standing.go", Old: `(s.State == Open || s.State == Uncollectible):`, New: `(s.State == Open):`}},
	{"days that do not add up are told", "TestExplain", overlay.Edit{File: "explain.go", Old: `!e.Total.equal(measured)`, New: `false`}},
	{"pins that do not add up are told", "TestExplain", overlay.Edit{File: "explain.go", Old: `others == 0 && rest.Sign() != 0`, New: `false`}},
	{"a day is counted twice", "TestExplain", overlay.Edit{File: "explain.go", Old: `day.Date <= days[i-1].Date`, New: `day.Date < days[i-1].Date`}},
	{"pins that a page leaves out are in no sum", "TestExplainPins", overlay.Edit{File: "sheet.go", Old: `rest, restTotal = rest+1, restTotal.add(p.Quantity)`, New: `rest, restTotal = rest+0, restTotal.add(p.Quantity)`}},
	{"texts are HTML", "TestHostileTexts", overlay.Edit{File: "sheet.go", Old: `Description: visible(l.Description)`, New: `Description: l.Description`}},
	{"links may be scripts", "TestCopyRefuses", overlay.Edit{File: "copy.go", Old: `[]string{"https", "ethereum"}`, New: `[]string{"https", "ethereum", "javascript"}`}},
	{"texts turn what is around them", "TestVisible", overlay.Edit{File: "readable.go", Old: `unicode.Cc, unicode.Cf, `, New: `unicode.Cc, `}},
	{"control characters are written", "TestHostileTexts", overlay.Edit{File: "readable.go", Old: `unicode.Cc, unicode.Cf, `, New: `unicode.Cf, `}},
	{"formulas stay formulas", "TestHostileTexts", overlay.Edit{File: "csv.go", Old: `"$1'$2"`, New: `"$1$2"`}},
	{"formulas after a semicolon stay formulas", "TestHostileTexts", overlay.Edit{File: "csv.go", Old: `(^|[;|])`, New: `(^)`}},
	{"small numbers are shown as zero", "TestReadableIsNear", overlay.Edit{File: "readable.go", Old: `digits = max(digits, zeros+atLeast-1)`, New: `digits = max(digits, zeros-1)`}},
	{"a PDF says when it was made", "TestPDFIsStable", overlay.Edit{File: "pdfpages.go", Old: `	p.file.SetModificationDate(made.time())
`, New: ``}},
	{"a PDF fails where its font has no glyph", "TestHostileTexts", overlay.Edit{File: "pdf.go", Old: `r > 0xffff || err != nil || glyph == 0`, New: `err != nil || glyph == 0xffff`}},
	{"a PDF hides what its font has not", "TestHostileTexts", overlay.Edit{File: "pdf.go", Old: `			return lacking
`, New: `			return -1
`}},
	{"the first pages do not know how many there are", "TestPDFText", overlay.Edit{File: "pdf.go", Old: `first.file.PageCount()`, New: `first.file.PageCount()-1`}},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
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
			cmd := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "10m", "-rapid.nofailfile") //nolint:gosec // it was just built
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) && !strings.Contains(string(out), "panic: ") {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 (make test-billing) plants all.", len(mutants))
	}
}

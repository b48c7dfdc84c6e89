package erc20

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
	name, test string
	edit       overlay.Edit
}{
	{"a tail that is taken is taken again", "TestAskedAmounts", overlay.Edit{File: "tails.go", Old: "end != nil && now.Sub(end.At) > tailRest, err", New: "end == nil || true, err"}},
	{"a tail is free at once", "TestAskedAmounts", overlay.Edit{File: "tails.go", Old: "now.Sub(end.At) > tailRest", New: "now.Sub(end.At) >= 0"}},
	{"a tail is never free", "TestAskedAmounts", overlay.Edit{File: "tails.go", Old: "now.Sub(end.At) > tailRest", New: "false"}},
	{"tails end in zero", "TestWithTail", overlay.Edit{File: "tails.go", Old: "n/9*10 + n%9 + 1", New: "n + 1"}},
	{"less than the total is asked", "TestWithTail", overlay.Edit{File: "tails.go", Old: "return extra.Add(extra, base)", New: "return extra.Sub(base, extra)"}},
	{"other tail_digits are forgotten", "TestTailDigitsAreRaised", overlay.Edit{File: "tails.go", Old: "for digits := minTail; digits", New: "for digits := defaultTail; digits"}},
	{"decimals are not compared", "TestDecimals", overlay.Edit{File: "rail.go", Old: "if len(answer) != 32 || answer.Word(0).Cmp(big.NewInt(int64(t.Decimals))) != 0 {", New: "if len(answer) > 32 && big.NewInt(1) != nil {"}},
	{"any currency is taken", "TestCollect", overlay.Edit{File: "collect.go", Old: "case invoice.Currency.Code != token.Currency:", New: "case false:"}},
	{"what is open is asked again", "TestCollect", overlay.Edit{File: "collect.go", Old: "if end == nil || end.Paid != \"\" {", New: "if end != nil && end.Paid != \"\" {"}},
	{"what was cancelled is asked on", "TestCollect", overlay.Edit{File: "collect.go", Old: "if end != nil && end.Paid == \"\" {", New: "if end != nil && end.Paid == \"x\" {"}},
	{"another total is not noticed", "TestCollect", overlay.Edit{File: "collect.go", Old: "a.Total.Cmp(invoice.Total) != 0 || ", New: ""}},
	{"the chain is not in the link", "TestPicture", overlay.Edit{File: "link.go", Old: "ethereum:%s@%d/transfer?address=%s&uint256=%s\", token, chainID, to, units", New: "ethereum:%s/transfer?address=%s&uint256=%s\", token, to, units"}},
	{"the QR code has no white around it", "TestPicture", overlay.Edit{File: "link.go", Old: "qrBorder = 4 * qrScale", New: "qrBorder = 4"}},
	{"transfers of nothing are told", "TestWants", overlay.Edit{File: "match.go", Old: "log.Data.Word(0).Sign() > 0 && ", New: ""}},
	{"transfers from ourselves are told", "TestWants", overlay.Edit{File: "match.go", Old: " && !slices.Contains(c.config.addresses(), from), nil", New: " && from != (evm.Address{}), nil"}},
	{"an NFT is money", "TestWants", overlay.Edit{File: "match.go", Old: "len(log.Topics) != 3 || len(log.Data) != 32", New: "len(log.Data) != 32 && len(log.Data) > 0"}},
	{"a near amount pays", "TestNearAmounts", overlay.Edit{File: "match.go", Old: "return a.Asked.Cmp(p.Amount) == 0 && a.Token", New: "return a.Token"}},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	for i, m := range mutants {
		if err := overlay.Check(".", []overlay.Edit{m.edit}); err != nil {
			t.Errorf("%s: %s", m.name, err)
			continue
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
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "5m").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) && !strings.Contains(string(out), "panic: ") {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}

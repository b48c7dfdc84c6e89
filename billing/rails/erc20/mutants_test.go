package erc20

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []overlay.Mutant{
	{Name: "a tail that is taken is taken again", Test: "TestAskedAmounts", Edits: []overlay.Edit{{File: "tails.go", Old: "end != nil && now.Sub(end.At) > tailRest, err", New: "end == nil || true, err"}}},
	{Name: "a tail is free at once", Test: "TestAskedAmounts", Edits: []overlay.Edit{{File: "tails.go", Old: "now.Sub(end.At) > tailRest", New: "now.Sub(end.At) >= 0"}}},
	{Name: "a tail is never free", Test: "TestAskedAmounts", Edits: []overlay.Edit{{File: "tails.go", Old: "now.Sub(end.At) > tailRest", New: "false"}}},
	{Name: "tails end in zero", Test: "TestWithTail", Edits: []overlay.Edit{{File: "tails.go", Old: "n/9*10 + n%9 + 1", New: "n + 1"}}},
	{Name: "less than the total is asked", Test: "TestWithTail", Edits: []overlay.Edit{{File: "tails.go", Old: "return extra.Add(extra, base)", New: "return extra.Sub(base, extra)"}}},
	{Name: "other tail_digits are forgotten", Test: "TestTailDigitsAreRaised", Edits: []overlay.Edit{{File: "tails.go", Old: "for digits := minTail; digits", New: "for digits := defaultTail; digits"}}},
	{Name: "decimals are not compared", Test: "TestDecimals", Edits: []overlay.Edit{{File: "rail.go", Old: "if len(answer) != 32 || answer.Word(0).Cmp(big.NewInt(int64(t.Decimals))) != 0 {", New: "if len(answer) > 32 && big.NewInt(1) != nil {"}}},
	{Name: "any currency is taken", Test: "TestCollect", Edits: []overlay.Edit{{File: "collect.go", Old: "case invoice.Currency.Code != token.Currency:", New: "case false:"}}},
	{Name: "what is open is asked again", Test: "TestCollect", Edits: []overlay.Edit{{File: "collect.go", Old: "if end == nil || end.Paid != \"\" {", New: "if end != nil && end.Paid != \"\" {"}}},
	{Name: "what was cancelled is asked on", Test: "TestCollect", Edits: []overlay.Edit{{File: "collect.go", Old: "if end != nil && end.Paid == \"\" {", New: "if end != nil && end.Paid == \"x\" {"}}},
	{Name: "another total is not noticed", Test: "TestCollect", Edits: []overlay.Edit{{File: "collect.go", Old: "a.Total.Cmp(invoice.Total) != 0 || ", New: ""}}},
	{Name: "the chain is not in the link", Test: "TestPicture", Edits: []overlay.Edit{{File: "link.go", Old: "ethereum:%s@%d/transfer?address=%s&uint256=%s\", token, chainID, to, units", New: "ethereum:%s/transfer?address=%s&uint256=%s\", token, to, units"}}},
	{Name: "the QR code has no white around it", Test: "TestPicture", Edits: []overlay.Edit{{File: "link.go", Old: "qrBorder = 4 * qrScale", New: "qrBorder = 4"}}},
	{Name: "transfers of nothing are told", Test: "TestWants", Edits: []overlay.Edit{{File: "match.go", Old: "log.Data.Word(0).Sign() > 0 && ", New: ""}}},
	{Name: "transfers from ourselves are told", Test: "TestWants", Edits: []overlay.Edit{{File: "match.go", Old: " && !slices.Contains(c.config.addresses(), from), nil", New: " && from != (evm.Address{}), nil"}}},
	{Name: "an NFT is money", Test: "TestWants", Edits: []overlay.Edit{{File: "match.go", Old: "len(log.Topics) != 3 || len(log.Data) != 32", New: "len(log.Data) != 32 && len(log.Data) > 0"}}},
	{Name: "a near amount pays", Test: "TestNearAmounts", Edits: []overlay.Edit{{File: "match.go", Old: "return a.Asked.Cmp(p.Amount) == 0 && a.Token", New: "return a.Token"}}},
}

func TestPlantedBugsAreFound(t *testing.T) { overlay.Find(t, 1, mutants) }

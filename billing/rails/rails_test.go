package rails

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

func good() Invoice {
	return Invoice{
		Number: "2026-17", Owner: "acme", Currency: Currency{"USD", 2}, Total: big.NewInt(1999),
		Lines: []Line{{"storage", big.NewInt(2100)}, {"discount", big.NewInt(-101)}},
	}
}

func TestInvoiceCheck(t *testing.T) {
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	huge := good()
	huge.Total, _ = new(big.Int).SetString("123456789012345678901234567890", 10)
	huge.Lines = []Line{{"all", new(big.Int).Set(huge.Total)}}
	if err := huge.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Invoice){
		"no number":                      func(i *Invoice) { i.Number = "" },
		"the revision -1":                func(i *Invoice) { i.Rev = -1 },
		"no currency":                    func(i *Invoice) { i.Currency.Code = "" },
		"invoice 2026-17 has no curr":    func(i *Invoice) { i.Currency.Digits = -1 },
		"its total is <nil>":             func(i *Invoice) { i.Total = nil },
		"its total is 0":                 func(i *Invoice) { i.Total = new(big.Int) },
		"its total is -1":                func(i *Invoice) { i.Total = big.NewInt(-1) },
		"no lines":                       func(i *Invoice) { i.Lines = nil },
		"no amount in line 1":            func(i *Invoice) { i.Lines[1].Amount = nil },
		"1999 in sum, and the total 200": func(i *Invoice) { i.Total = big.NewInt(200) },
	} {
		invoice := good()
		change(&invoice)
		if err := invoice.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPaymentCheck(t *testing.T) {
	payment := func() Payment {
		return Payment{Rail: "stripe", ID: "in_1", Kind: Paid, Amount: big.NewInt(1), Currency: Currency{"JPY", 0}, At: time.Unix(1, 0)}
	}
	if err := payment().Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Payment){
		"no rail or no id": func(p *Payment) { p.Rail = "" },
		"no id":            func(p *Payment) { p.ID = "" },
		`the kind "gift"`:  func(p *Payment) { p.Kind = "gift" },
		"amount <nil>":     func(p *Payment) { p.Amount = nil },
		"amount -1":        func(p *Payment) { p.Amount = big.NewInt(-1) },
		"no currency":      func(p *Payment) { p.Currency.Code = "" },
		"no time":          func(p *Payment) { p.At = time.Time{} },
	} {
		p := payment()
		change(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestReplaces(t *testing.T) {
	for _, tt := range []struct {
		now, recorded uint64
		want          bool
	}{{1, 0, true}, {1, 1, false}, {0, 1, false}} {
		if got := (Payment{Version: tt.now}).Replaces(Payment{Version: tt.recorded}); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestRefuse(t *testing.T) {
	err := fmt.Errorf("collecting: %w", Refuse("customer %s is unknown", "c"))
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Reason != "customer c is unknown" {
		t.Errorf("%v is no refusal", err)
	}
}

package chaintest

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/erc20"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

var dollars = rails.Currency{Code: "USD", Digits: 2}

func invoice(number string, cents int64) rails.Invoice {
	return rails.Invoice{
		Number: number, Owner: "acme", Currency: dollars, Total: big.NewInt(cents),
		Lines: []rails.Line{{Description: "storage", Amount: big.NewInt(cents)}}, Due: time.Now().Add(30 * 24 * time.Hour),
	}
}

// shop is an owner of tokens, and a rail that receives some.
type shop struct {
	*chain
	usdc, bridged contract
	to            common.Address
	journal       *railstest.Journal
	config        erc20.Config
	rail          *erc20.Rail
	collector     *erc20.Collector
}

func newShop(t *testing.T) *shop {
	t.Helper()
	c := newChain(t)
	s := &shop{chain: c, journal: new(railstest.Journal), to: common.HexToAddress("0x00000000000000000000000000000000000000aa")}
	s.usdc, s.bridged = c.token("USDC", 6), c.token("USDC.e", 6)
	s.config = erc20.Config{Chains: []erc20.Chain{{
		Config: c.config(), Address: evm.Address(s.to),
		Tokens:        []erc20.Token{{Name: "USDC", Address: evm.Address(s.usdc.at), Decimals: 6, Currency: "USD"}},
		RefusedTokens: []erc20.RefusedToken{{Name: "USDC.e", Address: evm.Address(s.bridged.at), Decimals: 6}},
	}}}
	s.restart()
	return s
}

// restart is another process: it knows what is in the journal, and nothing else.
func (s *shop) restart() {
	s.t.Helper()
	rail, err := erc20.New(s.config, s.journal)
	must(s.t, err)
	s.t.Cleanup(rail.Close)
	s.rail = rail
	s.collector, err = rail.Collector("sim", "USDC")
	must(s.t, err)
}

func (s *shop) ask(i rails.Invoice) rails.Request {
	s.t.Helper()
	request, err := s.collector.Collect(s.t.Context(), i)
	must(s.t, err)
	return request
}

func (s *shop) poll() {
	s.t.Helper()
	must(s.t, s.rail.Poll(s.t.Context()))
}

// pay sends units of a token to an address, and mines the block. It returns the id of the payment.
func (s *shop) pay(token contract, to common.Address, units *big.Int) string {
	s.t.Helper()
	receipt := s.do(s.owner, token, "transfer", to, units)
	return id(receipt.TxHash, receipt.Logs[0].Index)
}

// payment returns what is recorded of a transfer.
func (s *shop) payment(id string) rails.Payment {
	s.t.Helper()
	p, ok := s.journal.Payment(erc20.Name, id)
	if !ok {
		s.t.Fatalf("nothing is recorded of %s", id)
	}
	return p
}

// expect fails unless a payment is of an invoice, of so much, final or not.
func (s *shop) expect(id, number string, amount int64, kind rails.Kind, final bool) rails.Payment {
	s.t.Helper()
	p := s.payment(id)
	if p.Invoice != number || p.Amount.Cmp(big.NewInt(amount)) != 0 || p.Kind != kind || p.Final != final {
		s.t.Errorf("%+v, want invoice %q, amount %d, %s, final %v", p, number, amount, kind, final)
	}
	return p
}

// unmatched fails unless a payment is final, of no invoice, and says why.
func (s *shop) unmatched(id string, units *big.Int, currency, why string) {
	s.t.Helper()
	p := s.payment(id)
	if p.Invoice != "" || p.Amount.Cmp(units) != 0 || p.Currency.Code != currency || !p.Final || p.Kind != rails.Paid || !strings.Contains(p.Detail, why) {
		s.t.Errorf("%+v, want %s %s of no invoice, with %q", p, units, currency, why)
	}
}

func TestPaid(t *testing.T) {
	s := newShop(t)
	asked := s.ask(invoice("2026-17", 1234))
	want := fmt.Sprintf("ethereum:%s@1337/transfer?address=%s&uint256=%s", s.usdc.at, evm.Address(s.to), asked.Asked)
	if asked.Link != want || asked.Currency != (rails.Currency{Code: "USDC", Digits: 6}) {
		t.Errorf("%s in %v, want %s", asked.Link, asked.Currency, want)
	}
	if extra := new(big.Int).Sub(asked.Asked, big.NewInt(12_340_000)).Int64(); extra < 1 || extra > 9999 {
		t.Errorf("%s was asked, which is not 12.34 and a tail", asked.Asked)
	}
	if again := s.ask(invoice("2026-17", 1234)); again.Link != asked.Link || string(again.QR) != string(asked.QR) {
		t.Errorf("asked again it is %s, and was %s", again.Link, asked.Link)
	}
	s.poll()
	paid := s.pay(s.usdc, s.to, asked.Asked)
	s.poll()
	p := s.expect(paid, "2026-17", 1234, rails.Paid, false)
	if p.Currency != dollars || p.Block != s.head() || !strings.Contains(p.Detail, "not final yet") {
		t.Errorf("%+v", p)
	}
	s.mine(4)
	s.poll()
	s.expect(paid, "2026-17", 1234, rails.Paid, false)
	s.mine(1)
	s.poll()
	p = s.expect(paid, "2026-17", 1234, rails.Paid, true)
	if !strings.Contains(p.Detail, evm.Amount(asked.Asked, 6)+" USDC from "+s.owner.address().Hex()) {
		t.Errorf("the detail is %q", p.Detail)
	}
	if err := s.collector.Cancel(t.Context(), "2026-17"); err == nil {
		t.Error("a paid invoice was cancelled")
	}
	if got := s.rail.Status()["sim"]; got.Head != s.head() || got.Final != s.head()-5 {
		t.Errorf("%+v", got)
	}
}

// TestFinalizedTag shows that the node's own finality is waited for, without confirmations.
func TestFinalizedTag(t *testing.T) {
	s := newShop(t)
	s.config.Chains[0].Confirmations = 0
	s.restart()
	asked := s.ask(invoice("1", 100))
	s.mine(40 - int(s.head())) // #nosec: few blocks
	paid := s.pay(s.usdc, s.to, asked.Asked)
	s.mine(20)
	s.poll()
	s.expect(paid, "1", 100, rails.Paid, false)
	s.mine(4) // the 64th, which is final with all before it
	s.poll()
	s.expect(paid, "1", 100, rails.Paid, true)
}

func TestWrongPayments(t *testing.T) {
	s := newShop(t)
	fake := s.token("USDC", 6)
	asked := s.ask(invoice("A", 1234)).Asked
	other := s.ask(invoice("B", 1234)).Asked
	gone := s.ask(invoice("C", 500)).Asked
	must(t, s.collector.Cancel(t.Context(), "C"))
	if asked.Cmp(other) == 0 {
		t.Fatal("two invoices were asked for by one amount")
	}
	cents := big.NewInt(10_000)
	less, more := new(big.Int).Sub(asked, cents), new(big.Int).Add(asked, cents)
	round := big.NewInt(12_340_000)
	payments := map[string]struct {
		id       string
		units    *big.Int
		currency string
		why      string
	}{
		"less":      {s.pay(s.usdc, s.to, less), less, "USDC", "less than the " + evm.Amount(asked, 6) + " of invoice A"},
		"more":      {s.pay(s.usdc, s.to, more), more, "USDC", "more than the " + evm.Amount(asked, 6) + " of invoice A"},
		"round":     {s.pay(s.usdc, s.to, round), round, "USDC", "no invoice asked for this amount"},
		"refused":   {s.pay(s.bridged, s.to, asked), asked, "USDC.e", "wrong token"},
		"cancelled": {s.pay(s.usdc, s.to, gone), gone, "USDC", "invoice C, whose asking was cancelled"},
	}
	nothing, faked := s.pay(s.usdc, s.to, new(big.Int)), s.pay(fake, s.to, asked)
	elsewhere := s.pay(s.usdc, common.HexToAddress("0xbb"), asked)
	right := s.pay(s.usdc, s.to, asked)
	s.mine(5)
	s.poll()
	twice := s.pay(s.usdc, s.to, asked)
	s.mine(5)
	s.poll()
	for name, p := range payments {
		t.Run(name, func(*testing.T) { s.unmatched(p.id, p.units, p.currency, p.why) })
	}
	s.expect(right, "A", 1234, rails.Paid, true)
	s.unmatched(twice, asked, "USDC", "invoice A a second time: it was paid by "+right)
	for name, id := range map[string]string{"nothing": nothing, "fake": faked, "elsewhere": elsewhere} {
		if p, ok := s.journal.Payment(erc20.Name, id); ok {
			t.Errorf("%s is recorded: %+v", name, p)
		}
	}
	late := invoice("D", 700)
	late.Due = time.Now().Add(-24 * time.Hour)
	id := s.pay(s.usdc, s.to, s.ask(late).Asked)
	s.mine(5)
	s.poll()
	if p := s.expect(id, "D", 700, rails.Paid, true); !strings.Contains(p.Detail, "late: it was due "+late.Due.UTC().Format(time.DateOnly)) {
		t.Errorf("the detail is %q", p.Detail)
	}
}

// TestOtherChain shows what becomes of money that was asked for on one chain and came on
// another one that is watched, and of an invoice that was asked for on both and paid twice.
func TestOtherChain(t *testing.T) {
	s := newShop(t)
	other := s.config.Chains[0]
	second := newChain(t)
	token := second.token("USDC", 6)
	other.Config = second.config()
	other.Name, other.ChainID = "other", 7331
	other.Tokens = []erc20.Token{{Name: "USDC", Address: evm.Address(token.at), Decimals: 6, Currency: "USD"}}
	other.RefusedTokens = nil
	s.config.Chains = append(s.config.Chains, other)
	s.restart()
	if err := s.rail.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "other: the node is of another chain: it says 1337, and the configuration 7331") {
		t.Fatalf("%v", err)
	}
	second.answerChain(7331)
	asked := s.ask(invoice("A", 1000)).Asked
	receipt := second.do(second.owner, token, "transfer", s.to, asked)
	second.mine(5)
	s.poll()
	s.unmatched(strings.Replace(id(receipt.TxHash, receipt.Logs[0].Index), "1337:", "7331:", 1), asked, "USDC",
		"wrong chain or token: invoice A asked for this amount of USDC on sim")

	there, err := s.rail.Collector("other", "USDC")
	must(t, err)
	both, err := there.Collect(t.Context(), invoice("B", 1000))
	must(t, err)
	first := s.pay(s.usdc, s.to, s.ask(invoice("B", 1000)).Asked)
	s.mine(5)
	s.poll()
	s.expect(first, "B", 1000, rails.Paid, true)
	receipt = second.do(second.owner, token, "transfer", s.to, both.Asked)
	second.mine(5)
	s.poll()
	s.unmatched(strings.Replace(id(receipt.TxHash, receipt.Logs[0].Index), "1337:", "7331:", 1), both.Asked, "USDC", "invoice B a second time: it was paid by "+first)
}

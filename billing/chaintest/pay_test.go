package chaintest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/filecoinpay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

// till is a payer with a rail to us, and what charges it.
type till struct {
	*chain
	usdfc, pay contract
	payee      common.Address
	railID     string
	journal    *railstest.Journal
	config     filecoinpay.Config
	rail       *filecoinpay.Rail
}

func newTill(t *testing.T) *till {
	t.Helper()
	c := newChain(t)
	b := &till{chain: c, journal: new(railstest.Journal), payee: common.HexToAddress("0xaa")}
	b.usdfc = c.token("USDFC", 18)
	bin := "contracts/PayStandIn.bin"
	if real := os.Getenv("FILECOIN_PAY_BIN"); real != "" {
		bin = real
	}
	t.Logf("the contract is that of %s", bin)
	b.pay = c.deploy(bin, "contracts/PayStandIn.abi")
	c.do(c.owner, b.usdfc, "transfer", c.payer.address(), units(1000))
	c.do(c.payer, b.usdfc, "approve", b.pay.at, units(1000))
	c.do(c.payer, b.pay, "deposit", b.usdfc.at, c.payer.address(), units(100))
	c.do(c.payer, b.pay, "setOperatorApproval", b.usdfc.at, c.operator.address(), true, new(big.Int), units(80), big.NewInt(1000))
	b.railID = b.newRail(c.operator, b.payee)

	file := filepath.Join(t.TempDir(), "operator")
	must(t, os.WriteFile(file, []byte(hex.EncodeToString(crypto.FromECDSA(c.operator.key))), 0o600))
	b.config = filecoinpay.Config{
		Config: c.config(), Contract: evm.Address(b.pay.at), Payee: evm.Address(b.payee), OperatorKeyFile: file,
		Token: filecoinpay.Token{Name: "USDFC", Address: evm.Address(b.usdfc.at), Decimals: 18, Currency: "USD"},
	}
	b.restart()
	return b
}

// newRail has an operator make a rail from the payer, and returns its number.
func (b *till) newRail(operator account, to common.Address) string {
	b.t.Helper()
	receipt := b.do(operator, b.pay, "createRail", b.usdfc.at, b.payer.address(), to, common.Address{}, new(big.Int), common.Address{})
	return receipt.Logs[0].Topics[1].Big().String()
}

func units(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), evm.Pow10(18)) }

// restart is another process.
func (b *till) restart() {
	b.t.Helper()
	rail, err := filecoinpay.New(b.config, b.journal)
	must(b.t, err)
	b.t.Cleanup(rail.Close)
	b.rail = rail
}

func (b *till) bill(number string, cents int64) rails.Invoice {
	i := invoice(number, cents)
	i.Customer = b.railID
	return i
}

// collect collects until it is charged, as blocks are made. It returns the transaction.
func (b *till) collect(i rails.Invoice) common.Hash {
	b.t.Helper()
	for range 10 {
		request, err := b.rail.Collect(b.t.Context(), i)
		if err == nil {
			return common.HexToHash(request.Reference)
		}
		if !strings.Contains(err.Error(), "call again") {
			b.t.Fatal(err)
		}
		b.mine(1)
	}
	b.t.Fatal("it was not charged")
	return common.Hash{}
}

// charged is how often the rail was charged in the chain, and how much in all.
func (b *till) charged() (int, *big.Int) {
	b.t.Helper()
	query := map[string]any{"fromBlock": "0x0", "toBlock": "latest", "address": b.pay.at, "topics": []any{b.pay.abi.Events["RailOneTimePaymentProcessed"].ID}}
	var logs []evm.Log
	must(b.t, b.rpc.CallContext(context.Background(), &logs, "eth_getLogs", query))
	sum := new(big.Int)
	for _, l := range logs {
		for n := range 3 {
			sum.Add(sum, l.Data.Word(n))
		}
	}
	return len(logs), sum
}

func (b *till) expectCharged(times int, cents int64) {
	b.t.Helper()
	n, sum := b.charged()
	if want := new(big.Int).Mul(big.NewInt(cents), evm.Pow10(16)); n != times || sum.Cmp(want) != 0 {
		b.t.Errorf("%d charges of %s, want %d of %s", n, sum, times, want)
	}
}

func (b *till) paymentOf(tx common.Hash) (rails.Payment, bool) {
	b.t.Helper()
	receipt, err := b.client.TransactionReceipt(context.Background(), tx)
	if err != nil {
		return rails.Payment{}, false
	}
	for _, l := range receipt.Logs {
		if l.Topics[0] == b.pay.abi.Events["RailOneTimePaymentProcessed"].ID {
			return b.journal.Payment(filecoinpay.Name, id(tx, l.Index))
		}
	}
	return rails.Payment{}, false
}

func (b *till) expectPaid(tx common.Hash, number string, cents int64, final bool) rails.Payment {
	b.t.Helper()
	p, ok := b.paymentOf(tx)
	if !ok || p.Invoice != number || p.Amount.Cmp(big.NewInt(cents)) != 0 || p.Currency != dollars || p.Kind != rails.Paid || p.Final != final {
		b.t.Errorf("%+v, want invoice %s, %d, final %v", p, number, cents, final)
	}
	return p
}

func refused(t *testing.T, err error, why string) {
	t.Helper()
	var refusal *rails.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), why) {
		t.Errorf("%v, want a refusal with %q", err, why)
	}
}

func TestCharge(t *testing.T) {
	b := newTill(t)
	tx := b.collect(b.bill("2026-17", 1234))
	b.mine(1)
	must(t, b.rail.Poll(t.Context()))
	p := b.expectPaid(tx, "2026-17", 1234, false)
	if want := "12.340000000000000000 USDFC by rail " + b.railID + ": 12.278300000000000000 after the network fee of 0.061700000000000000; not final yet"; p.Detail != want {
		t.Errorf("the detail is %q, want %q", p.Detail, want)
	}
	b.mine(5)
	must(t, b.rail.Poll(t.Context()))
	b.expectPaid(tx, "2026-17", 1234, true)
	for range 3 {
		b.restart()
		if again := b.collect(b.bill("2026-17", 1234)); again != tx {
			t.Errorf("collected again it is %s, and was %s", again, tx)
		}
		b.mine(1)
	}
	refused(t, b.rail.Cancel(t.Context(), "2026-17"), "is being charged, or is paid")
	_, err := b.rail.Collect(t.Context(), b.bill("2026-17", 1235))
	refused(t, err, "another total")
	again := b.bill("2026-17", 1234)
	again.Rev = 1
	_, err = b.rail.Collect(t.Context(), again)
	refused(t, err, "is charged, or may be")
	b.expectCharged(1, 1234)
	sent, _, err := b.client.TransactionByHash(t.Context(), tx)
	must(t, err)
	receipt, err := b.client.TransactionReceipt(t.Context(), tx)
	must(t, err)
	if sent.Gas() < receipt.GasUsed*12/10 {
		t.Errorf("%d gas was offered, and %d used: that is no headroom", sent.Gas(), receipt.GasUsed)
	}

	second := b.collect(b.bill("2026-18", 500))
	b.mine(6)
	must(t, b.rail.Poll(t.Context()))
	b.expectPaid(second, "2026-18", 500, true)
	b.expectCharged(2, 1734)
}

func TestRefusedRails(t *testing.T) {
	b := newTill(t)
	b.do(b.payer, b.pay, "setOperatorApproval", b.usdfc.at, b.owner.address(), true, new(big.Int), units(10), big.NewInt(10))
	foreign, elsewhere, over := b.newRail(b.owner, b.payee), b.newRail(b.operator, common.HexToAddress("0xbb")), b.newRail(b.operator, b.payee)
	number, _ := new(big.Int).SetString(over, 10)
	b.do(b.operator, b.pay, "modifyRailLockup", number, big.NewInt(10), new(big.Int))
	b.do(b.operator, b.pay, "terminateRail", number)
	for customer, why := range map[string]string{
		foreign: "has the operator", elsewhere: "and not " + evm.Address(b.payee).String(), over: "was terminated",
		"": "is not the number of a rail", "0": "is not the number", "01": "is not the number", "-1": "is not the number", "x": "is not the number",
	} {
		i := invoice("of "+customer, 100)
		i.Customer = customer
		_, err := b.rail.Collect(t.Context(), i)
		refused(t, err, why)
	}
	i := b.bill("yen", 100)
	i.Currency = rails.Currency{Code: "JPY"}
	_, err := b.rail.Collect(t.Context(), i)
	refused(t, err, "is in JPY")
	if n := b.nonce(b.operator); n != 5 {
		t.Errorf("the operator sent %d transactions, want the 5 of this test", n)
	}
}

// TestTooLittle shows a payer who has deposited or allowed too little: nothing is sent, and
// it is charged when there is enough. It can be cancelled until then.
func TestTooLittle(t *testing.T) {
	b := newTill(t)
	sent := b.nonce(b.operator)
	for _, i := range []rails.Invoice{b.bill("allowed", 9000), b.bill("allowed", 9000)} {
		if _, err := b.rail.Collect(t.Context(), i); err == nil || !strings.Contains(err.Error(), "revert") {
			t.Errorf("%v", err)
		}
	}
	if n := b.nonce(b.operator); n != sent {
		t.Errorf("%d transactions were sent", n-sent)
	}
	b.do(b.payer, b.pay, "setOperatorApproval", b.usdfc.at, b.operator.address(), true, new(big.Int), units(90), big.NewInt(1000))
	b.collect(b.bill("allowed", 9000))
	b.mine(1)
	b.expectCharged(1, 9000)

	_, err := b.rail.Collect(t.Context(), b.bill("deposited", 2000))
	if err == nil {
		t.Error("more was charged than is there")
	}
	must(t, b.rail.Cancel(t.Context(), "deposited"))
	must(t, b.rail.Cancel(t.Context(), "deposited"))
	must(t, b.rail.Cancel(t.Context(), "never asked"))
	_, err = b.rail.Collect(t.Context(), b.bill("deposited", 2000))
	refused(t, err, "cancelled: ask with a greater revision")
	b.do(b.payer, b.pay, "deposit", b.usdfc.at, b.payer.address(), units(100))
	b.do(b.payer, b.pay, "setOperatorApproval", b.usdfc.at, b.operator.address(), true, new(big.Int), units(900), big.NewInt(1000))
	again := b.bill("deposited", 2000)
	again.Rev = 1
	b.collect(again)
	b.mine(1)
	b.expectCharged(2, 11_000)
}

// TestCancelSetsFree shows an invoice that is cancelled when what it charges is locked up.
func TestCancelSetsFree(t *testing.T) {
	b := newTill(t)
	locked := func() *big.Int {
		number, _ := new(big.Int).SetString(b.railID, 10)
		var raw evm.Data
		must(t, b.rpc.CallContext(t.Context(), &raw, "eth_call", map[string]any{"to": b.pay.at, "data": evm.Data(b.pay.pack(t, "getRail", number))}, "latest"))
		return raw.Word(7)
	}
	for _, number := range []string{"A", "B"} {
		if _, err := b.rail.Collect(t.Context(), b.bill(number, 1000)); err == nil || !strings.Contains(err.Error(), "call again") {
			t.Fatal(err)
		}
		b.mine(1)
	}
	if got := locked(); got.Cmp(units(20)) != 0 {
		t.Errorf("%s is locked up, want that of two invoices", got)
	}
	for range 3 {
		must(t, b.rail.Cancel(t.Context(), "A"))
		b.mine(1)
	}
	if got := locked(); got.Cmp(units(10)) != 0 {
		t.Errorf("%s is locked up, want that of one invoice", got)
	}
	_, err := b.rail.Collect(t.Context(), b.bill("A", 1000))
	refused(t, err, "cancelled")
	b.collect(b.bill("B", 1000))
	b.mine(1)
	b.expectCharged(1, 1000)
	if got := locked(); got.Sign() != 0 {
		t.Errorf("%s is locked up, want nothing", got)
	}
}

// TestFailsInTheChain shows a charge that fails in its block, as the payer ends the rail
// before it: it is never taken for a payment.
func TestFailsInTheChain(t *testing.T) {
	b := newTill(t)
	i := b.bill("A", 1000)
	tx := b.collect(i) // it waits for a block
	number, _ := new(big.Int).SetString(b.railID, 10)
	b.send(b.payer, b.nonce(b.payer), 9, &b.pay.at, b.pay.pack(t, "terminateRail", number))
	b.mine(1)
	must(t, b.rail.Poll(t.Context()))
	receipt, err := b.client.TransactionReceipt(context.Background(), tx)
	must(t, err)
	if receipt.Status != types.ReceiptStatusFailed {
		t.Fatalf("the charge has status %d: this test is wrong", receipt.Status)
	}
	if got := b.collect(i); got != tx { // until it is final nothing is said of it
		t.Errorf("another transaction was sent: %s", got)
	}
	refused(t, b.rail.Cancel(t.Context(), "A"), "is being charged")
	i.Rev, i.Customer = 1, b.newRail(b.operator, b.payee)
	_, err = b.rail.Collect(t.Context(), i)
	refused(t, err, "is charged, or may be")
	b.mine(5)
	_, err = b.rail.Collect(t.Context(), b.bill("A", 1000))
	refused(t, err, "failed in the chain")
	b.expectCharged(0, 0)
	if b.journal.Payments() != 0 {
		t.Error("a payment was recorded")
	}
	must(t, b.rail.Cancel(t.Context(), "A"))
	b.collect(i)
	b.mine(1)
	b.expectCharged(1, 1000)
}

// TestHandMade shows a charge that somebody made with the operator's key, and one by a rail
// of another operator.
func TestHandMade(t *testing.T) {
	b := newTill(t)
	number, _ := new(big.Int).SetString(b.railID, 10)
	b.do(b.operator, b.pay, "modifyRailLockup", number, big.NewInt(10), units(5))
	receipt := b.do(b.operator, b.pay, "modifyRailPayment", number, new(big.Int), units(3))
	b.do(b.payer, b.pay, "setOperatorApproval", b.usdfc.at, b.owner.address(), true, new(big.Int), units(10), big.NewInt(100))
	foreign := b.newRail(b.owner, b.payee)
	other, _ := new(big.Int).SetString(foreign, 10)
	b.do(b.owner, b.pay, "modifyRailLockup", other, big.NewInt(10), units(5))
	b.do(b.owner, b.pay, "modifyRailPayment", other, new(big.Int), units(1))
	b.do(b.owner, b.pay, "modifyRailPayment", other, new(big.Int), units(1))
	b.mine(5)
	must(t, b.rail.Poll(t.Context()))
	p, ok := b.paymentOf(receipt.TxHash)
	if !ok || p.Invoice != "" || p.Amount.Cmp(units(3)) != 0 || p.Currency.Code != "USDFC" || !p.Final || !strings.Contains(p.Detail, "no invoice here was charged with it") {
		t.Errorf("%+v", p)
	}
	if n := b.journal.Payments(); n != 1 {
		t.Errorf("%d payments are recorded, want 1", n)
	}
	if n := b.called("eth_getTransactionByHash"); n != 2 {
		t.Errorf("%d transactions were looked at, want 2: one of each rail", n)
	}
}

// TestNodeLosesTheCharge shows a charge that the node took and forgot: the same bytes are
// sent again, and nothing else.
func TestNodeLosesTheCharge(t *testing.T) {
	b := newTill(t)
	i := b.bill("A", 1000)
	first := b.collect(i)
	b.backend.Rollback() // the pool is empty
	b.mine(2)
	b.expectCharged(0, 0)
	b.restart()
	must(t, b.rail.Poll(t.Context()))
	b.mine(1)
	b.expectCharged(1, 1000)
	if again := b.collect(i); again != first {
		t.Errorf("it is charged by %s, and was by %s", again, first)
	}
}

// TestAnswerLost shows a node that takes the charge and whose answer does not come.
func TestAnswerLost(t *testing.T) {
	b := newTill(t)
	i := b.bill("A", 1000)
	lost := 0
	b.alter(func(method string, _ []json.RawMessage, result json.RawMessage) json.RawMessage {
		if method == "eth_sendRawTransaction" {
			lost++
			return json.RawMessage(`"lost"`)
		}
		return result
	})
	for range 4 {
		if _, err := b.rail.Collect(t.Context(), i); err == nil {
			break
		}
		b.restart()
		b.mine(1)
	}
	b.alter(nil)
	tx := b.collect(i)
	b.mine(6)
	must(t, b.rail.Poll(t.Context()))
	b.expectPaid(tx, "A", 1000, true)
	b.expectCharged(1, 1000)
	if lost < 2 {
		t.Errorf("%d answers were lost: this test shows nothing", lost)
	}
}

// TestKeyUsedElsewhere shows a charge whose nonce is taken by a transaction that somebody
// made with the operator's key: it is told, and nothing is charged until somebody has
// decided.
func TestKeyUsedElsewhere(t *testing.T) {
	b := newTill(t)
	i := b.bill("A", 1000)
	b.collect(i)
	b.backend.Rollback()
	b.mine(1) // the nonces of the pool are those of the chain again
	nonce, err := b.client.NonceAt(context.Background(), b.operator.address(), nil)
	must(t, err)
	to := b.owner.address()
	b.send(b.operator, nonce, 1, &to, nil)
	b.mine(3)
	b.collect(i) // it may still be reorganized
	b.mine(5)
	_, err = b.rail.Collect(t.Context(), i)
	refused(t, err, "is the operator's key used elsewhere?")
	i.Rev = 1
	b.collect(i)
	b.mine(1)
	b.expectCharged(1, 1000)
}

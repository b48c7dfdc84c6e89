package erc20

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	go_qr "github.com/piglig/go-qr"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	us      = evm.Address{19: 0xaa}
	usdc    = evm.Address{19: 1}
	bridged = evm.Address{19: 2}
)

// node answers what is asked before something is collected.
func node(t *testing.T, decimals string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Method string }
		_ = json.NewDecoder(r.Body).Decode(&question)
		answer := map[string]string{"eth_chainId": "0x2105", "eth_call": "0x" + decimals}[question.Method]
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":%q}`, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func good(t *testing.T) Config {
	t.Helper()
	return Config{Chains: []Chain{{
		Config:        evm.Config{Name: "base", ChainID: 8453, RPCURL: node(t, fmt.Sprintf("%064x", 6))},
		Address:       us,
		Tokens:        []Token{{Name: "USDC", Address: usdc, Decimals: 6, Currency: "USD"}},
		RefusedTokens: []RefusedToken{{Name: "USDC.e", Address: bridged, Decimals: 6}},
	}}}
}

func open(t *testing.T, config Config, journal rails.Journal) (*Rail, *Collector) {
	t.Helper()
	rail, err := New(config, journal)
	must(t, err)
	t.Cleanup(rail.Close)
	collector, err := rail.Collector("base", "USDC")
	must(t, err)
	return rail, collector
}

func invoice(number string, cents int64) rails.Invoice {
	return rails.Invoice{
		Number: number, Owner: "acme", Currency: rails.Currency{Code: "USD", Digits: 2}, Total: big.NewInt(cents),
		Lines: []rails.Line{{Description: "storage", Amount: big.NewInt(cents)}}, Due: time.Unix(2_000_000_000, 0),
	}
}

func TestConfig(t *testing.T) {
	must(t, good(t).Check())
	for want, change := range map[string]func(*Config){
		"chain_id: is missing":         func(c *Config) { c.Chains[0].ChainID = 0 },
		"is there twice":               func(c *Config) { c.Chains = append(c.Chains, c.Chains[0]) },
		"an address is missing":        func(c *Config) { c.Chains[0].Address = evm.Address{} },
		"also_watch: an address":       func(c *Config) { c.Chains[0].AlsoWatch = []evm.Address{{}} },
		"tokens: is empty":             func(c *Config) { c.Chains[0].Tokens = nil },
		"tokens[0].name":               func(c *Config) { c.Chains[0].Tokens[0].Name = "a/b" },
		"tokens[0].address":            func(c *Config) { c.Chains[0].Tokens[0].Address = evm.Address{} },
		"tokens[0].decimals":           func(c *Config) { c.Chains[0].Tokens[0].Decimals = 37 },
		"tokens[0].currency":           func(c *Config) { c.Chains[0].Tokens[0].Currency = "usd" },
		"tokens[0].tail_digits: 5":     func(c *Config) { c.Chains[0].Tokens[0].TailDigits = 5 },
		"tokens[0].tail_digits: 2":     func(c *Config) { c.Chains[0].Tokens[0].TailDigits = 2 },
		"tokens[0].tail_digits: 4":     func(c *Config) { c.Chains[0].Tokens[0].Decimals = 5 },
		"refused_tokens[0]: its name":  func(c *Config) { c.Chains[0].RefusedTokens[0].Address = usdc },
		"refused_tokens[0].decimals: ": func(c *Config) { c.Chains[0].RefusedTokens[0].Decimals = -1 },
	} {
		c := good(t)
		change(&c)
		if _, err := New(c, new(railstest.Journal)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	rail, _ := open(t, good(t), new(railstest.Journal))
	for _, other := range [][2]string{{"op", "USDC"}, {"base", "USDC.e"}, {"", ""}} {
		if _, err := rail.Collector(other[0], other[1]); err == nil {
			t.Errorf("there is a collector for %q", other)
		}
	}
}

// TestDecimals shows a configuration that would ask for a millionth, or for a million times
// as much: nothing is asked for.
func TestDecimals(t *testing.T) {
	for _, answer := range []string{fmt.Sprintf("%064x", 18), "", "06"} {
		config := good(t)
		config.Chains[0].RPCURL = node(t, answer)
		rail, collector := open(t, config, new(railstest.Journal))
		for _, err := range []error{rail.Poll(t.Context()), func() error { _, err := collector.Collect(t.Context(), invoice("1", 100)); return err }()} {
			if err == nil || !strings.Contains(err.Error(), "has the decimals") {
				t.Errorf("decimals() is %q: %v", answer, err)
			}
		}
	}
}

func TestCollect(t *testing.T) {
	journal := new(railstest.Journal)
	_, collector := open(t, good(t), journal)
	first, err := collector.Collect(t.Context(), invoice("1", 1234))
	must(t, err)
	for want, change := range map[string]func(*rails.Invoice){
		"has no lines":                        func(i *rails.Invoice) { i.Lines = nil },
		"is in EUR, and erc20/base/USDC pays": func(i *rails.Invoice) { i.Number, i.Currency.Code = "2", "EUR" },
		"is in units smaller than those of":   func(i *rails.Invoice) { i.Number, i.Currency.Digits = "3", 7 },
		"is of more than a token can have":    func(i *rails.Invoice) { i.Number, i.Total = "4", evm.Pow10(77); i.Lines[0].Amount = i.Total },
		"was asked for with another total":    func(i *rails.Invoice) { *i = invoice("1", 1235) },
		"open or paid under the revision 0":   func(i *rails.Invoice) { i.Rev = 1 },
	} {
		i := invoice("1", 1234)
		change(&i)
		var refusal *rails.Refusal
		if _, err := collector.Collect(t.Context(), i); err == nil || !strings.Contains(err.Error(), want) || !isRefusal(err, &refusal) {
			t.Errorf("%v, want a refusal with %q", err, want)
		}
	}
	for range 2 {
		must(t, collector.Cancel(t.Context(), "1"))
		must(t, collector.Cancel(t.Context(), "never asked"))
	}
	if _, err := collector.Collect(t.Context(), invoice("1", 1234)); err == nil || !strings.Contains(err.Error(), "ask with a greater revision") {
		t.Errorf("%v", err)
	}
	next := invoice("1", 1300)
	next.Rev = 3
	second, err := collector.Collect(t.Context(), next)
	must(t, err)
	if second.Asked.Cmp(first.Asked) == 0 || second.Asked.Cmp(big.NewInt(13_000_000)) < 0 {
		t.Errorf("%s was asked, and %s before", second.Asked, first.Asked)
	}
	next.Rev = 2
	if _, err := collector.Collect(t.Context(), next); err == nil || !strings.Contains(err.Error(), "with the revision 3 after 2") {
		t.Errorf("%v", err)
	}
}

func isRefusal(err error, to **rails.Refusal) bool {
	refusal, ok := err.(*rails.Refusal) //nolint:errorlint // none is wrapped here
	*to = refusal
	return ok
}

// TestAskedAmounts shows that no two open invoices have one tail, that none ends in zero, and
// that a tail is free 90 days after its invoice.
func TestAskedAmounts(t *testing.T) {
	config := good(t)
	config.Chains[0].Tokens[0].TailDigits = 3
	journal := new(railstest.Journal)
	_, collector := open(t, config, journal)
	has := make(map[uint64]string)
	for n := range 100 {
		number := strconv.Itoa(n)
		request, err := collector.Collect(t.Context(), invoice(number, 500))
		must(t, err)
		tail := new(big.Int).Sub(request.Asked, big.NewInt(5_000_000)).Uint64()
		if other := has[tail]; other != "" || tail%10 != 0 || tail/10%10 == 0 || tail >= 10_000 {
			t.Fatalf("invoice %s has the tail %d, and %q had it", number, tail, other)
		}
		has[tail] = number
	}
	coin := collector.coin
	a, err := coin.asked(t.Context(), 0, "7")
	must(t, err)
	mine := ask{Number: "new"}
	for _, step := range []struct {
		days int
		want bool
	}{{0, false}, {89, false}, {91, true}, {92, true}} { // at last it has it already
		if step.days == 89 {
			_, err := coin.finish(t.Context(), *a, end{At: time.Now()})
			must(t, err)
		}
		got, err := coin.take(t.Context(), mine, a.Tail, time.Now().Add(time.Duration(step.days)*24*time.Hour))
		if err != nil || got != step.want {
			t.Errorf("after %d days: %v, %v", step.days, got, err)
		}
	}
}

// TestNoTailIsFree shows that an invoice is not asked for with the tail of another one.
func TestNoTailIsFree(t *testing.T) {
	journal := new(railstest.Journal)
	_, collector := open(t, good(t), journal)
	for n := range collector.coin.token.tails() {
		_, err := journal.Remember(t.Context(), Name, collector.coin.tailKey(collector.coin.token.tail(n), 0), "0/another")
		must(t, err)
	}
	if _, err := collector.Collect(t.Context(), invoice("1", 500)); err == nil || !strings.Contains(err.Error(), "raise its tail_digits") {
		t.Errorf("%v", err)
	}
}

// TestTailDigitsAreRaised shows that invoices which were asked for before are still known.
func TestTailDigitsAreRaised(t *testing.T) {
	journal := new(railstest.Journal)
	config := good(t)
	config.Chains[0].Tokens[0].TailDigits = 3
	_, collector := open(t, config, journal)
	request, err := collector.Collect(t.Context(), invoice("1", 500))
	must(t, err)
	config.Chains[0].Tokens[0].TailDigits = 4
	rail, collector := open(t, config, journal)
	if again, err := collector.Collect(t.Context(), invoice("1", 500)); err != nil || again.Asked.Cmp(request.Asked) != 0 {
		t.Errorf("%v, %v", again.Asked, err)
	}
	p, err := rail.chains[0].payment(t.Context(), transfer(request.Asked), claim)
	if err != nil || p.Invoice != "1" {
		t.Errorf("%+v, %v", p, err)
	}
}

// transfer is one of so many units to us.
func transfer(units *big.Int) evm.Event {
	return evm.Event{
		Log: evm.Log{
			Address: usdc, Topics: []evm.Hash{{}, {31: 7}, us.Topic()}, Data: units.FillBytes(make([]byte, 32)),
			TxHash: evm.Hash{1}, BlockHash: evm.Hash{2}, Block: 5,
		},
		Time: time.Unix(1_800_000_000, 0), Final: true, Head: 9,
	}
}

// TestWithTail compares amounts with what is promised of them, for tokens of any digits.
func TestWithTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := Token{TailDigits: rapid.IntRange(minTail, maxTail).Draw(t, "tail digits")}
		token.Decimals = rapid.IntRange(2+token.TailDigits, maxDecimals).Draw(t, "decimals")
		base := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "base"))
		n := rapid.Uint64Range(0, token.tails()-1).Draw(t, "n")
		tail := token.tail(n)
		if tail == 0 || tail%10 == 0 || new(big.Int).SetUint64(tail).Cmp(evm.Pow10(token.TailDigits)) >= 0 || n > 0 && token.tail(n-1) >= tail {
			t.Fatalf("the tail %d is %d", n, tail)
		}
		asked := token.withTail(base, tail)
		extra := new(big.Int).Sub(asked, base)
		if extra.Sign() < 0 || extra.Cmp(token.cent()) >= 0 || token.tailOf(asked) != tail || new(big.Int).Mod(asked, token.unit()).Sign() != 0 {
			t.Fatalf("for %s with the tail %d %s is asked", base, tail, asked)
		}
	})
}

// TestPicture reads the QR code as a phone would, from what the SVG draws.
func TestPicture(t *testing.T) {
	want := link(usdc, 8453, us, big.NewInt(12_340_007))
	if want != "ethereum:0x0000000000000000000000000000000000000001@8453/transfer?address=0x00000000000000000000000000000000000000AA&uint256=12340007" {
		t.Errorf("the link is %s", want)
	}
	svg, err := picture(want)
	must(t, err)
	got, err := go_qr.Decode(draw(t, string(svg)))
	if err != nil || got != want {
		t.Errorf("it reads %q, %v", got, err)
	}
}

// draw draws the squares of an SVG: a background, and paths that go right, down and back.
func draw(t *testing.T, svg string) image.Image {
	t.Helper()
	box := regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`).FindStringSubmatch(svg)
	if box == nil {
		t.Fatalf("the SVG has no viewBox: %.200s", svg)
	}
	size, _ := strconv.Atoi(box[1])
	picture := image.NewGray(image.Rect(0, 0, size, size))
	for i := range picture.Pix {
		picture.Pix[i] = 0xff
	}
	squares := regexp.MustCompile(`M ?(\d+)[ ,](\d+) ?h ?(\d+) ?v ?(\d+) ?h ?-\d+ ?z`).FindAllStringSubmatch(svg, -1)
	for _, m := range squares {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1])
		}
		if white := 4 * n[2]; n[0] < white || n[1] < white || n[0]+n[2]+white > size || n[1]+n[3]+white > size {
			t.Fatalf("there is less than four modules of white beside %v", m)
		}
		for y := n[1]; y < n[1]+n[3]; y++ {
			for x := n[0]; x < n[0]+n[2]; x++ {
				picture.SetGray(x, y, color.Gray{})
			}
		}
	}
	if len(squares) < 100 {
		t.Fatalf("the SVG has %d squares: %.300s", len(squares), svg)
	}
	return picture
}

func TestWants(t *testing.T) {
	rail, _ := open(t, good(t), new(railstest.Journal))
	for name, tt := range map[string]struct {
		change func(*evm.Event)
		want   bool
	}{
		"as it should be": {func(*evm.Event) {}, true},
		"of nothing":      {func(e *evm.Event) { e.Data = make([]byte, 32) }, false},
		"of an NFT":       {func(e *evm.Event) { e.Topics, e.Data = append(e.Topics, evm.Hash{}), nil }, false},
		"without data":    {func(e *evm.Event) { e.Data = nil }, false},
		"too much data":   {func(e *evm.Event) { e.Data = append(e.Data, 0) }, false},
		"from ourselves":  {func(e *evm.Event) { e.Topics[1] = us.Topic() }, false},
		"from no address": {func(e *evm.Event) { e.Topics[1] = evm.Hash{1} }, false},
	} {
		event := transfer(big.NewInt(5))
		tt.change(&event)
		if got, err := rail.chains[0].Wants(t.Context(), event.Log); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestNearAmounts shows that only the exact amount pays, whatever its last digits are.
func TestNearAmounts(t *testing.T) {
	rail, collector := open(t, good(t), new(railstest.Journal))
	asked, err := collector.Collect(t.Context(), invoice("1", 1234))
	must(t, err)
	for _, more := range []int64{-10_000_000, -10_000, -1, 1, 10_000, 10_000_000, 0} {
		amount := new(big.Int).Add(asked.Asked, big.NewInt(more))
		p, err := rail.chains[0].payment(t.Context(), transfer(amount), claim)
		if err != nil || (p.Invoice == "1") != (more == 0) || more != 0 && p.Amount.Cmp(amount) != 0 {
			t.Errorf("%d more: %+v, %v", more, p, err)
		}
	}
}

// FuzzTransfers looks for logs that stop the process, or pay what they should not.
func FuzzTransfers(f *testing.F) {
	f.Add(usdc[:], []byte{31: 7}, new(big.Int).SetInt64(12_340_007).FillBytes(make([]byte, 32)))
	f.Add(bridged[:], []byte{}, make([]byte, 32))
	f.Fuzz(func(t *testing.T, address, from, data []byte) {
		rail, collector := open(t, good(t), new(railstest.Journal))
		asked, err := collector.Collect(t.Context(), invoice("1", 1234))
		must(t, err)
		event := transfer(new(big.Int))
		event.Data = data
		copy(event.Address[:], address)
		copy(event.Topics[1][:], from)
		chain := rail.chains[0]
		if wanted, err := chain.Wants(t.Context(), event.Log); err != nil || !wanted {
			return
		}
		p, err := chain.payment(t.Context(), event, claim)
		if err != nil {
			return // no token of ours
		}
		must(t, p.Check())
		if exact := event.Address == usdc && event.Data.Word(0).Cmp(asked.Asked) == 0; (p.Invoice == "1") != exact {
			t.Errorf("%+v", p)
		}
	})
}

package filecoinpay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSigned compares our bytes with those that go-ethereum makes of the same transactions,
// which a test of package chaintest has written.
func TestSigned(t *testing.T) {
	text, err := os.ReadFile("testdata/transactions.json")
	must(t, err)
	var all []struct {
		Key     evm.Data    `json:"key"`
		ChainID uint64      `json:"chain_id"`
		Nonce   uint64      `json:"nonce"`
		Tip     *big.Int    `json:"tip"`
		FeeCap  *big.Int    `json:"fee_cap"`
		Gas     uint64      `json:"gas"`
		To      evm.Address `json:"to"`
		Data    evm.Data    `json:"data"`
		Raw     evm.Data    `json:"raw"`
		Hash    evm.Hash    `json:"hash"`
		From    evm.Address `json:"from"`
	}
	must(t, json.Unmarshal(text, &all))
	if len(all) < 12 {
		t.Fatalf("there are %d transactions", len(all))
	}
	for i, want := range all {
		file := filepath.Join(t.TempDir(), "key")
		must(t, os.WriteFile(file, fmt.Appendf(nil, "0x%x\n", []byte(want.Key)), 0o400))
		k, err := readKey(file)
		must(t, err)
		if k.address() != want.From {
			t.Errorf("the address of key %d is %s, want %s", i, k.address(), want.From)
		}
		raw, hash := transaction{
			chainID: want.ChainID, nonce: want.Nonce, tip: want.Tip, feeCap: want.FeeCap, gas: want.Gas, to: want.To, data: want.Data,
		}.signed(k)
		if !bytes.Equal(raw, want.Raw) || hash != want.Hash {
			t.Errorf("transaction %d is %x, want %x", i, raw, []byte(want.Raw))
		}
	}
}

func TestKey(t *testing.T) {
	dir := t.TempDir()
	secret := strings.Repeat("5e", 32)
	write := func(text string, mode os.FileMode) string {
		path := filepath.Join(dir, "key")
		_ = os.Remove(path)
		must(t, os.WriteFile(path, []byte(text), mode))
		must(t, os.Chmod(path, mode)) // past the umask
		return path
	}
	k, err := readKey(write(secret, 0o600))
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if text := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, Rail{key: k}); strings.Contains(strings.ToLower(text), "5e5e") || strings.Contains(text, "94 94") {
			t.Errorf("%s shows the key: %s", verb, text)
		}
	}
	for _, tt := range []struct {
		text string
		mode os.FileMode
	}{
		{secret, 0o640}, {secret, 0o604}, {"", 0o600}, {secret[2:], 0o600}, {secret + "00", 0o600}, {"zz" + secret[2:], 0o600},
		{strings.Repeat("0", 64), 0o600}, {strings.Repeat("f", 64), 0o600},
	} {
		if _, err := readKey(write(tt.text, tt.mode)); err == nil || strings.Contains(err.Error(), "5e5e") {
			t.Errorf("%q with mode %o: %v", tt.text, tt.mode, err)
		}
	}
}

func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(strings.Repeat("5e", 32)), 0o600))
	good := func() Config {
		return Config{
			Config: evm.Config{Name: "filecoin", ChainID: 314, RPCURL: "https://node.example"}, Contract: evm.Address{1}, Payee: evm.Address{2},
			Token: Token{Name: "USDFC", Address: evm.Address{3}, Decimals: 18, Currency: "USD"}, OperatorKeyFile: file,
		}
	}
	rail, err := New(good(), new(railstest.Journal))
	must(t, err)
	rail.Close()
	for want, change := range map[string]func(*Config){
		"chain_id":          func(c *Config) { c.ChainID = 0 },
		"contract":          func(c *Config) { c.Contract = evm.Address{} },
		"payee":             func(c *Config) { c.Payee = evm.Address{} },
		"in FIL itself":     func(c *Config) { c.Token.Address = evm.Address{} },
		"token.name":        func(c *Config) { c.Token.Name = "" },
		"token.decimals":    func(c *Config) { c.Token.Decimals = -1 },
		"token.currency":    func(c *Config) { c.Token.Currency = "dollars" },
		"operator_key_file": func(c *Config) { c.OperatorKeyFile = "" },
		"gas_headroom":      func(c *Config) { c.GasHeadroom = 1001 },
		"no such file":      func(c *Config) { c.OperatorKeyFile = file + "x" },
	} {
		c := good()
		change(&c)
		if _, err := New(c, new(railstest.Journal)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestGross shows what must be on an invoice so that a net amount is left.
func TestGross(t *testing.T) {
	left := func(gross *big.Int) int64 { return new(big.Int).Sub(gross, NetworkFee(gross)).Int64() }
	for _, net := range []int64{1, 198, 199, 200, 12_278_306, 1 << 60} {
		gross := Gross(big.NewInt(net))
		if left(gross) < net || left(new(big.Int).Sub(gross, big.NewInt(1))) >= net {
			t.Errorf("of %s %d is left, want %d", gross, left(gross), net)
		}
	}
	if fee := NetworkFee(big.NewInt(12_340_007)); fee.Int64() != 61_701 { // as the contract took in a test of ours
		t.Errorf("the fee is %s", fee)
	}
}

// FuzzCharged looks for events that stop the process.
func FuzzCharged(f *testing.F) {
	f.Add(make([]byte, 96), 2)
	f.Add([]byte{1}, 0)
	f.Fuzz(func(t *testing.T, data []byte, topics int) {
		log := evm.Log{Data: data, Topics: make([]evm.Hash, min(max(topics, 0), 5))}
		if c, ok := readCharged(log); ok && c.gross().Sign() < 0 {
			t.Errorf("%+v is less than nothing", c)
		}
	})
}

package evm

import (
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The examples of EIP-55.
func TestAddress(t *testing.T) {
	for _, text := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != text {
			t.Errorf("%s: %s, %v", text, a, err)
		}
		if lower, err := ParseAddress(strings.ToLower(text)); err != nil || lower != a {
			t.Errorf("%s: %s, %v", text, lower, err)
		}
		if back, ok := a.Topic().Address(); !ok || back != a {
			t.Errorf("%s came back as %s", a, back)
		}
	}
	for _, text := range []string{
		"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00",
	} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%q is %s", text, a)
		}
	}
	if _, ok := (Hash{1}).Address(); ok {
		t.Error("a topic with something before the address is one")
	}
}

func TestAmount(t *testing.T) {
	for _, tt := range []struct {
		units  int64
		digits int
		want   string
	}{{12_340_007, 6, "12.340007"}, {7, 6, "0.000007"}, {0, 2, "0.00"}, {5, 0, "5"}, {100, 2, "1.00"}} {
		if got := Amount(big.NewInt(tt.units), tt.digits); got != tt.want {
			t.Errorf("%d with %d digits is %s, want %s", tt.units, tt.digits, got, tt.want)
		}
	}
}

func TestQuantities(t *testing.T) {
	var q Quantity
	var w Wei
	for text, want := range map[string]string{`"0x0"`: "0", `"0xff"`: "255", `"0xffffffffffffffff"`: "18446744073709551615"} {
		must(t, json.Unmarshal([]byte(text), &q))
		must(t, json.Unmarshal([]byte(text), &w))
		if w.Int().String() != want || new(big.Int).SetUint64(uint64(q)).String() != want {
			t.Errorf("%s is %d and %s, want %s", text, q, w.Int(), want)
		}
	}
	for _, text := range []string{`""`, `"0x"`, `"1"`, `"0xg"`, `"-0x1"`, `"0x-1"`, `"0x+1"`, `1`, `"0x_1"`} {
		if json.Unmarshal([]byte(text), &q) == nil || json.Unmarshal([]byte(text), &w) == nil {
			t.Errorf("%s is a quantity", text)
		}
	}
	if (Wei{}).Int().Sign() != 0 || json.Unmarshal([]byte(`"0x10000000000000000"`), &q) == nil {
		t.Error("nothing is something, or 65 bits are 64")
	}
}

// TestAnswers shows what becomes of answers that are none. No error has the URL, which has
// a key.
func TestAnswers(t *testing.T) {
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	c := NewClient("fake", server.URL+"/secret")
	for _, tt := range []struct {
		status     int
		body, want string
	}{
		{200, `{"result":"0x1"}`, ""},
		{200, `{"error":{"code":-32000,"message":"not now"}}`, `the node says "not now" (-32000)`},
		{429, `{"error":{"code":-32005,"message":"too many"}}`, `the node says "too many" (-32005)`},
		{429, `slow down`, "the node answers HTTP 429"},
		{500, `{"result":"0x1"}`, "the node answers HTTP 500"},
		{302, ``, "the node answers HTTP 302"},
		{200, `{}`, "neither a result nor an error"},
		{200, `<html>`, "not JSON-RPC"},
		{200, `{"result":7}`, "not what it should be"},
		{200, `{"result":"` + strings.Repeat("0", maxAnswer) + `"}`, "more than"},
	} {
		status, body = tt.status, tt.body
		id, err := c.ChainID(t.Context())
		switch {
		case tt.want == "" && (err != nil || id != 1):
			t.Errorf("%d, %v", id, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "fake: eth_chainId: ")):
			t.Errorf("%d %.40s: %v, want %q", tt.status, tt.body, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("the error has the key: %v", err)
		}
	}
	server.Close()
	if _, err := c.ChainID(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err := NewClient("fake", "http://[::1/secret").ChainID(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		must(t, os.Chmod(path, mode)) // past the umask
		return path
	}
	good := func() Config {
		return Config{Name: "base", ChainID: 8453, RPCURL: "https://node.example/v2/{key}", RPCKeyFile: file("key", "se/cret\n", 0o640)}
	}
	nodes, err := good().Clients()
	must(t, err)
	if len(nodes) != 1 || nodes[0].url != "https://node.example/v2/se%2Fcret" {
		t.Errorf("%d nodes, the first at %s", len(nodes), nodes[0].url)
	}
	for want, change := range map[string]func(*Config){
		"name:":                            func(c *Config) { c.Name = "Base" },
		"chain_id: is missing":             func(c *Config) { c.ChainID = 0 },
		"rpc_url: is not a URL":            func(c *Config) { c.RPCURL = "node.example/{key}" },
		"rpc_url: has a user":              func(c *Config) { c.RPCURL = "https://u:p@node.example/{key}" },
		"rpc_url: has {key} and no file":   func(c *Config) { c.RPCKeyFile = "" },
		"or a file and no {key}":           func(c *Config) { c.RPCURL = "https://node.example" },
		"second_rpc_url: is not a URL":     func(c *Config) { c.SecondRPCURL = "x" },
		"second_rpc_url: has {key} and no": func(c *Config) { c.SecondRPCURL = "https://other.example/{key}" },
		"no such file":                     func(c *Config) { c.RPCKeyFile = filepath.Join(dir, "absent") },
		"is empty":                         func(c *Config) { c.RPCKeyFile = file("empty", " \n", 0o600) },
		"others may use":                   func(c *Config) { c.RPCKeyFile = file("open", "x", 0o604) },
		"has more than 4096 bytes":         func(c *Config) { c.RPCKeyFile = file("long", strings.Repeat("x", 4097), 0o600) },
		"is not a file":                    func(c *Config) { c.RPCKeyFile = dir },
	} {
		c := good()
		change(&c)
		if _, err := c.Clients(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "cret") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzAnswers looks for answers of nodes that stop the process, and for values that do not
// come back as they were.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"result":[{"address":"0x52908400098527886e0f7030069857d2e4169ee7","topics":[],"data":"0x","blockNumber":"0x1","logIndex":"0x0"}]}`), 200)
	f.Add([]byte(`{"result":{"number":"0x1","hash":"0x`+strings.Repeat("ab", 32)+`","timestamp":"0x1","baseFeePerGas":"0x7"}}`), 200)
	f.Add([]byte(`{"result":null,"error":{"code":1}}`), 500)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		var logs []Log
		if readAnswer(body, status, &logs) == nil {
			text, err := json.Marshal(logs)
			must(t, err)
			var again []Log
			must(t, json.Unmarshal(text, &again))
			for i := range logs {
				if !logs[i].same(again[i]) || logs[i].Block != again[i].Block {
					t.Errorf("%+v came back as %+v", logs[i], again[i])
				}
			}
		}
		var block *Block
		_ = readAnswer(body, status, &block)
		var receipt *Receipt
		_ = readAnswer(body, status, &receipt)
	})
}

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// good returns a configuration that is valid and has all that goes together.
func good() Config {
	c := Default()
	c.Listen, c.TLS, c.MetricsListen = "0.0.0.0:9100", TLS{"cert.pem", "key.pem"}, "0.0.0.0:9101"
	c.OperatorTokenFile = "operator-token"
	c.Events = Events{URLs: []string{"tls://nats1:4222"}, Cluster: "ipfs-cluster", Prefix: "pins", Consumer: "billing", CredentialsFile: "nats.creds"}
	c.Claims.Since = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	c.Plans = Plans{"plans", "standard"}
	c.Gateway = Gateway{"https://pins.example.com", "gateway-key", "ca.pem", Duration(time.Hour)}
	c.Invoices = Invoices{
		Seller: Seller{Name: "Pins Ltd.", Address: []string{"1 Road"}}, Series: "2026", CreditSeries: "2026-CN", DueDays: 30, MostUnsized: -1,
		Regions: []Region{
			{Name: "DE", Rates: []Rate{{"VAT", "19"}}, Rounding: "half_up"},
			{Name: "EU", Treatment: "reverse_charge", Note: "The buyer owes the tax."},
		},
		BuyersFile: "buyers.json",
	}
	c.Stripe = Stripe{"stripe-key", "webhook-secret", "127.0.0.1:9102"}
	usdc := Token{"USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", 6, "USD"}
	const ours = "0x000000000000000000000000000000000000dEaD"
	c.Chains = []Chain{{Name: "base", ChainID: 8453, RPCURL: "https://node.example/{key}", RPCKeyFile: "node-key", SecondRPCURL: "https://other.example", Address: ours, AlsoWatch: []string{ours}, Tokens: []Token{usdc}}}
	c.Filecoin = Filecoin{OperatorKeyFile: "operator", RPCURL: "https://node.example", ChainID: 314, Contract: ours, Payee: ours, Token: usdc}
	return c
}

// TestValidate breaks one thing after the other and wants exactly what is said of it.
func TestValidate(t *testing.T) {
	must(t, good().Validate())
	for want, change := range map[string]func(*Config){
		`listen "here" is not an address and a port: write it as in 127.0.0.1:9100`:                                                  func(c *Config) { c.Listen = "here" },
		`listen ":65536" has no port: use 0 to 65535`:                                                                                func(c *Config) { c.Listen = ":65536" },
		`metrics_listen ":9101" would tell everybody who reaches this machine: use 127.0.0.1:9101, or 0.0.0.0:9101 if that is meant`: func(c *Config) { c.MetricsListen = ":9101" },
		`shutdown_delay 6m0s cannot be used: use 0s to 5m0s`:                                                                         func(c *Config) { c.ShutdownDelay = Duration(6 * time.Minute) },
		`tls.key_file is empty but tls.cert_file is set: set both, or none`:                                                          func(c *Config) { c.TLS.KeyFile = "" },
		`tls.cert_file is empty, and the token of the gateway would come to 0.0.0.0:9100 without encryption: set it and tls.key_file, or listen on 127.0.0.1, or set plain_http to true if nobody else is in that network`: func(c *Config) {
			c.TLS = TLS{}
		},
		`plain_http is true, and tls.cert_file is set: keep one of them`:                           func(c *Config) { c.PlainHTTP = true },
		`token_file is empty, so that nobody could ask: name a file with the token of the gateway`: func(c *Config) { c.TokenFile = "" },
		`operator_token_file is the file of token_file: the gateway asks for owners, operators see all of them; name another`: func(c *Config) {
			c.OperatorTokenFile = c.TokenFile
		},
		`database.hosts is empty: name at least one database node`: func(c *Config) { c.Database.Hosts = nil },

		`events.urls is empty: name at least one NATS server, as nats://127.0.0.1:4222`:                       func(c *Config) { c.Events.URLs = nil },
		`events.urls[0] http://a is of another kind: use nats:// or tls://`:                                   func(c *Config) { c.Events.URLs = []string{"http://a"} },
		`events.urls[0] has a user or a password in it: secrets are in files of their own`:                    func(c *Config) { c.Events.URLs = []string{"nats://a:b@c"} },
		`events.cluster is empty: name the cluster whose claims they are`:                                     func(c *Config) { c.Events.Cluster = "" },
		`events.nkey_file is set beside events.credentials_file: keep one of them`:                            func(c *Config) { c.Events.NKeyFile = "x" },
		`events.prefix "A" cannot be used: use at most 32 lower-case letters, digits, dashes and underscores`: func(c *Config) { c.Events.Prefix = "A" },
		`events.consumer "a.b" cannot be used: use at most 64 letters, digits, dashes and underscores`:        func(c *Config) { c.Events.Consumer = "a.b" },
		`events.key_file is empty but events.cert_file is set: set both, or none`:                             func(c *Config) { c.Events.CertFile = "x" },
		`claims.since is missing: say since when is billed, as 2026-12-01T00:00:00Z`:                          func(c *Config) { c.Claims.Since = time.Time{} },
		`claims.since 2026-12-01T00:00:00.000001Z is within a day: use midnight in UTC`:                       func(c *Config) { c.Claims.Since = c.Claims.Since.Add(time.Microsecond) },
		`claims.since 2026-12-01T01:00:00Z is within a day: use midnight in UTC`:                              func(c *Config) { c.Claims.Since = c.Claims.Since.Add(time.Hour) },
		`claims.start "paid" is unknown: use "accepted" or "pinned"`:                                          func(c *Config) { c.Claims.Start = "paid" },
		`claims.replicas "" is unknown: use "requested" or "single"`:                                          func(c *Config) { c.Claims.Replicas = "" },
		`claims.default_replicas 0 counts no copy: use 1 or more`:                                             func(c *Config) { c.Claims.DefaultReplicas = 0 },
		`claims.all_replicas -1 counts no copy: use 1 or more`:                                                func(c *Config) { c.Claims.AllReplicas = -1 },
		`claims.max_size -1 is negative: use a number of bytes, or 0 for any`:                                 func(c *Config) { c.Claims.MaxSize = -1 },
		`claims.window -1s is negative: use 0s for any age, or more`:                                          func(c *Config) { c.Claims.Window = Duration(-time.Second) },
		`close.grace 9m0s cannot be used: use 10m0s to 168h0m0s`:                                              func(c *Config) { c.Close.Grace = Duration(9 * time.Minute) },
		`close.window -1s is negative: use 0s for ever, or more`:                                              func(c *Config) { c.Close.Window = Duration(-time.Second) },
		`close.window 720h0m0s is not longer than claims.window, so that what is taken would correct nothing: use more than 720h0m0s, or 0s`: func(c *Config) {
			c.Close.Window = c.Claims.Window
		},
		`close.window 840h0m0s is not longer than claims.window, so that what is taken would correct nothing: use more than 0s, or 0s`: func(c *Config) {
			c.Claims.Window = 0
		},
		`close.every 500ms cannot be used: use 1s to 24h`:                               func(c *Config) { c.Close.Every = Duration(500 * time.Millisecond) },
		`close.parallel 0 cannot be used: use 1 to 1024`:                                func(c *Config) { c.Close.Parallel = 0 },
		`plans.folder is empty but plans.default is set: name the folder with the plan`: func(c *Config) { c.Plans.Folder, c.Invoices = "", Default().Invoices },
		`gateway.every 59m0s cannot be used: use 1h or more`:                            func(c *Config) { c.Gateway.Every = Duration(59 * time.Minute) },
		`gateway.url https://a/b goes on after the host: remove what follows, and a slash at the end, too`: func(c *Config) {
			c.Gateway.URL = "https://a/b"
		},
		`gateway.url http://a is not encrypted: use https://, or set plain_http to true if nobody else is in that network`: func(c *Config) {
			c.Gateway.URL = "http://a"
		},
		`gateway.ca_file is set, and http://127.0.0.1 is not https://: use https://, or remove it`:               func(c *Config) { c.Gateway.URL = "http://127.0.0.1" },
		`gateway.token_file is empty but gateway.url is set: name a file with an API key of an operator`:         func(c *Config) { c.Gateway.TokenFile = "" },
		`gateway.url is empty but gateway.token_file is set: set both, or none`:                                  func(c *Config) { c.Gateway.URL = "" },
		`invoices.series "inv" cannot be used: use at most 20 capital letters, digits and dashes`:                func(c *Config) { c.Invoices.Series = "inv" },
		`invoices.credit_series is invoices.series, "2026": their numbers would be the same; use another`:        func(c *Config) { c.Invoices.CreditSeries = "2026" },
		`invoices.due_days 181 cannot be used: use 0 to 180`:                                                     func(c *Config) { c.Invoices.DueDays = 181 },
		`invoices.most_unsized -2 is negative: use 0 or more, or -1 for any number`:                              func(c *Config) { c.Invoices.MostUnsized = -2 },
		`invoices.seller.name is empty but invoices.buyers_file is set: say who sends the invoices`:              func(c *Config) { c.Invoices.Seller.Name = "" },
		`invoices.seller.address is empty but invoices.buyers_file is set: write a line for each of an envelope`: func(c *Config) { c.Invoices.Seller.Address = nil },
		`invoices.regions is empty but invoices.buyers_file is set: name at least one tax region`:                func(c *Config) { c.Invoices.Regions = nil },
		`plans.folder is empty but invoices.buyers_file is set, and without prices there are no invoices: name a folder with plans`: func(c *Config) {
			c.Plans = Plans{}
		},
		`stripe.key_file is empty, and webhooks of Stripe are set: name a file with the API key, or remove them`: func(c *Config) { c.Stripe.KeyFile = "" },
		`stripe.webhook_secret_file and stripe.webhook_listen go together: set both, or none`:                    func(c *Config) { c.Stripe.WebhookSecretFile = "" },
		`stripe.webhook_listen "x" is not an address and a port: write it as in 127.0.0.1:9102`:                  func(c *Config) { c.Stripe.WebhookListen = "x" },
		`chains[0].name "Base" cannot be used: use at most 32 lower-case letters, digits and dashes`:             func(c *Config) { c.Chains[0].Name = "Base" },
		`chains[0].chain_id is 0: write its number, as 8453`:                                                     func(c *Config) { c.Chains[0].ChainID = 0 },
		`chains[0].rpc_url is not a URL: write it as in https://host/path`:                                       func(c *Config) { c.Chains[0].RPCURL = "wss://x" },
		`chains[0].address "0x1" is not an address: write 0x and 40 hexadecimal digits`:                          func(c *Config) { c.Chains[0].Address = "0x1" },
		`chains[0].tokens is empty, so that nothing could be paid there: name a token`:                           func(c *Config) { c.Chains[0].Tokens = nil },
		`chains[0].tokens[0].currency "XXQ" is unknown: use one as USD`:                                          func(c *Config) { c.Chains[0].Tokens[0].Currency = "XXQ" },
		`chains[0].tokens[0].decimals 37 cannot be used: use 0 to 36, as its contract says`:                      func(c *Config) { c.Chains[0].Tokens[0].Decimals = 37 },
		`chains[1] has the name "base" of another: give it one of its own`:                                       func(c *Config) { c.Chains = append(c.Chains, c.Chains[0]) },
		`filecoin.operator_key_file is empty, so that nothing is charged: name the file of the key, or remove the section`: func(c *Config) {
			c.Filecoin.OperatorKeyFile = ""
		},
		`filecoin.chain_id is 0: use 314 for the main network`: func(c *Config) { c.Filecoin.ChainID = 0 },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	c := good()
	c.Invoices.Regions[0].Rates[0].Percent = "19%"
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), `invoices.regions cannot be used, the percent of "VAT" in "DE": `) {
		t.Error(err)
	}
	c = good()
	c.Listen, c.Close.Parallel, c.Events.Cluster = "x", 0, ""
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "3 settings are wrong:\n  listen ") {
		t.Errorf("three mistakes: %v", err)
	}
}

const minimal = `{"events": {"urls": ["nats://a"], "cluster": "c"}, "claims": {"since": "2026-12-01T00:00:00Z"}}`

// TestParse: the file, then the environment, then what fits together.
func TestParse(t *testing.T) {
	c, err := Parse([]byte(minimal), "/etc/x", []string{"PIN_BILLING_CLOSE_GRACE=1h", "PIN_BILLING_DATABASE_HOSTS=db1,db2", "PIN_BILLING_CLAIMS_SINCE=2027-01-01T00:00:00Z", "PIN_BILLING_CONFIG=x", "PIN_BILLING_LOGLEVEL=x", "PIN_BILLING_SERVICE_HOST=1"})
	must(t, err)
	if c.Close.Grace != Duration(time.Hour) || !reflect.DeepEqual(c.Database.Hosts, []string{"db1", "db2"}) || c.Claims.Since.Year() != 2027 || c.Folder != "/etc/x" || c.Database.Folder != "/etc/x" || c.Resolve("a") != "/etc/x/a" {
		t.Errorf("%+v", c)
	}
	text, err := c.JSON()
	must(t, err)
	if again, err := Parse(text, "/etc/x", nil); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("what is shown is read as %+v, %v", again, err)
	}
	for text, want := range map[string]string{
		`{"clams": {}}`:                                      "clams is not a setting: did you mean claims?",
		`{"claims": {"since": "tomorrow"}}`:                  `claims.since is not a time: write it as in "2026-01-31T12:00:00Z"`,
		`{"close": {"grace": 6}}`:                            `close.grace is not a duration: write it as in "10s"`,
		`{"chains": [{"tokens": [{"price": 1}]}]}`:           "chains[0].tokens[0].price is not a setting: correct its name, or remove it",
		`{"events": {"urls": ["nats://a"], "cluster": "c"}}`: "claims.since is missing: say since when is billed, as 2026-12-01T00:00:00Z",
	} {
		if _, err := Parse([]byte(text), "", nil); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
	for variable, want := range map[string]string{
		"CLOSE_GRACES=1h": "environment variable PIN_BILLING_CLOSE_GRACES sets nothing: did you mean PIN_BILLING_CLOSE_GRACE?",
		"CLOSE_GRACE=1":   "close.grace (PIN_BILLING_CLOSE_GRACE) is not a duration: write it as in 10s",
		"CLOSE_GRACE=1m":  "close.grace (PIN_BILLING_CLOSE_GRACE) 1m0s cannot be used: use 10m0s to 168h0m0s",
		"CHAINS=base":     "chains (PIN_BILLING_CHAINS) is not JSON: write a list of objects, or put it into the file",
	} {
		if _, err := Parse([]byte(minimal), "", []string{Prefix + variable}); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", variable, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), FileName), nil); err == nil || !strings.Contains(err.Error(), `"pin-billing init" writes one`) {
		t.Error(err)
	}
}

// filled returns a folder with all files of good but for what nobody here looks into.
func filled(t *testing.T) Config {
	t.Helper()
	c := good()
	c.Folder = t.TempDir()
	c.TLS, c.Gateway.CAFile = TLS{}, ""
	plan, err := os.ReadFile("../plan/example/standard-1.yaml")
	must(t, err)
	for name, text := range map[string]string{
		"gateway-token": strings.Repeat("a", 32) + "\n", "operator-token": strings.Repeat("b", 32), "gateway-key": "icp_live_x", "nats.creds": "x",
		"plans/standard-1.yaml": string(plan), "stripe-key": "x", "webhook-secret": "x", "operator": "x", "node-key": "x",
		"buyers.json": `{"acme": {"name": "ACME", "address": ["1 Road"], "region": "DE"}}`,
	} {
		name = filepath.Join(c.Folder, name)
		must(t, os.MkdirAll(filepath.Dir(name), 0o700))
		must(t, os.WriteFile(name, []byte(text), 0o600))
	}
	return c
}

// TestRead: files are read, and all that cannot be used is told, without what is in them.
func TestRead(t *testing.T) {
	f, err := filled(t).Read()
	must(t, err)
	if f.Token != strings.Repeat("a", 32) || f.OperatorToken != strings.Repeat("b", 32) || f.GatewayToken != "icp_live_x" || len(f.Book.Plans()) != 1 || f.Buyers["acme"].Region != "DE" {
		t.Error("the files are not as they were written")
	}
	for _, tc := range []struct{ file, text, want string }{
		{"gateway-token", "hunter2", "token_file names DIR/gateway-token, which is not one line of 32 or more letters and digits: make one with openssl rand -hex 32"},
		{"gateway-token", "", "token_file names DIR/gateway-token, which is empty: fill it"},
		{"operator-token", strings.Repeat("a", 32), "operator_token_file has the token of token_file: the gateway asks for owners, operators see all of them; make another"},
		{"buyers.json", `{"acme": {"name": "A", "address": ["x"], "region": "DEE"}}`, `invoices.buyers_file has the tax region "DEE" of "acme", which is not in invoices.regions: did you mean DE?`},
		{"buyers.json", `{"acme": {"name": "", "address": ["x"], "region": "DE"}}`, `invoices.buyers_file has no name or no address of "acme": write both`},
		{"plans/standard-1.yaml", "plan: other\n", `plans.folder has plans that cannot be used, see "pin-billing plan lint DIR/plans": `},
	} {
		c := filled(t)
		must(t, os.WriteFile(filepath.Join(c.Folder, tc.file), []byte(tc.text), 0o600))
		_, err := c.Read()
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), c.Folder, "DIR"), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s %q\ngot  %v\nwant %s", tc.file, tc.text, err, tc.want)
		}
	}
	c := filled(t)
	c.Plans.Default = "standart"
	must(t, os.Chmod(filepath.Join(c.Folder, "gateway-token"), 0o644))
	_, err = c.Read()
	if err == nil || !strings.Contains(err.Error(), "which everybody on this machine may use (mode 0644)") || !strings.Contains(err.Error(), `plans.default "standart" is in none of the files of `) || !strings.Contains(err.Error(), "did you mean standard?") {
		t.Error(err)
	}
}

// TestExample: what init writes is valid, and billed since the next midnight.
func TestExample(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	files, err := Example("x.json", now)
	must(t, err)
	dir := t.TempDir()
	for _, f := range files {
		must(t, os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600))
	}
	c, err := Load(filepath.Join(dir, "x.json"), nil)
	must(t, err)
	if want := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); !c.Claims.Since.Equal(want) {
		t.Errorf("billed since %s", c.Claims.Since)
	}
	f, err := c.Read()
	must(t, err)
	if again, err := Example("x.json", now); err != nil || strings.TrimSpace(string(again[1].Text)) == f.Token || f.Token == f.OperatorToken {
		t.Error("tokens are not new", err)
	}
}

func FuzzParseBuyers(f *testing.F) {
	f.Add([]byte(`{"acme": {"name": "ACME", "address": ["1 Road"], "region": "DE"}}`))
	f.Add([]byte(`{}{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := ParseBuyers(text); err != nil && !strings.HasPrefix(err.Error(), "it is not a JSON object") && !strings.HasPrefix(err.Error(), "something follows") {
			t.Error(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text, "", nil)
		if err != nil {
			return
		}
		shown, err := c.JSON()
		must(t, err)
		if again, err := Parse(shown, "", nil); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s is read as %+v, %v", shown, again, err)
		}
	})
}

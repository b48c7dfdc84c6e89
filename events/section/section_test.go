package section

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

// clearEnv removes the variables of this component for one test.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, envPrefix+"_") {
			t.Setenv(name, "") // restores it after the test
			must(t, os.Unsetenv(name))
		}
	}
}

// TestEnv sets each field by its variable. A field that is added to the configuration
// without a case here fails the test.
func TestEnv(t *testing.T) {
	clearEnv(t)
	cases := map[string]struct {
		name, value string
		set         func(*Config)
	}{
		"urls":                      {"CLUSTER_EVENTS_URLS", "nats://n1, tls://n2", func(c *Config) { c.URLs = []string{"nats://n1", "tls://n2"} }},
		"tls.enabled":               {"CLUSTER_EVENTS_TLS_ENABLED", "true", func(c *Config) { c.TLS.Enabled = true }},
		"tls.ca_file":               {"CLUSTER_EVENTS_TLS_CAFILE", "ca2", func(c *Config) { c.TLS.CAFile = "ca2" }},
		"tls.cert_file":             {"CLUSTER_EVENTS_TLS_CERTFILE", "cert2", func(c *Config) { c.TLS.CertFile = "cert2" }},
		"tls.key_file":              {"CLUSTER_EVENTS_TLS_KEYFILE", "key2", func(c *Config) { c.TLS.KeyFile = "key2" }},
		"credentials_file":          {"CLUSTER_EVENTS_CREDENTIALSFILE", "creds2", func(c *Config) { c.CredentialsFile = "creds2" }},
		"nkey_file":                 {"CLUSTER_EVENTS_NKEYFILE", "nk2", func(c *Config) { c.NKeyFile = "nk2" }},
		"prefix":                    {"CLUSTER_EVENTS_PREFIX", "other", func(c *Config) { c.Prefix = "other" }},
		"replicas":                  {"CLUSTER_EVENTS_REPLICAS", "3", func(c *Config) { c.Replicas = 3 }},
		"max_age":                   {"CLUSTER_EVENTS_MAXAGE", "1h", func(c *Config) { c.MaxAge = minMaxAge }},
		"max_bytes":                 {"CLUSTER_EVENTS_MAXBYTES", "16777216", func(c *Config) { c.MaxBytes = minMaxBytes }},
		"monitor_urls":              {"CLUSTER_EVENTS_MONITORURLS", "http://n1:8222,http://n2:8222", func(c *Config) { c.MonitorURLs = []string{"http://n1:8222", "http://n2:8222"} }},
		"embedded.enabled":          {"CLUSTER_EVENTS_EMBEDDED_ENABLED", "true", func(c *Config) { c.Embedded.Enabled = true }},
		"embedded.listen":           {"CLUSTER_EVENTS_EMBEDDED_LISTEN", "127.0.0.1:0", func(c *Config) { c.Embedded.Listen = "127.0.0.1:0" }},
		"embedded.max_bytes":        {"CLUSTER_EVENTS_EMBEDDED_MAXBYTES", "9", func(c *Config) { c.Embedded.MaxBytes = 9 }},
		"embedded.allow_many_peers": {"CLUSTER_EVENTS_EMBEDDED_ALLOWMANYPEERS", "true", func(c *Config) { c.Embedded.AllowManyPeers = true }},
	}
	names := jsonSection().Variables(reflect.TypeFor[configJSON]())
	for field, name := range names {
		if tc, ok := cases[field]; !ok || name != tc.name {
			t.Errorf("field %s has the variable %s, and the case is %+v", field, name, tc)
		}
	}
	if len(names) != len(cases) {
		t.Errorf("%d fields but %d cases", len(names), len(cases))
	}
	for field, tc := range cases {
		t.Run(field, func(t *testing.T) {
			from := `{"tls": {"enabled": true, "cert_file": "c", "key_file": "k"}}`
			if field == "tls.enabled" || strings.HasPrefix(field, "embedded.") {
				from = `{}`
			}
			cfg, want := loaded(t, from), loaded(t, from)
			tc.set(want)
			if reflect.DeepEqual(cfg, want) {
				t.Fatal("the case changes nothing")
			}
			t.Setenv(tc.name, tc.value)
			must(t, cfg.ApplyEnvVars())
			if !reflect.DeepEqual(cfg, want) {
				t.Errorf("%s=%s gives\n%+v, want\n%+v", tc.name, tc.value, cfg, want)
			}
		})
	}
}

func TestEnvRefuses(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"CLUSTER_EVENTS_URLS", "nats://u:ge heim@n1", `environment variable CLUSTER_EVENTS_URLS: state.events.urls: "nats://u:XXX_hidden_XXX@n1" has a comma, a space or a control character in it: write each URL by itself, and %2C and %20 in a password, as in "nats://127.0.0.1:4222"`},
		{"CLUSTER_EVENTS_MAXBYTES", "4GiB", `environment variable CLUSTER_EVENTS_MAXBYTES: "4GiB" is not a whole number`},
		{"CLUSTER_EVENTS_MAXAGE", "7d", `environment variable CLUSTER_EVENTS_MAXAGE: state.events.max_age: "7d" is not a duration: write a number and a unit, as in 168h`},
		{"CLUSTER_EVENTS_EMBEDDED_ENABLED", "maybe", `environment variable CLUSTER_EVENTS_EMBEDDED_ENABLED: "maybe" is not true or false`},
		{"CLUSTER_EVENTS_NKEYFILE", "n", `environment variable CLUSTER_EVENTS_NKEYFILE: state.events.nkey_file: is set beside credentials_file: keep one of them`},
		{"CLUSTER_EVENTS_URL", "nats://n1", `environment variable CLUSTER_EVENTS_URL: there is no such setting; did you mean CLUSTER_EVENTS_URLS?`},
		{"CLUSTER_EVENTS_COLOUR", "red", `environment variable CLUSTER_EVENTS_COLOUR: there is no such setting; docs/events-configuration.md lists them all`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv(tc.name, tc.value)
			cfg := loaded(t, external)
			if err := cfg.ApplyEnvVars(); err == nil || err.Error() != tc.want {
				t.Errorf("\n got %v\nwant %s", err, tc.want)
			}
			if want := loaded(t, external); !reflect.DeepEqual(cfg, want) {
				t.Error("was refused but changed the configuration")
			}
		})
	}
}

// managed does with a section what the configuration manager does when it loads a
// service.json.
func managed(t *testing.T, text string) *Section {
	t.Helper()
	s := &Section{}
	man := config.NewManager()
	t.Cleanup(man.Shutdown)
	man.RegisterComponent(config.State, s)
	err := man.LoadJSON([]byte(text))
	if err == nil || !strings.Contains(err.Error(), "no registered cluster section") {
		t.Fatalf("LoadJSON = %v, want it to get as far as the missing cluster section", err)
	}
	must(t, man.ApplyEnvVars())
	return s
}

// TestOn: events are on if the section is there or the environment asks for them, and off
// they are neither saved nor shown, so that saving does not turn them on.
func TestOn(t *testing.T) {
	const section, none, null = `{"state": {"events": {"prefix": "p"}}}`, `{"state": {}}`, `{"state": {"events": null}}`
	for _, tc := range []struct {
		name, text  string
		env         map[string]string
		on          bool
		prefix, url string
	}{
		{"section", section, nil, true, "p", ""},
		{"empty section", `{"state": {"events": {}}}`, nil, true, "ipfs-cluster", ""},
		{"no section", none, nil, false, "", ""},
		{"null", null, nil, false, "", ""},
		{"section and environment", section, map[string]string{"PREFIX": "q"}, true, "q", ""},
		{"other variables", none, map[string]string{"PREFIX": "q", "URLS": " ", "EMBEDDED_ENABLED": "false"}, false, "", ""},
		{"servers by environment", none, map[string]string{"PREFIX": "q", "URLS": "nats://n1"}, true, "q", "nats://n1"},
		{"embedded by environment", null, map[string]string{"EMBEDDED_ENABLED": "1"}, true, "ipfs-cluster", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clearEnv(t)
			for name, value := range tc.env {
				t.Setenv("CLUSTER_EVENTS_"+name, value)
			}
			s := managed(t, tc.text)
			cfg, err := s.Complete()
			must(t, err)
			if (cfg != nil) != tc.on {
				t.Fatalf("the configuration is %+v, want it on: %t", cfg, tc.on)
			}
			saved, err := s.ToJSON()
			must(t, err)
			shown, err := s.ToDisplayJSON()
			must(t, err)
			if (string(saved) == "null") == tc.on || (string(shown) == "null") == tc.on {
				t.Errorf("it is saved as %s and shown as %s", saved, shown)
			}
			if tc.on && (cfg.Prefix != tc.prefix || strings.Join(cfg.URLs, " ") != tc.url) {
				t.Errorf("the configuration is %+v", cfg)
			}
		})
	}
}

// TestCompleteRefuses what the environment has wrong, also if events are off.
func TestCompleteRefuses(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"URL", "nats://n1", "environment variable CLUSTER_EVENTS_URL: there is no such setting; did you mean CLUSTER_EVENTS_URLS?"},
		{"EMBEDDED_ENABLED", "maybe", `environment variable CLUSTER_EVENTS_EMBEDDED_ENABLED: "maybe" is not true or false`},
		{"URLS", "n1", `environment variable CLUSTER_EVENTS_URLS: state.events.urls: "n1" is not a URL: begin it with nats:// or tls://, as in "nats://127.0.0.1:4222"`},
	} {
		clearEnv(t)
		t.Setenv("CLUSTER_EVENTS_"+tc.name, tc.value)
		s := managed(t, `{}`)
		if cfg, err := s.Complete(); cfg != nil || err == nil || err.Error() != tc.want {
			t.Errorf("%s=%s:\n got %v, %v\nwant %s", tc.name, tc.value, cfg, err, tc.want)
		}
		must(t, os.Unsetenv("CLUSTER_EVENTS_"+tc.name))
	}
}

func TestBusConfig(t *testing.T) {
	cfg := loaded(t, external)
	cfg.SetBaseDir("/peer")
	want := bus.Config{
		URLs: []string{"nats://nats1:4222"}, Name: "ipfs-cluster peer me", Cluster: "prod",
		TLS:             bus.TLS{Enabled: true, CAFile: "/peer/ca.pem", CertFile: "/c.pem", KeyFile: "/peer/k.pem"},
		CredentialsFile: "/peer/nats.creds", Prefix: "p", Replicas: 5, MaxAge: 2 * minMaxAge, MaxBytes: minMaxBytes, MonitorURLs: []string{"http://nats1:8222"},
	}
	if got := cfg.BusConfig("prod", "me"); !reflect.DeepEqual(got, want) {
		t.Errorf("the bus gets\n%+v, want\n%+v", got, want)
	}
	cfg = loaded(t, `{"nkey_file": "/n", "tls": {"ca_file": "ca.pem"}}`)
	if got := cfg.BusConfig("prod", "me"); got.TLS != (bus.TLS{}) || got.NKeyFile != "/n" || got.Replicas != 0 || len(got.URLs) != 0 {
		t.Errorf("the bus gets %+v", got)
	}
}

func TestEmbeddedConfig(t *testing.T) {
	cfg := loaded(t, `{"embedded": {"enabled": true, "listen": "[::1]:5"}, "max_bytes": 20000000}`)
	want := embedded.Config{Folder: "/peer/events", Listen: "[::1]:5", MaxBytes: 40000000}
	if got := cfg.EmbeddedConfig("/peer"); got != want {
		t.Errorf("the server gets %+v, want %+v", got, want)
	}
	cfg.Embedded.MaxBytes = 50000000
	if got := cfg.EmbeddedConfig("/peer"); got.MaxBytes != 50000000 {
		t.Errorf("the server gets %+v", got)
	}
	if got := cfg.BusConfig("prod", "me"); got.Replicas != 1 {
		t.Errorf("the streams of one server have %d replicas", got.Replicas)
	}
}

func TestCheckPeers(t *testing.T) {
	for _, tc := range []struct {
		text  string
		peers int
		ok    bool
	}{
		{`{"embedded": {"enabled": true}}`, 0, true},
		{`{"embedded": {"enabled": true}}`, 1, true},
		{`{"embedded": {"enabled": true}}`, 2, false},
		{`{"embedded": {"enabled": true, "allow_many_peers": true}}`, 2, true},
		{`{"urls": ["nats://n1"]}`, 2, true},
	} {
		err := loaded(t, tc.text).CheckPeers(tc.peers)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrManyPeers) {
			t.Errorf("%s with %d peers: %v", tc.text, tc.peers, err)
		}
	}
}

// TestEmbeddedServes starts what a section says, on a free port, and makes the streams
// with the limits that it says.
func TestEmbeddedServes(t *testing.T) {
	cfg := loaded(t, `{"embedded": {"enabled": true, "listen": "127.0.0.1:0"}}`)
	must(t, cfg.ValidateAll())
	server, err := embedded.Start(t.Context(), cfg.EmbeddedConfig(t.TempDir()))
	must(t, err)
	defer func() { must(t, server.Close(t.Context())) }()
	conf := cfg.BusConfig("test", "me")
	conf.URLs = []string{server.URL()}
	b, err := bus.Connect(conf)
	must(t, err)
	must(t, b.Ensure(t.Context()))
	must(t, b.Close(t.Context()))
}

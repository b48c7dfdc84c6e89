package section

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/configpage"
)

//go:generate go test -run=^TestPage$ -update

var update = flag.Bool("update", false, "write docs/admin-configuration.md")

var _ config.ComponentConfig = (*Config)(nil)

// fullConfig has a value other than the default in every field.
const fullConfig = `{
  "listen": "[::1]:9100",
  "slow_query": "250ms",
  "tracing": {"endpoint": "collector:4317", "insecure": true, "ca_file": "ca.pem", "headers_file": "/run/headers", "sample_ratio": 0.5, "server_sample_ratio": 0.25},
  "canary_every": "3m0s",
  "drift_every": "1h0m0s"
}`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func loaded(t *testing.T, text string) *Config {
	t.Helper()
	cfg := &Config{}
	if err := cfg.LoadJSON([]byte(text)); err != nil {
		t.Fatalf("loading %s: %v", text, err)
	}
	return cfg
}

// TestPage shows that the page of documentation is what the code says. With -update it
// writes the page.
func TestPage(t *testing.T) {
	cfg := &Config{}
	must(t, cfg.Default())
	defaults, err := cfg.ToJSON()
	must(t, err)
	must(t, configpage.Source{
		Section: jsonSection(), Written: reflect.TypeFor[configJSON](), Documented: reflect.TypeFor[Config](), File: "config.go", Defaults: defaults,
	}.Check("../../../docs/admin-configuration.md", "testdata/admin-configuration.md.tmpl", *update))
}

func TestDefault(t *testing.T) {
	cfg := &Config{}
	must(t, cfg.Default())
	must(t, cfg.ValidateAll())
	if got := loaded(t, `{}`); !reflect.DeepEqual(got, cfg) {
		t.Errorf("an empty object loads as\n%+v, want the default\n%+v", got, cfg)
	}
	want := Config{Listen: "127.0.0.1:9089", SlowQuery: time.Second, DriftEvery: 24 * time.Hour, Tracing: Tracing{SampleRatio: 0.1}}
	if !reflect.DeepEqual(*cfg, want) {
		t.Errorf("default is\n%+v, want\n%+v", *cfg, want)
	}
}

func TestLoadJSON(t *testing.T) {
	want := Config{
		Listen: "[::1]:9100", SlowQuery: 250 * time.Millisecond, CanaryEvery: 3 * time.Minute, DriftEvery: time.Hour,
		Tracing: Tracing{Endpoint: "collector:4317", Insecure: true, CAFile: "ca.pem", HeadersFile: "/run/headers", SampleRatio: .5, ServerSampleRatio: .25},
	}
	got := loaded(t, fullConfig)
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("loaded\n%+v, want\n%+v", *got, want)
	}
	for name, write := range map[string]func() ([]byte, error){"saved": got.ToJSON, "shown": got.ToDisplayJSON} {
		raw, err := write()
		must(t, err)
		var asWritten, asSaved any
		must(t, json.Unmarshal([]byte(fullConfig), &asWritten))
		must(t, json.Unmarshal(raw, &asSaved))
		if !reflect.DeepEqual(asWritten, asSaved) {
			t.Errorf("%s as %s, want %s", name, raw, fullConfig)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`{"listen": "9089"}`, `observations.admin.listen: "9089" is not an address and a port: write it as in 127.0.0.1:9089`},
		{`{"listen": "/ip4/127.0.0.1/tcp/9089"}`, `observations.admin.listen: "/ip4/127.0.0.1/tcp/9089" is not an address and a port: write it as in 127.0.0.1:9089`},
		{`{"listen": "localhost:http"}`, `observations.admin.listen: "localhost:http" has no usable port: use 0 to 65535`},
		{`{"listen": "localhost:65536"}`, `observations.admin.listen: "localhost:65536" has no usable port: use 0 to 65535`},
		{`{"listen": ":9089"}`, `observations.admin.listen: ":9089" would tell everybody who reaches this machine: use 127.0.0.1:9089, or 0.0.0.0:9089 if that is meant`},
		{`{"slow_query": "1"}`, `observations.admin.slow_query: "1" is not a duration: write a number and a unit, as in 1m30s`},
		{`{"slow_query": "999us"}`, `observations.admin.slow_query: 999µs cannot be used: use 1ms or longer, or 0s to turn it off`},
		{`{"canary_every": "-1m"}`, `observations.admin.canary_every: -1m0s cannot be used: use 2m0s or longer, or 0s to turn it off`},
		{`{"canary_every": "1m59s"}`, `observations.admin.canary_every: 1m59s cannot be used: use 2m0s or longer, or 0s to turn it off`},
		{`{"drift_every": "1s"}`, `observations.admin.drift_every: 1s cannot be used: use 1m0s or longer, or 0s to turn it off`},
		{`{"tracing": {"endpoint": "http://collector:4317"}}`, `observations.admin.tracing.endpoint: "http://collector:4317" is more than a host and a port: write it as in 127.0.0.1:4317, without a scheme and a path`},
		{`{"tracing": {"endpoint": "user:geheim@collector:4317"}}`, `observations.admin.tracing.endpoint: has an @ in it: write the host and the port only, and a token into tracing.headers_file`},
		{`{"tracing": {"endpoint": "collector"}}`, `observations.admin.tracing.endpoint: "collector" is not a host and a port: write it as in 127.0.0.1:4317`},
		{`{"tracing": {"endpoint": ":4317"}}`, `observations.admin.tracing.endpoint: ":4317" is not a host and a port: write it as in 127.0.0.1:4317`},
		{`{"tracing": {"endpoint": "collector:0"}}`, `observations.admin.tracing.endpoint: "collector:0" has no usable port: use 1 to 65535, write it as in 127.0.0.1:4317`},
		{`{"tracing": {"sample_ratio": 1.1}}`, `observations.admin.tracing.sample_ratio: 1.1 is no share: use a number from 0 (none) to 1 (all)`},
		{`{"tracing": {"server_sample_ratio": -0.1}}`, `observations.admin.tracing.server_sample_ratio: -0.1 is no share: use a number from 0 (none) to 1 (all)`},
		{`{"tracing": {"sample_ratio": "all"}}`, `observations.admin.tracing.sample_ratio: a JSON string instead of a number`},
		{`{"tracing": true}`, `observations.admin.tracing: a JSON bool instead of an object`},
		{`{"port": 9089}`, `observations.admin: unknown field "port": correct its name or remove it`},
		{`{"tracing": {"token": "x"}}`, `observations.admin: unknown field "token": correct its name or remove it`},
		{`[]`, `observations.admin: a JSON array instead of an object: write {…}`},
	} {
		cfg := loaded(t, fullConfig)
		before := *cfg
		err := cfg.LoadJSON([]byte(tc.text))
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s:\n got %v\nwant %s", tc.text, err, tc.want)
		}
		if !reflect.DeepEqual(*cfg, before) {
			t.Errorf("%s: was refused but changed the configuration", tc.text)
		}
	}
	for want, change := range map[string]func(*Tracing){
		`ca_file: is set, but tracing.insecure sends spans unencrypted: keep one of them`:        func(*Tracing) {},
		`headers_file: would be sent in clear text to collector:4317: turn tracing.insecure off`: func(c *Tracing) { c.CAFile = "" },
		"": func(c *Tracing) { c.CAFile, c.Endpoint = "", "[::1]:4317" },
	} {
		cfg := loaded(t, fullConfig)
		change(&cfg.Tracing)
		err := cfg.ValidateAll()
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != "observations.admin.tracing."+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

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
		"listen":                      {"CLUSTER_ADMIN_LISTEN", "", func(c *Config) { c.Listen = "" }},
		"slow_query":                  {"CLUSTER_ADMIN_SLOWQUERY", "0s", func(c *Config) { c.SlowQuery = 0 }},
		"tracing.endpoint":            {"CLUSTER_ADMIN_TRACING_ENDPOINT", " c:4317", func(c *Config) { c.Tracing.Endpoint = "c:4317" }},
		"tracing.insecure":            {"CLUSTER_ADMIN_TRACING_INSECURE", "true", func(c *Config) { c.Tracing.Insecure = true }},
		"tracing.ca_file":             {"CLUSTER_ADMIN_TRACING_CAFILE", "ca", func(c *Config) { c.Tracing.CAFile = "ca" }},
		"tracing.headers_file":        {"CLUSTER_ADMIN_TRACING_HEADERSFILE", "h", func(c *Config) { c.Tracing.HeadersFile = "h" }},
		"tracing.sample_ratio":        {"CLUSTER_ADMIN_TRACING_SAMPLERATIO", "1", func(c *Config) { c.Tracing.SampleRatio = 1 }},
		"tracing.server_sample_ratio": {"CLUSTER_ADMIN_TRACING_SERVERSAMPLERATIO", "0.01", func(c *Config) { c.Tracing.ServerSampleRatio = .01 }},
		"canary_every":                {"CLUSTER_ADMIN_CANARYEVERY", "5m", func(c *Config) { c.CanaryEvery = 5 * time.Minute }},
		"drift_every":                 {"CLUSTER_ADMIN_DRIFTEVERY", "1h", func(c *Config) { c.DriftEvery = time.Hour }},
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
			cfg, want := loaded(t, `{}`), loaded(t, `{}`)
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
		{"CLUSTER_ADMIN_LISTEN", ":1", `environment variable CLUSTER_ADMIN_LISTEN: observations.admin.listen: ":1" would tell everybody who reaches this machine: use 127.0.0.1:1, or 0.0.0.0:1 if that is meant`},
		{"CLUSTER_ADMIN_TRACING_SAMPLERATIO", "all", `environment variable CLUSTER_ADMIN_TRACING_SAMPLERATIO: "all" is not a number`},
		{"CLUSTER_ADMIN_LISTENS", "x", `environment variable CLUSTER_ADMIN_LISTENS: there is no such setting; did you mean CLUSTER_ADMIN_LISTEN?`},
		{"CLUSTER_ADMIN_COLOUR", "x", `environment variable CLUSTER_ADMIN_COLOUR: there is no such setting; docs/admin-configuration.md lists them all`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv(tc.name, tc.value)
			cfg := loaded(t, `{}`)
			if err := cfg.ApplyEnvVars(); err == nil || err.Error() != tc.want {
				t.Errorf("\n got %v\nwant %s", err, tc.want)
			}
			if _, err := managed(t, `{}`).Complete(); err == nil || err.Error() != tc.want {
				t.Errorf("without the section:\n got %v\nwant %s", err, tc.want)
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
	man.RegisterComponent(config.Observations, s)
	err := man.LoadJSON([]byte(text))
	if err == nil || !strings.Contains(err.Error(), "no registered cluster section") {
		t.Fatalf("LoadJSON = %v, want it to get as far as the missing cluster section", err)
	}
	must(t, man.ApplyEnvVars())
	return s
}

// TestSection: a service.json of an earlier version works, has no listener, and does not get
// the section by being saved.
func TestSection(t *testing.T) {
	const none = `{"observations": {}}`
	for _, tc := range []struct {
		name, text, listen string
		env                string // CLUSTER_ADMIN_LISTEN
		saved              bool
	}{
		{"no section", none, "", "", false},
		{"null", `{"observations": {"admin": null}}`, "", "", false},
		{"empty section", `{"observations": {"admin": {}}}`, DefaultListen, "", true},
		{"section", `{"observations": {"admin": {"listen": "127.0.0.1:1"}}}`, "127.0.0.1:1", "", true},
		{"off", `{"observations": {"admin": {"listen": ""}}}`, "", "", true},
		{"section and environment", `{"observations": {"admin": {"listen": "127.0.0.1:1"}}}`, "127.0.0.1:2", "127.0.0.1:2", true},
		{"environment", none, "127.0.0.1:2", "127.0.0.1:2", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clearEnv(t)
			if tc.env != "" {
				t.Setenv("CLUSTER_ADMIN_LISTEN", tc.env)
			}
			s := managed(t, tc.text)
			cfg, err := s.Complete()
			must(t, err)
			if cfg.Listen != tc.listen || cfg.SlowQuery != DefaultSlowQuery || cfg.DriftEvery != DefaultDriftEvery {
				t.Errorf("the configuration is %+v", cfg)
			}
			saved, err := s.ToJSON()
			must(t, err)
			shown, err := s.ToDisplayJSON()
			must(t, err)
			if (string(saved) != "null") != tc.saved || (string(shown) != "null") != tc.saved {
				t.Errorf("it is saved as %s and shown as %s", saved, shown)
			}
		})
	}
}

func TestFilesAreRelativeToTheFolder(t *testing.T) {
	cfg := &Config{}
	cfg.SetBaseDir("/peer")
	for name, want := range map[string]string{"": "", "/h": "/h", "h": filepath.FromSlash("/peer/h")} {
		if got := cfg.Resolve(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func FuzzLoadJSON(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(fullConfig))
	f.Add([]byte(`{"listen": " 0.0.0.0:0 ", "tracing": {"endpoint": "[::1%25eth0]:4317", "sample_ratio": 1e-300}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		cfg := &Config{}
		if err := cfg.LoadJSON(raw); err != nil {
			return
		}
		_ = cfg.ValidateAll()
		saved, err := cfg.ToJSON()
		if err != nil {
			t.Fatalf("%q loads but does not save: %v", raw, err)
		}
		again := &Config{}
		if err := again.LoadJSON(saved); err != nil {
			t.Fatalf("%q loads but its saved form %s does not: %v", raw, saved, err)
		}
		if !reflect.DeepEqual(cfg, again) {
			t.Fatalf("%q loads as %+v, its saved form as %+v", raw, cfg, again)
		}
	})
}

package section

import (
	"encoding/json"
	"flag"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/configpage"
)

//go:generate go test -run=^TestPage$ -update

var update = flag.Bool("update", false, "write docs/events-configuration.md")

var _ config.ComponentConfig = (*Config)(nil)

// fullConfig has a value other than the default in every field.
const fullConfig = `{
  "urls": ["tls://nats1:4222", "nats://10.0.0.2"],
  "tls": {"enabled": true, "ca_file": "ca.pem", "cert_file": "/etc/peer.pem", "key_file": "peer.key"},
  "credentials_file": "nats.creds",
  "nkey_file": "nats.nk",
  "prefix": "prod_2",
  "replicas": 3,
  "max_age": "48h0m0s",
  "max_bytes": 1073741824,
  "monitor_urls": ["http://nats1:8222", "https://m:pw@proxy/nats2"],
  "embedded": {"enabled": true, "listen": "[::1]:4223", "max_bytes": 2147483648, "allow_many_peers": true}
}`

// external is a configuration that is complete: all fields that go together.
const external = `{"urls": ["nats://nats1:4222"], "tls": {"enabled": true, "ca_file": "ca.pem", "cert_file": "/c.pem", "key_file": "k.pem"}, "credentials_file": "nats.creds", "prefix": "p", "replicas": 5, "max_age": "2h", "max_bytes": 16777216, "monitor_urls": ["http://nats1:8222"]}`

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
	}.Check("../../docs/events-configuration.md", "testdata/events-configuration.md.tmpl", *update))
}

func TestDefault(t *testing.T) {
	cfg := &Config{}
	must(t, cfg.Default())
	must(t, cfg.ValidateAll())
	if got := loaded(t, `{}`); !reflect.DeepEqual(got, cfg) {
		t.Errorf("an empty object loads as\n%+v, want the default\n%+v", got, cfg)
	}
	want := Config{
		URLs: []string{}, Prefix: "ipfs-cluster", MaxAge: 7 * 24 * time.Hour, MaxBytes: 4 << 30, MonitorURLs: []string{},
		Embedded: Embedded{Listen: "127.0.0.1:4222"},
	}
	if !reflect.DeepEqual(*cfg, want) {
		t.Errorf("default is\n%+v, want\n%+v", *cfg, want)
	}
}

func TestLoadJSON(t *testing.T) {
	want := Config{
		URLs: []string{"tls://nats1:4222", "nats://10.0.0.2"}, TLS: TLS{Enabled: true, CAFile: "ca.pem", CertFile: "/etc/peer.pem", KeyFile: "peer.key"},
		CredentialsFile: "nats.creds", NKeyFile: "nats.nk", Prefix: "prod_2", Replicas: 3, MaxAge: 48 * time.Hour, MaxBytes: 1 << 30,
		MonitorURLs: []string{"http://nats1:8222", "https://m:pw@proxy/nats2"},
		Embedded:    Embedded{Enabled: true, Listen: "[::1]:4223", MaxBytes: 2 << 30, AllowManyPeers: true},
	}
	got := loaded(t, fullConfig)
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("loaded\n%+v, want\n%+v", *got, want)
	}
	raw, err := got.ToJSON()
	must(t, err)
	var asWritten, asSaved any
	must(t, json.Unmarshal([]byte(fullConfig), &asWritten))
	must(t, json.Unmarshal(raw, &asSaved))
	if !reflect.DeepEqual(asWritten, asSaved) {
		t.Errorf("saved as %s, want %s", raw, fullConfig)
	}
}

func TestRefuses(t *testing.T) {
	const scheme = `, as in "nats://127.0.0.1:4222"`
	for _, tc := range []struct{ text, want string }{
		{`{"urls": ["nats1:4222"]}`, `state.events.urls: "nats1:4222" is not a URL: begin it with nats:// or tls://` + scheme},
		{`{"urls": ["user:geheim@nats1:4222"]}`, `state.events.urls: "user:XXX_hidden_XXX@nats1:4222" is not a URL: begin it with nats:// or tls://` + scheme},
		{`{"urls": [""]}`, `state.events.urls: "" is not a URL: begin it with nats:// or tls://` + scheme},
		{`{"urls": ["http://nats1"]}`, `state.events.urls: "http://nats1" has an unknown scheme: use nats:// or tls://` + scheme},
		{`{"urls": ["nats://"]}`, `state.events.urls: "nats://" names no server: write a host` + scheme},
		{`{"urls": ["nats://:4222"]}`, `state.events.urls: "nats://:4222" names no server: write a host` + scheme},
		{`{"urls": ["nats://nats1:"]}`, `state.events.urls: "nats://nats1:" has no usable port: use 1 to 65535` + scheme},
		{`{"urls": ["nats://nats1:0"]}`, `state.events.urls: "nats://nats1:0" has no usable port: use 1 to 65535` + scheme},
		{`{"urls": ["nats://nats1:65536"]}`, `state.events.urls: "nats://nats1:65536" has no usable port: use 1 to 65535` + scheme},
		{`{"urls": ["nats://nats1:port"]}`, `state.events.urls: "nats://nats1:port" is not a URL: correct it` + scheme},
		{`{"urls": ["nats://u:ge/heim@nats1"]}`, `state.events.urls: "nats://u:XXX_hidden_XXX@nats1" is not a URL: correct it, and escape what is special in a password (%40 is @, %3A is :, %2F is /)` + scheme},
		{`{"urls": ["nats://geheim@nats1?x"]}`, `state.events.urls: "nats://XXX_hidden_XXX@nats1?x" has something behind the server that is not used: remove it` + scheme},
		{`{"urls": ["nats://@nats1"]}`, `state.events.urls: "nats://XXX_hidden_XXX@nats1" has an empty user: remove the @` + scheme},
		{`{"urls": ["nats://nats1#x"]}`, `state.events.urls: "nats://nats1#x" has something behind the server that is not used: remove it` + scheme},
		{`{"urls": ["nats://nats1/x"]}`, `state.events.urls: "nats://nats1/x" has a path, which is not used: remove it` + scheme},
		{`{"urls": ["nats://nats1,nats://nats2"]}`, `state.events.urls: "nats://nats1,nats://nats2" has a comma, a space or a control character in it: write each URL by itself, and %2C and %20 in a password` + scheme},
		{`{"urls": "nats://nats1"}`, `state.events.urls: a JSON string instead of a list of strings`},
		{`{"monitor_urls": ["nats://nats1:8222"]}`, `state.events.monitor_urls: "nats://nats1:8222" has an unknown scheme: use http:// or https://, as in "http://127.0.0.1:8222"`},
		{`{"prefix": ""}`, `state.events.prefix: "" cannot be used: start with a lower-case letter or digit and go on with at most 31 lower-case letters, digits, dashes or underscores`},
		{`{"prefix": "a.b"}`, `state.events.prefix: "a.b" cannot be used: start with a lower-case letter or digit and go on with at most 31 lower-case letters, digits, dashes or underscores`},
		{`{"replicas": 2}`, `state.events.replicas: 2 cannot be used: use 1, 3 or 5, or 0 for 3 where there are as many servers, else 1`},
		{`{"replicas": -1}`, `state.events.replicas: -1 cannot be used: use 1, 3 or 5, or 0 for 3 where there are as many servers, else 1`},
		{`{"replicas": "3"}`, `state.events.replicas: a JSON string instead of a whole number`},
		{`{"max_age": "7d"}`, `state.events.max_age: "7d" is not a duration: write a number and a unit, as in 168h`},
		{`{"max_age": "59m"}`, `state.events.max_age: 59m0s cannot be used: use 1h0m0s or longer, as 168h0m0s`},
		{`{"max_bytes": 16777215}`, `state.events.max_bytes: 16777215 cannot be used: use 16777216 (16 MiB) to 1125899906842624 (1 PiB), as 4294967296 (4 GiB)`},
		{`{"max_bytes": 1125899906842625}`, `state.events.max_bytes: 1125899906842625 cannot be used: use 16777216 (16 MiB) to 1125899906842624 (1 PiB), as 4294967296 (4 GiB)`},
		{`{"max_bytes": "4GiB"}`, `state.events.max_bytes: a JSON string instead of a whole number`},
		{`{"embedded": {"listen": "0.0.0.0:4222"}}`, `state.events.embedded.listen: 0.0.0.0:4222 is not a loopback address: this server asks nobody for a password. Use one as 127.0.0.1:4222, or run NATS servers of your own`},
		{`{"embedded": {"listen": ""}}`, `state.events.embedded.listen: "" is not an IP address with a port: write it as in 127.0.0.1:4222`},
		{`{"embedded": {"max_bytes": -1}}`, `state.events.embedded.max_bytes: -1 is negative: use 0 for as much as the streams need, or a number of bytes`},
		{`{"embedded": true}`, `state.events.embedded: a JSON bool instead of an object`},
		{`{"embedded": {"enabled": "yes"}}`, `state.events.embedded.enabled: a JSON string instead of true or false`},
		{`{"url": ["nats://nats1"]}`, `state.events: unknown field "url": correct its name or remove it`},
		{`{"tls": {"server_name": "n"}}`, `state.events: unknown field "server_name": correct its name or remove it`},
		{`[]`, `state.events: a JSON array instead of an object: write {…}`},
		{`{} {}`, `state.events: something follows the JSON object: remove it`},
		{`{`, `state.events: not valid JSON: unexpected EOF`},
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
}

// TestAcceptsURLs: what may be in a URL.
func TestAcceptsURLs(t *testing.T) {
	for _, u := range []string{"nats://nats1", "tls://nats1:1", "nats://u:p%2C%40@nats-1.example.org:65535", "nats://token@[::1]:4222", "nats://nats1/"} {
		raw, err := json.Marshal(map[string][]string{"urls": {" " + u}})
		must(t, err)
		if got := loaded(t, string(raw)).URLs; len(got) != 1 || got[0] != u {
			t.Errorf("%q was loaded as %q", u, got)
		}
	}
}

// TestValidateAll refuses what does not go together. It loads, as the other half may come
// from the environment.
func TestValidateAll(t *testing.T) {
	must(t, loaded(t, external).ValidateAll())
	must(t, loaded(t, `{"embedded": {"enabled": true, "max_bytes": 33554432}, "replicas": 1, "max_bytes": 16777216}`).ValidateAll())
	for _, tc := range []struct{ text, want string }{
		{`{"tls": {"ca_file": "ca.pem"}}`, `state.events.tls.enabled: is false but other tls settings are there: set it to true, or remove them`},
		{`{"tls": {"enabled": true, "cert_file": "c"}}`, `state.events.tls.key_file: is empty but tls.cert_file is set: set both, or none`},
		{`{"tls": {"enabled": true, "key_file": "k"}}`, `state.events.tls.cert_file: is empty but tls.key_file is set: set both, or none`},
		{`{"credentials_file": "c", "nkey_file": "n"}`, `state.events.nkey_file: is set beside credentials_file: keep one of them`},
		{`{"credentials_file": "c", "urls": ["nats://n1", "nats://u:p@n2"]}`, `state.events.credentials_file: is set, but urls name a user, too: keep one of them`},
		{`{"nkey_file": "n", "urls": ["nats://token@n2"]}`, `state.events.nkey_file: is set, but urls name a user, too: keep one of them`},
		{`{"embedded": {"enabled": true}, "urls": ["nats://n1"]}`, `state.events.urls: is set, but the server of embedded.enabled is the only one: remove urls, or set embedded.enabled to false to use them`},
		{`{"embedded": {"enabled": true}, "tls": {"enabled": true}}`, `state.events.tls.enabled: is set, but the server of embedded.enabled does not encrypt, as it listens on this machine only: remove tls`},
		{`{"embedded": {"enabled": true}, "credentials_file": "c"}`, `state.events.credentials_file: is set, but the server of embedded.enabled asks for none: remove it`},
		{`{"embedded": {"enabled": true}, "nkey_file": "c"}`, `state.events.nkey_file: is set, but the server of embedded.enabled asks for none: remove it`},
		{`{"embedded": {"enabled": true}, "monitor_urls": ["http://n1"]}`, `state.events.monitor_urls: is set, but the server of embedded.enabled has no monitoring, and always writes to disk before it acknowledges: remove it`},
		{`{"embedded": {"enabled": true}, "replicas": 3}`, `state.events.replicas: 3 is set, but the server of embedded.enabled is one: use 1, or 0`},
		{`{"embedded": {"enabled": true, "max_bytes": 33554431}, "max_bytes": 16777216}`, `state.events.embedded.max_bytes: 33554431 is too little for 2 streams of max_bytes, which is 16777216: use 0 or at least 33554432, or lower max_bytes`},
		{fullConfig, `state.events.nkey_file: is set beside credentials_file: keep one of them`},
	} {
		if err := loaded(t, tc.text).ValidateAll(); err == nil || err.Error() != tc.want {
			t.Errorf("%s:\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

func TestDisplay(t *testing.T) {
	cfg := loaded(t, `{"urls": ["nats://u:geheim@n1:4222", "tls://geheim@n2", "nats://n3"], "monitor_urls": ["http://m:geheim@n1"]}`)
	shown, err := cfg.ToDisplayJSON()
	must(t, err)
	if strings.Contains(string(shown), "geheim") {
		t.Errorf("a secret shows: %s", shown)
	}
	for _, want := range []string{`"nats://u:XXX_hidden_XXX@n1:4222"`, `"tls://XXX_hidden_XXX@n2"`, `"nats://n3"`, `"http://m:XXX_hidden_XXX@n1"`, `"credentials_file": ""`} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("%s is missing in %s", want, shown)
		}
	}
	if saved, err := cfg.ToJSON(); err != nil || strings.Count(string(saved), "geheim") != 3 {
		t.Errorf("showing it changed it: %s, %v", saved, err)
	}
}

func TestFilesAreRelativeToTheFolder(t *testing.T) {
	cfg := loaded(t, external)
	cfg.SetBaseDir("/peer")
	must(t, cfg.LoadJSON([]byte(external))) // keeps the folder
	got := cfg.BusConfig("c", "p")
	if got.TLS.CAFile != filepath.FromSlash("/peer/ca.pem") || got.TLS.CertFile != "/c.pem" || got.CredentialsFile != filepath.FromSlash("/peer/nats.creds") || got.NKeyFile != "" {
		t.Errorf("the files are %+v", got)
	}
}

func FuzzLoadJSON(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(fullConfig))
	f.Add([]byte(external))
	f.Add([]byte(`{"urls": [" nats://a:b%40@[::1%25eth0]:4222/"], "max_age": "1h1.5s", "embedded": {"enabled": true}}`))
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
		if _, err := cfg.ToDisplayJSON(); err != nil {
			t.Fatalf("%q loads but is not shown: %v", raw, err)
		}
	})
}

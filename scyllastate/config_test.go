package scyllastate

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/libp2p/go-libp2p/core/peer"
)

var _ config.ComponentConfig = (*Config)(nil)

const testPeer = "12D3KooWKwzgi8u2Kw8mGHqXB2xKuvPtVD5vGZ5hL6VbbLEXyX9u"

// fullConfig has a value other than the default in every field.
const fullConfig = `{
  "hosts": ["db1.example", "10.0.0.2", "::1"],
  "port": 9142,
  "keyspace": "pins_2",
  "cluster_name": "prod",
  "local_dc": "dc1",
  "replication": {"dc1": 3, "dc2": 2},
  "username": "cluster",
  "password": "top-secret",
  "tls": {"enabled": true, "ca_file": "ca.pem", "cert_file": "/etc/peer.pem", "key_file": "peer.key", "server_name": "db.example"},
  "consistency": "local-reads",
  "schema": "verify",
  "compression": "snappy",
  "disable_shard_aware_port": true,
  "connect_timeout": "1m0s",
  "request_timeout": "6s",
  "unpin_grace": "1h0m0s",
  "check_every": "0s",
  "stop_share": 0.4,
  "zone": "rack-1",
  "trusted_peers": ["` + testPeer + `"]
}`

func loaded(t *testing.T, text string) *Config {
	t.Helper()
	cfg := &Config{}
	if err := cfg.LoadJSON([]byte(text)); err != nil {
		t.Fatalf("loading %s: %v", text, err)
	}
	return cfg
}

func TestConfigDefault(t *testing.T) {
	cfg := &Config{}
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ValidateAll(); err != nil {
		t.Errorf("the default does not validate: %v", err)
	}
	if got := loaded(t, `{}`); !reflect.DeepEqual(got, cfg) {
		t.Errorf("an empty object loads as\n%+v, want the default\n%+v", got, cfg)
	}
	want := Config{
		Hosts: []string{"127.0.0.1"}, Port: 9042, Keyspace: "ipfs_cluster", ClusterName: "ipfs-cluster", Replication: map[string]int{},
		Consistency: "linearizable", Schema: "apply", Compression: "none",
		RequestTimeout: 10 * time.Second,
		UnpinGrace:     24 * time.Hour,
		CheckEvery:     24 * time.Hour,
		StopShare:      0.5,
		TrustAll:       true, TrustedPeers: []peer.ID{},
	}
	if !reflect.DeepEqual(*cfg, want) {
		t.Errorf("default is\n%+v, want\n%+v", *cfg, want)
	}
}

func TestConfigLoadJSON(t *testing.T) {
	id, err := peer.Decode(testPeer)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Hosts: []string{"db1.example", "10.0.0.2", "::1"}, Port: 9142, Keyspace: "pins_2", ClusterName: "prod", LocalDC: "dc1",
		Replication: map[string]int{"dc1": 3, "dc2": 2}, Username: "cluster", Password: "top-secret",
		TLS:         TLSConfig{Enabled: true, CAFile: "ca.pem", CertFile: "/etc/peer.pem", KeyFile: "peer.key", ServerName: "db.example"},
		Consistency: "local-reads", Schema: "verify", Compression: "snappy", DisableShardAwarePort: true, ConnectTimeout: time.Minute, RequestTimeout: 6 * time.Second,
		UnpinGrace:   time.Hour,
		StopShare:    0.4,
		Zone:         "rack-1",
		TrustedPeers: []peer.ID{id},
	}
	got := loaded(t, fullConfig)
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("loaded\n%+v, want\n%+v", *got, want)
	}
	raw, err := got.ToJSON()
	if err != nil {
		t.Fatal(err)
	}
	if again := loaded(t, string(raw)); !reflect.DeepEqual(again, got) {
		t.Errorf("saved and loaded:\n%+v, want\n%+v", again, got)
	}
	var asWritten, asSaved any
	if err := json.Unmarshal([]byte(fullConfig), &asWritten); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &asSaved); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(asWritten, asSaved) {
		t.Errorf("saved as %s, want %s", raw, fullConfig)
	}
}

func TestConfigTrustedPeers(t *testing.T) {
	for text, want := range map[string]bool{
		`{"trusted_peers": []}`:                        false,
		`{"trusted_peers": ["*"]}`:                     true,
		`{"trusted_peers": ["` + testPeer + `", "*"]}`: true,
	} {
		cfg := loaded(t, text)
		if cfg.TrustAll != want || cfg.TrustedPeers == nil || len(cfg.TrustedPeers) != 0 {
			t.Errorf("%s: TrustAll %t, TrustedPeers %#v; want %t and an empty list", text, cfg.TrustAll, cfg.TrustedPeers, want)
		}
		raw, err := cfg.ToJSON()
		if err != nil {
			t.Fatal(err)
		}
		if again := loaded(t, string(raw)); !reflect.DeepEqual(again, cfg) {
			t.Errorf("%s: saved and loaded: %+v, want %+v", text, again, cfg)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`{"hosts": []}`, `state.scylla.hosts: is empty: name at least one database node`},
		{`{"hosts": null}`, `state.scylla.hosts: is empty: name at least one database node`},
		{`{"hosts": ["a", " "]}`, `state.scylla.hosts: holds an empty name: remove it or name a database node`},
		{`{"hosts": ["cql://db1:9042/x"]}`, `state.scylla.hosts: "cql://db1:9042/x" has a scheme: write only the name or address, as in "db1"`},
		{`{"hosts": ["db1:9042"]}`, `state.scylla.hosts: "db1:9042" has a port: write "db1" here and the port in state.scylla.port`},
		{`{"hosts": ["[::1]:9042"]}`, `state.scylla.hosts: "[::1]:9042" has a port: write "::1" here and the port in state.scylla.port`},
		{`{"hosts": ["db 1"]}`, `state.scylla.hosts: "db 1" is neither a host name nor an IP address`},
		{`{"hosts": "db1"}`, `state.scylla.hosts: a JSON string instead of a list of strings`},
		{`{"port": 0}`, `state.scylla.port: 0 is not a port: use 1 to 65535 (CQL servers listen on 9042)`},
		{`{"port": 65536}`, `state.scylla.port: 65536 is not a port: use 1 to 65535 (CQL servers listen on 9042)`},
		{`{"port": "9042"}`, `state.scylla.port: a JSON string instead of a whole number`},
		{`{"port": 9042.5}`, `state.scylla.port: a JSON number 9042.5 instead of a whole number`},
		{`{"keyspace": ""}`, `state.scylla.keyspace: "" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`},
		{`{"keyspace": "\"pins\""}`, `state.scylla.keyspace: "\"pins\"" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`},
		{`{"keyspace": "Pins"}`, `state.scylla.keyspace: "Pins" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`},
		{`{"keyspace": "pins\n"}`, `state.scylla.keyspace: "pins\n" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`},
		{`{"local_dc": "d'c"}`, `state.scylla.local_dc: "d'c" is not the name of a data centre: it has quotes, control characters or spaces around it`},
		{`{"replication": {"dc1": 0}}`, `state.scylla.replication: 0 replicas in data centre "dc1": use at least 1, or leave the data centre out`},
		{`{"replication": {"": 1}}`, `state.scylla.replication: "" is not the name of a data centre: it is empty or has quotes, control characters or spaces around it`},
		{`{"replication": 3}`, `state.scylla.replication: a JSON number instead of an object`},
		{`{"tls": {"enabled": "yes"}}`, `state.scylla.tls.enabled: a JSON string instead of true or false`},
		{`{"consistency": "one"}`, `state.scylla.consistency: "one" is unknown: use "linearizable" or "local-reads"`},
		{`{"schema": ""}`, `state.scylla.schema: "" is unknown: use "apply" or "verify"`},
		{`{"connect_timeout": "-1s"}`, `state.scylla.connect_timeout: -1s is negative: use 0s to wait for ever, or a longer time`},
		{`{"connect_timeout": "soon"}`, `state.scylla.connect_timeout: "soon" is not a duration: write a number and a unit, as in 500ms, 10s or 24h`},
		{`{"compression": "lz4"}`, `state.scylla.compression: "lz4" is unknown: use "none" or "snappy"`},
		{`{"disable_shard_aware_port": 1}`, `state.scylla.disable_shard_aware_port: a JSON number instead of true or false`},
		{`{"request_timeout": "10"}`, `state.scylla.request_timeout: "10" is not a duration: write a number and a unit, as in 500ms, 10s or 24h`},
		{`{"request_timeout": 10}`, `state.scylla.request_timeout: a JSON number instead of a string`},
		{`{"request_timeout": "4s"}`, `state.scylla.request_timeout: 4s cannot be used: use 5s, which a server may take for one row, to 5m0s, as 10s`},
		{`{"request_timeout": "0s"}`, `state.scylla.request_timeout: 0s cannot be used: use 5s, which a server may take for one row, to 5m0s, as 10s`},
		{`{"unpin_grace": "-24h"}`, `state.scylla.unpin_grace: -24h0m0s cannot be used: use 1h0m0s to 175200h0m0s, as 24h0m0s`},
		{`{"check_every": "1s"}`, `state.scylla.check_every: 1s cannot be used: use 1h0m0s or longer, as 24h0m0s, or 0s for never`},
		{`{"stop_share": 1.01}`, `state.scylla.stop_share: 1.01 cannot be used: use more than 0, and at most 1 for all peers, as 0.5 for half of them`},
		{`{"stop_share": 0}`, `state.scylla.stop_share: 0 cannot be used: use more than 0, and at most 1 for all peers, as 0.5 for half of them`},
		{`{"stop_share": -0.5}`, `state.scylla.stop_share: -0.5 cannot be used: use more than 0, and at most 1 for all peers, as 0.5 for half of them`},
		{`{"stop_share": "half"}`, `state.scylla.stop_share: a JSON string instead of a number`},
		{`{"zone": "EU-1"}`, `state.scylla.zone: "EU-1" cannot be used: start with a lower-case letter or digit and go on with at most 63 lower-case letters, digits, dots, dashes or underscores, the same on all peers that fail together`},
		{`{"zone": "rack 1"}`, `state.scylla.zone: "rack 1" cannot be used: start with a lower-case letter or digit and go on with at most 63 lower-case letters, digits, dots, dashes or underscores, the same on all peers that fail together`},
		{`{"check_every": "-24h"}`, `state.scylla.check_every: -24h0m0s cannot be used: use 1h0m0s or longer, as 24h0m0s, or 0s for never`},
		{`{"unpin_grace": "200000h"}`, `state.scylla.unpin_grace: 200000h0m0s cannot be used: use 1h0m0s to 175200h0m0s, as 24h0m0s`},
		{`{"trusted_peers": ["me"]}`, `state.scylla.trusted_peers: "me" is not a peer ID: write IDs such as 12D3KooW…, or "*" to trust all peers`},
		{`{"host": ["a"]}`, `state.scylla: unknown field "host": correct its name or remove it`},
		{`{"tls": {"verify": false}}`, `state.scylla: unknown field "verify": correct its name or remove it`},
		{`[]`, `state.scylla: a JSON array instead of an object: write {…}`},
		{`{} {}`, `state.scylla: something follows the JSON object: remove it`},
		{`{`, `state.scylla: not valid JSON: unexpected EOF`},
	} {
		cfg := loaded(t, fullConfig)
		before := *cfg
		err := cfg.LoadJSON([]byte(tc.text))
		if err == nil {
			t.Errorf("%s: loaded, want an error", tc.text)
			continue
		}
		if err.Error() != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.text, err, tc.want)
		}
		if !reflect.DeepEqual(*cfg, before) {
			t.Errorf("%s: was refused but changed the configuration", tc.text)
		}
	}
}

func TestConfigValidateAllRefusesHalfPairs(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`{"username": "u"}`, `state.scylla.password: is empty but username is set: set both, or none for a database without authentication`},
		{`{"password": "p"}`, `state.scylla.username: is empty but password is set: set both, or none for a database without authentication`},
		{`{"tls": {"ca_file": "ca.pem"}}`, `state.scylla.tls.enabled: is false but other tls settings are there: set it to true, or remove them`},
		{`{"tls": {"enabled": true, "cert_file": "c.pem"}}`, `state.scylla.tls.key_file: is empty but tls.cert_file is set: set both, or none`},
		{`{"tls": {"enabled": true, "key_file": "k.pem"}}`, `state.scylla.tls.cert_file: is empty but tls.key_file is set: set both, or none`},
	} {
		// The other half may still come from the environment.
		err := loaded(t, tc.text).ValidateAll()
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s:\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

func TestConfigAcceptsHosts(t *testing.T) {
	for _, host := range []string{"localhost", "db-1.example.org", "db1.example.org.", "cql_1", "10.1.2.3", "::1", "fe80::1%eth0", "7"} {
		raw, err := json.Marshal(map[string][]string{"hosts": {host}})
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded(t, string(raw)).Hosts; len(got) != 1 || got[0] != host {
			t.Errorf("host %q was loaded as %q", host, got)
		}
	}
}

func TestConfigResolvesFilesFromBaseDir(t *testing.T) {
	cfg := loaded(t, fullConfig)
	dir := t.TempDir()
	cfg.SetBaseDir(dir)
	for file, want := range map[string]string{
		cfg.TLS.CAFile:   filepath.Join(dir, "ca.pem"),
		cfg.TLS.CertFile: "/etc/peer.pem",
		"":               "",
	} {
		if got := cfg.resolve(file); got != want {
			t.Errorf("resolve(%q) = %q, want %q", file, got, want)
		}
	}
	if err := cfg.LoadJSON([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if cfg.BaseDir != dir {
		t.Errorf("loading changed BaseDir to %q, want %q", cfg.BaseDir, dir)
	}
}

// TestConfigInManager loads a whole service.json, as the daemon does.
func TestConfigInManager(t *testing.T) {
	t.Setenv("CLUSTER_SCYLLA_PASSWORD", "from-env")
	cfg := &Config{}
	man := config.NewManager()
	t.Cleanup(man.Shutdown)
	man.RegisterComponent(config.State, cfg)
	err := man.LoadJSON([]byte(`{"state": {"scylla": {"username": "u"}}}`))
	if err == nil || !strings.Contains(err.Error(), "no registered cluster section") {
		t.Fatalf("LoadJSON = %v, want it to get as far as the missing cluster section", err)
	}
	if !man.IsLoadedFromJSON(config.State, "scylla") || cfg.Username != "u" {
		t.Errorf("state.scylla was not loaded: %+v", cfg)
	}
	if err := man.ApplyEnvVars(); err != nil {
		t.Errorf("a password that comes from the environment: %v", err)
	}
	if cfg.Password != "from-env" {
		t.Errorf("password is %q, want the one of the environment", cfg.Password)
	}
}

func FuzzConfigLoadJSON(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(fullConfig))
	f.Add([]byte(`{"trusted_peers": ["11", "*"], "hosts": ["::1 "], "connect_timeout": "1h1.5s"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		cfg := &Config{}
		if err := cfg.LoadJSON(raw); err != nil {
			return
		}
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

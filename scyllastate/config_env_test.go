package scyllastate

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// clearEnv removes the variables of this component for one test.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, envPrefix+"_") {
			t.Setenv(name, "") // restores it after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestConfigEnv sets each field by its variable. A field that is added to the
// configuration without a case here fails the test.
func TestConfigEnv(t *testing.T) {
	clearEnv(t)
	cases := map[string]struct{ name, value, want string }{
		"hosts":                    {"CLUSTER_SCYLLA_HOSTS", "db1, db2", `["db1","db2"]`},
		"port":                     {"CLUSTER_SCYLLA_PORT", "9999", `9999`},
		"keyspace":                 {"CLUSTER_SCYLLA_KEYSPACE", "other", `"other"`},
		"local_dc":                 {"CLUSTER_SCYLLA_LOCALDC", "dc2", `"dc2"`},
		"replication":              {"CLUSTER_SCYLLA_REPLICATION", "dc1:1,dc2:5", `{"dc1":1,"dc2":5}`},
		"username":                 {"CLUSTER_SCYLLA_USERNAME", "u2", `"u2"`},
		"password":                 {"CLUSTER_SCYLLA_PASSWORD", "p2", `"p2"`},
		"tls.enabled":              {"CLUSTER_SCYLLA_TLS_ENABLED", "true", `true`},
		"tls.ca_file":              {"CLUSTER_SCYLLA_TLS_CAFILE", "ca2", `"ca2"`},
		"tls.cert_file":            {"CLUSTER_SCYLLA_TLS_CERTFILE", "cert2", `"cert2"`},
		"tls.key_file":             {"CLUSTER_SCYLLA_TLS_KEYFILE", "key2", `"key2"`},
		"tls.server_name":          {"CLUSTER_SCYLLA_TLS_SERVERNAME", "name2", `"name2"`},
		"cluster_name":             {"CLUSTER_SCYLLA_CLUSTERNAME", "name3", `"name3"`},
		"consistency":              {"CLUSTER_SCYLLA_CONSISTENCY", "local-reads", `"local-reads"`},
		"schema":                   {"CLUSTER_SCYLLA_SCHEMA", "verify", `"verify"`},
		"connect_timeout":          {"CLUSTER_SCYLLA_CONNECTTIMEOUT", "11s", `"11s"`},
		"compression":              {"CLUSTER_SCYLLA_COMPRESSION", "none", `"none"`},
		"disable_shard_aware_port": {"CLUSTER_SCYLLA_DISABLESHARDAWAREPORT", "false", `false`},
		"request_timeout":          {"CLUSTER_SCYLLA_REQUESTTIMEOUT", "12s", `"12s"`},
		"unpin_grace":              {"CLUSTER_SCYLLA_UNPINGRACE", "15h0m0s", `"15h0m0s"`},
		"check_every":              {"CLUSTER_SCYLLA_CHECKEVERY", "16h0m0s", `"16h0m0s"`},
		"stop_share":               {"CLUSTER_SCYLLA_STOPSHARE", "0.25", `0.25`},
		"zone":                     {"CLUSTER_SCYLLA_ZONE", "rack-2", `"rack-2"`},
		"trusted_peers":            {"CLUSTER_SCYLLA_TRUSTEDPEERS", testPeer, `["` + testPeer + `"]`},
	}
	names := jsonSection().Variables(reflect.TypeFor[configJSON]())
	for field, name := range names {
		tc, ok := cases[field]
		if !ok {
			t.Errorf("field %s has no case: add one", field)
			continue
		}
		if name != tc.name {
			t.Errorf("field %s has the variable %s, want %s", field, name, tc.name)
		}
	}
	if len(names) != len(cases) {
		t.Errorf("%d fields but %d cases", len(names), len(cases))
	}

	for field, tc := range cases {
		t.Run(field, func(t *testing.T) {
			from := fullConfig
			switch field {
			case "tls.enabled", "consistency", "schema", "trusted_peers":
				from = `{}` // because fullConfig has the value of the case
			}
			cfg := loaded(t, from)
			if got := savedField(t, cfg, field); got == tc.want {
				t.Fatalf("%s is %s before the variable is set", field, got)
			}
			t.Setenv(tc.name, tc.value)
			if err := cfg.ApplyEnvVars(); err != nil {
				t.Fatal(err)
			}
			if got := savedField(t, cfg, field); got != tc.want {
				t.Errorf("%s=%s gives %s, want %s", tc.name, tc.value, got, tc.want)
			}
			// Nothing else may change.
			want := loaded(t, from)
			if err := setField(want, field, tc.want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(cfg, want) {
				t.Errorf("%s changed more than its field:\n got %+v\nwant %+v", tc.name, cfg, want)
			}
		})
	}
}

// savedField returns one field of cfg as JSON.
func savedField(t *testing.T, cfg *Config, path string) string {
	t.Helper()
	raw, err := cfg.ToJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Split(path, ".") {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		raw = m[key]
	}
	var v any
	if len(raw) == 0 {
		return ""
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// setField sets one field of cfg through its JSON form.
func setField(cfg *Config, path, value string) error {
	raw, err := cfg.ToJSON()
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	inner := m
	section, key, nested := strings.Cut(path, ".")
	if nested {
		inner, path = m[section].(map[string]any), key
	}
	inner[path] = json.RawMessage(value)
	if raw, err = json.Marshal(m); err != nil {
		return err
	}
	return cfg.LoadJSON(raw)
}

func TestConfigEnvRefuses(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"CLUSTER_SCYLLA_PORT", "cql", `environment variable CLUSTER_SCYLLA_PORT: "cql" is not a whole number`},
		{"CLUSTER_SCYLLA_PORT", "0", `environment variable CLUSTER_SCYLLA_PORT: state.scylla.port: 0 is not a port: use 1 to 65535 (CQL servers listen on 9042)`},
		{"CLUSTER_SCYLLA_HOSTS", "", `environment variable CLUSTER_SCYLLA_HOSTS: state.scylla.hosts: is empty: name at least one database node`},
		{"CLUSTER_SCYLLA_REPLICATION", "3", `environment variable CLUSTER_SCYLLA_REPLICATION: "3" is not a list of data centres and replicas, as in dc1:3,dc2:3`},
		{"CLUSTER_SCYLLA_TLS_ENABLED", "maybe", `environment variable CLUSTER_SCYLLA_TLS_ENABLED: "maybe" is not true or false`},
		{"CLUSTER_SCYLLA_PASSWORD", "", `environment variable CLUSTER_SCYLLA_PASSWORD: state.scylla.password: is empty but username is set: set both, or none for a database without authentication`},
		{"CLUSTER_SCYLLA_USERNAME", "", `environment variable CLUSTER_SCYLLA_USERNAME: state.scylla.username: is empty but password is set: set both, or none for a database without authentication`},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			clearEnv(t)
			t.Setenv(tc.name, tc.value)
			cfg := loaded(t, fullConfig)
			err := cfg.ApplyEnvVars()
			if err == nil || err.Error() != tc.want {
				t.Errorf("\n got %v\nwant %s", err, tc.want)
			}
			if want := loaded(t, fullConfig); !reflect.DeepEqual(cfg, want) {
				t.Error("was refused but changed the configuration")
			}
		})
	}
}

// An error in a field that the environment did not set must not blame it.
func TestConfigEnvBlamesOnlyVariablesThatAreSet(t *testing.T) {
	clearEnv(t)
	err := loaded(t, `{"username": "u"}`).ApplyEnvVars()
	if err == nil || strings.Contains(err.Error(), envPrefix) {
		t.Errorf("got %v, want an error that names no environment variable", err)
	}
}

package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// minimal is a file to which anything may be added.
const minimal = `{"audit": {"folder": "f", "key_file": "k"}, "did": {"enabled": true}, "sessions": {"keys": [{"id": "1", "file": "s"}]}}`

// TestEnv sets each field by its variable. A field that is added to the configuration
// without a case here fails the test.
func TestEnv(t *testing.T) {
	cases := map[string]struct {
		value string
		set   func(*Config)
	}{
		"LISTEN":                   {"127.0.0.1:1", func(c *Config) { c.Listen = "127.0.0.1:1" }},
		"METRICS_LISTEN":           {"127.0.0.1:2", func(c *Config) { c.MetricsListen = "127.0.0.1:2" }},
		"SHUTDOWN_DELAY":           {"1s", func(c *Config) { c.ShutdownDelay = Duration(time.Second) }},
		"PUBLIC_URL":               {"https://p", func(c *Config) { c.PublicURL = "https://p" }},
		"TLS_CERT_FILE":            {"a", func(c *Config) { c.TLS.CertFile = "a" }},
		"TLS_KEY_FILE":             {"a", func(c *Config) { c.TLS.KeyFile = "a" }},
		"ENVIRONMENT":              {"test", func(c *Config) { c.Environment = Test }},
		"NAME":                     {"a", func(c *Config) { c.Name = "a" }},
		"REALM":                    {"a", func(c *Config) { c.Realm = "a" }},
		"TRUSTED_PROXIES":          {"10.0.0.0/8, 192.0.2.1", func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1"} }},
		"DATABASE_HOSTS":           {"db1,db2", func(c *Config) { c.Database.Hosts = []string{"db1", "db2"} }},
		"DATABASE_PORT":            {"9043", func(c *Config) { c.Database.Port = 9043 }},
		"DATABASE_KEYSPACE":        {"a", func(c *Config) { c.Database.Keyspace = "a" }},
		"DATABASE_LOCAL_DC":        {"a", func(c *Config) { c.Database.LocalDC = "a" }},
		"DATABASE_REPLICATION":     {"dc1:3, dc2:1", func(c *Config) { c.Database.Replication = map[string]int{"dc1": 3, "dc2": 1} }},
		"DATABASE_USERNAME":        {"a", func(c *Config) { c.Database.Username = "a" }},
		"DATABASE_PASSWORD_FILE":   {"a", func(c *Config) { c.Database.PasswordFile = "a" }},
		"DATABASE_TLS_ENABLED":     {"true", func(c *Config) { c.Database.TLS.Enabled = true }},
		"DATABASE_TLS_CA_FILE":     {"a", func(c *Config) { c.Database.TLS.CAFile = "a" }},
		"DATABASE_TLS_CERT_FILE":   {"a", func(c *Config) { c.Database.TLS.CertFile = "a" }},
		"DATABASE_TLS_KEY_FILE":    {"a", func(c *Config) { c.Database.TLS.KeyFile = "a" }},
		"DATABASE_TLS_SERVER_NAME": {"a", func(c *Config) { c.Database.TLS.ServerName = "a" }},
		"DATABASE_REQUEST_TIMEOUT": {"20s", func(c *Config) { c.Database.RequestTimeout = Duration(20 * time.Second) }},
		"DATABASE_CONNECT_TIMEOUT": {"1m", func(c *Config) { c.Database.ConnectTimeout = Duration(time.Minute) }},
		"DATABASE_SCHEMA":          {"verify", func(c *Config) { c.Database.Schema = "verify" }},
		"PEERS_URLS":               {"http://a,http://b", func(c *Config) { c.Peers.URLs = []string{"http://a", "http://b"} }},
		"PEERS_USERNAME":           {"a", func(c *Config) { c.Peers.Username = "a" }},
		"PEERS_PASSWORD_FILE":      {"a", func(c *Config) { c.Peers.PasswordFile = "a" }},
		"PEERS_CA_FILE":            {"a", func(c *Config) { c.Peers.CAFile = "a" }},
		"PINS_REPL_MIN":            {"-1", func(c *Config) { c.Pins.ReplMin = -1 }},
		"PINS_REPL_MAX":            {"-1", func(c *Config) { c.Pins.ReplMax = -1 }},
		"PINS_MAX_REPL":            {"9", func(c *Config) { c.Pins.MaxRepl = 9 }},
		"ISSUERS":                  {`[{"url": "https://id"}]`, func(c *Config) { c.Issuers = []Issuer{{URL: "https://id"}} }},
		"API_KEYS_PEPPERS":         {`[{"version": 3, "file": "p"}]`, func(c *Config) { c.APIKeys.Peppers = []Pepper{{3, "p"}} }},
		"API_KEYS_CURRENT_PEPPER":  {"3", func(c *Config) { c.APIKeys.CurrentPepper = 3 }},
		"API_KEYS_REQUIRE_EXPIRY":  {"false", func(c *Config) { c.APIKeys.RequireExpiry = false }},
		"DID_ENABLED":              {"false", func(c *Config) { c.DID.Enabled = false }},
		"SIWE_ENABLED":             {"true", func(c *Config) { c.SIWE.Enabled = true }},
		"SIWE_CHAINS":              {"1, 137", func(c *Config) { c.SIWE.Chains = []uint64{1, 137} }},
		"SESSIONS_KEYS": {`[{"id": "2", "file": "s2", "from": "2026-01-31T12:00:00Z"}]`, func(c *Config) {
			c.Sessions.Keys = []SessionKey{{ID: "2", File: "s2", From: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}}
		}},
		"SESSIONS_LIFETIME":           {"5m", func(c *Config) { c.Sessions.Lifetime = Duration(5 * time.Minute) }},
		"POLICIES_FOLDER":             {"a", func(c *Config) { c.Policies.Folder = "a" }},
		"POLICIES_WITHOUT_ROLES":      {"true", func(c *Config) { c.Policies.WithoutRoles = true }},
		"POLICIES_RELOAD_EVERY":       {"1m", func(c *Config) { c.Policies.ReloadEvery = Duration(time.Minute) }},
		"AUDIT_FOLDER":                {"", func(c *Config) { c.Audit.Folder = "" }},
		"AUDIT_WRITER":                {"a", func(c *Config) { c.Audit.Writer = "a" }},
		"AUDIT_KEY_FILE":              {"a", func(c *Config) { c.Audit.KeyFile = "a" }},
		"AUDIT_TABLE":                 {"true", func(c *Config) { c.Audit.Table = true }},
		"AUDIT_TABLE_RETENTION":       {"2160h", func(c *Config) { c.Audit.TableRetention = Duration(2160 * time.Hour) }},
		"AUDIT_RECORD_READS":          {"true", func(c *Config) { c.Audit.RecordReads = true }},
		"LIMITS_PRINCIPAL_PER_SECOND": {"0.5", func(c *Config) { c.Limits.Principal.PerSecond = 0.5 }},
		"LIMITS_PRINCIPAL_BURST":      {"7", func(c *Config) { c.Limits.Principal.Burst = 7 }},
		"LIMITS_TENANT_PER_SECOND":    {"0.5", func(c *Config) { c.Limits.Tenant.PerSecond = 0.5 }},
		"LIMITS_TENANT_BURST":         {"7", func(c *Config) { c.Limits.Tenant.Burst = 7 }},
		"LIMITS_FAILURES_PER_SECOND":  {"0.5", func(c *Config) { c.Limits.Failures.PerSecond = 0.5 }},
		"LIMITS_FAILURES_BURST":       {"7", func(c *Config) { c.Limits.Failures.Burst = 7 }},
		"LIMITS_MAX_ADD_BYTES":        {"5000000000", func(c *Config) { c.Limits.MaxAddBytes = 5e9 }},
		"EVENTS_URLS":                 {"nats://a", func(c *Config) { c.Events.URLs = []string{"nats://a"} }},
		"EVENTS_CLUSTER":              {"a", func(c *Config) { c.Events.Cluster = "a" }},
		"EVENTS_PREFIX":               {"a", func(c *Config) { c.Events.Prefix = "a" }},
		"EVENTS_CREDENTIALS_FILE":     {"a", func(c *Config) { c.Events.CredentialsFile = "a" }},
		"EVENTS_NKEY_FILE":            {"a", func(c *Config) { c.Events.NKeyFile = "a" }},
		"EVENTS_CA_FILE":              {"a", func(c *Config) { c.Events.CAFile = "a" }},
		"EVENTS_CERT_FILE":            {"a", func(c *Config) { c.Events.CertFile = "a" }},
		"EVENTS_KEY_FILE":             {"a", func(c *Config) { c.Events.KeyFile = "a" }},
	}
	fields := make(map[string]string) // by variable
	for field, name := range Program().Variables(new(Config)) {
		if other, twice := fields[name]; twice {
			t.Errorf("%s is of %s and of %s", name, field, other)
		}
		fields[name] = field
		if _, ok := cases[strings.TrimPrefix(name, Prefix)]; !ok || name == FileVariable || name == LevelVariable {
			t.Errorf("field %s has the variable %s, which is not tested, or of others", field, name)
		}
	}
	for name, tc := range cases {
		field, known := fields[Prefix+name]
		if !known {
			t.Errorf("there is no variable %s", name)
			continue
		}
		want := Default()
		if problems, _ := Program().Decode([]byte(minimal), nil, &want); len(problems) > 0 {
			t.Fatal(problems)
		}
		got := want
		problems, set := Program().Decode([]byte("{}"), []string{"HOME=/root", Prefix + name + "=" + tc.value, FileVariable + "=x"}, &got)
		tc.set(&want)
		if len(problems) > 0 || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(set, map[string]string{field: Prefix + name}) {
			t.Errorf("%s: got\n%+v\nwant\n%+v\n%v %v", name, got, want, set, problems)
		}
	}
}

// TestBadEnv is what is said of variables that cannot be used.
func TestBadEnv(t *testing.T) {
	for variable, want := range map[string]string{
		"LISTENS=x":                         "environment variable PIN_GATEWAY_LISTENS sets nothing: did you mean PIN_GATEWAY_LISTEN?",
		"PEERS_PASSWORD=hunter2":            "environment variable PIN_GATEWAY_PEERS_PASSWORD sets nothing: did you mean PIN_GATEWAY_PEERS_PASSWORD_FILE?",
		"TLS_CERTFILE=x":                    "environment variable PIN_GATEWAY_TLS_CERTFILE sets nothing: did you mean PIN_GATEWAY_TLS_CERT_FILE?",
		"EVENTS_C_FILE=x":                   "environment variable PIN_GATEWAY_EVENTS_C_FILE sets nothing: did you mean PIN_GATEWAY_EVENTS_CA_FILE?",
		"FOLDER=x":                          "environment variable PIN_GATEWAY_FOLDER sets nothing: correct its name, or remove it",
		"WIBBLE_WOBBLE=x":                   "environment variable PIN_GATEWAY_WIBBLE_WOBBLE sets nothing: correct its name, or remove it",
		"DATABASE_PORT=cql":                 "database.port (PIN_GATEWAY_DATABASE_PORT) is not a whole number: write it as in 10",
		"DATABASE_PORT=":                    "database.port (PIN_GATEWAY_DATABASE_PORT) is not a whole number: write it as in 10",
		"DATABASE_TLS_ENABLED=yes":          "database.tls.enabled (PIN_GATEWAY_DATABASE_TLS_ENABLED) is not true or false: write it as in true",
		"DATABASE_REPLICATION=3":            "database.replication (PIN_GATEWAY_DATABASE_REPLICATION) is not a list of data centres and replicas: write it as in dc1:3,dc2:3",
		"DATABASE_REPLICATION=a:1,a:2":      "database.replication (PIN_GATEWAY_DATABASE_REPLICATION) is not a list of data centres and replicas: write it as in dc1:3,dc2:3",
		"SIWE_CHAINS=1;137":                 "siwe.chains (PIN_GATEWAY_SIWE_CHAINS) is not a list of whole numbers: write it as in 1,2",
		"SESSIONS_LIFETIME=15":              "sessions.lifetime (PIN_GATEWAY_SESSIONS_LIFETIME) is not a duration: write it as in 10s",
		"LIMITS_TENANT_PER_SECOND=1/s":      "limits.tenant.per_second (PIN_GATEWAY_LIMITS_TENANT_PER_SECOND) is not a number: write it as in 0.5",
		"ISSUERS=https://id":                "issuers (PIN_GATEWAY_ISSUERS) is not JSON: write a list of objects, or put it into the file",
		`ISSUERS=[{"uri": "https://id"}]`:   "issuers[0].uri (PIN_GATEWAY_ISSUERS) is not a setting: did you mean url?",
		`ISSUERS={}`:                        `issuers (PIN_GATEWAY_ISSUERS) is not a list of objects: write it as in [{"name": "value"}]`,
		"SESSIONS_LIFETIME=1h":              "sessions.lifetime (PIN_GATEWAY_SESSIONS_LIFETIME) 1h0m0s cannot be used: use 1s to 15m0s",
		"PEERS_URLS=http://a,http://u:pw@b": "peers.urls[1] (PIN_GATEWAY_PEERS_URLS) has a user or a password in it: secrets are in files of their own",
		"LIMITS_TENANT_PER_SECOND=NaN":      "limits.tenant.per_second (PIN_GATEWAY_LIMITS_TENANT_PER_SECOND) NaN cannot be used: use 0.000001 to 1000000, or 0 for no limit",
		"DATABASE_KEYSPACE=Pins":            `database.keyspace (PIN_GATEWAY_DATABASE_KEYSPACE) "Pins" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores`,
	} {
		_, err := Parse([]byte(minimal), "", []string{Prefix + variable})
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", variable, err, want)
		}
	}
}

// TestVariablesOfKubernetes: a service with the name pin-gateway sets them in all containers.
func TestVariablesOfKubernetes(t *testing.T) {
	theirs := []string{
		"SERVICE_HOST=10.0.0.1", "SERVICE_PORT=443", "SERVICE_PORT_HTTPS=443", "PORT=tcp://10.0.0.1:443", "PORT_443_TCP=tcp://10.0.0.1:443",
		"PORT_443_TCP_PROTO=tcp", "PORT_443_TCP_PORT=443", "PORT_443_TCP_ADDR=10.0.0.1",
	}
	var environ []string
	for _, kv := range theirs {
		environ = append(environ, Prefix+kv)
	}
	if _, err := Parse([]byte(minimal), "", environ); err != nil {
		t.Error(err)
	}
	for _, ours := range []string{"PORTS=1", "PORT_X=1", "SERVICE=1"} {
		if _, err := Parse([]byte(minimal), "", []string{Prefix + ours}); err == nil {
			t.Errorf("%s was overlooked", ours)
		}
	}
}

// TestNoSecretIsShown: who writes a secret where it does not belong finds it in no log.
func TestNoSecretIsShown(t *testing.T) {
	const secret = "hunter2"
	for _, text := range []string{
		`{"peers": {"password": "hunter2"}}`, `{"peers": {"urls": ["http://u:hunter2@a"]}}`, `{"peers": {"urls": ["http://u:hunter2@a b"]}}`,
		`{"events": {"urls": ["nats://hunter2@a"]}}`, `{"public_url": "https://u:hunter2@a"}`, `{"public_url": "https://u:hunter2@a:b"}`,
		`{"issuers": [{"url": "https://u:hunter2@a"}]}`, `{"issuers": [{"url": "https://id", "audiences": ["a"], "fixed_tenant": "t", "jwks_url": "https://u:hunter2@a"}]}`,
	} {
		if _, err := Parse([]byte(text), "", nil); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, variable := range []string{"PEERS_PASSWORD", "ISSUERS", "PEERS_URLS", "DATABASE_PORT", "SESSIONS_LIFETIME"} {
		_, err := Parse([]byte(minimal), "", []string{Prefix + variable + "=" + secret})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestVariables(t *testing.T) {
	names := Program().Variables(new(Config))
	for field, want := range map[string]string{"listen": "PIN_GATEWAY_LISTEN", "tls.cert_file": "PIN_GATEWAY_TLS_CERT_FILE", "database.tls.ca_file": "PIN_GATEWAY_DATABASE_TLS_CA_FILE"} {
		if names[field] != want {
			t.Errorf("the variable of %s is %s, want %s", field, names[field], want)
		}
	}
	for _, field := range []string{"folder", "tls", "database.folder", "issuers[].url"} {
		if name, has := names[field]; has {
			t.Errorf("%s, which is no value of its own, has the variable %s", field, name)
		}
	}
}

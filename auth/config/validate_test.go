package config

import (
	"strings"
	"testing"
	"time"
)

// good returns a configuration that is valid and has all that goes together.
func good() Config {
	c := Default()
	c.Listen, c.PublicURL, c.TLS = ":443", "https://pins.example.com", TLS{"cert.pem", "key.pem"}
	c.MetricsListen = "0.0.0.0:9099"
	c.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}
	c.Peers = Peers{[]string{"https://peer1:9094", "https://peer2:9094/cluster", "unix:///run/cluster.sock"}, "gateway", "peer-password", "ca.pem"}
	c.Pins = Pins{2, 3, 5}
	c.Issuers = []Issuer{
		{
			URL: "https://id.example.com/realms/ipfs", Audiences: []string{"pinning-api"}, TenantClaim: "tenant", Tenants: []string{"acme"},
			RolesClaims: []string{"/realm_access/roles"}, GroupsClaims: []string{"groups"}, ScopesClaims: []string{"scope"},
			LoginClient: "pinning-web", LoginSecretFile: "login-secret", LoginScopes: []string{"profile", "https://x/y"}, LoginAudience: "pinning-api",
		},
		{URL: "https://other.example.com/", Audiences: []string{"pins"}, Algorithms: []string{"ES256"}, FixedTenant: "other", MaxLifetime: Duration(time.Hour)},
	}
	c.APIKeys.Peppers = []Pepper{{1, "pepper-1"}, {2, "pepper-2"}}
	c.DID.Enabled, c.SIWE.Enabled = true, true
	c.Sessions.Keys = []SessionKey{{ID: "1", File: "session-1.pem"}}
	c.Policies.Folder, c.Policies.WithoutRoles = "policies", true
	c.Audit = Audit{Folder: "audit", Writer: "gateway-1", KeyFile: "audit.pem", Table: true}
	c.Events = Events{URLs: []string{"tls://nats1:4222"}, Cluster: "ipfs-cluster", CredentialsFile: "nats.creds"}
	return c
}

// TestValidate breaks one thing after the other and wants exactly what is said of it.
func TestValidate(t *testing.T) {
	must(t, good().Validate())
	for want, change := range map[string]func(*Config){
		`listen "here" is not an address and a port: write it as in 127.0.0.1:9098`: func(c *Config) { c.Listen = "here" },
		`listen "here:http" has no port: use 0 to 65535`:                            func(c *Config) { c.Listen = "here:http" },
		`listen ":65536" has no port: use 0 to 65535`:                               func(c *Config) { c.Listen = ":65536" },

		`public_url is not a URL: write https:// and the host that clients know`:                                                                func(c *Config) { c.PublicURL = "pins.example.com" },
		`public_url names a user: remove it`:                                                                                                    func(c *Config) { c.PublicURL = "https://a:b@pins" },
		`public_url "https://pins/" goes on after the host: remove what follows, and a slash at the end, too`:                                   func(c *Config) { c.PublicURL = "https://pins/" },
		`public_url "https://pins?" goes on after the host: remove what follows, and a slash at the end, too`:                                   func(c *Config) { c.PublicURL = "https://pins?" },
		`public_url "https://pins#" goes on after the host: remove what follows, and a slash at the end, too`:                                   func(c *Config) { c.PublicURL = "https://pins#" },
		`public_url "http://pins" is not encrypted: use https://, as http:// is for this machine only`:                                          func(c *Config) { c.PublicURL = "http://pins" },
		`public_url "ftp://pins" is neither https:// nor http://: use https://`:                                                                 func(c *Config) { c.PublicURL = "ftp://pins" },
		`tls.key_file is empty but tls.cert_file is set: set both, or none`:                                                                     func(c *Config) { c.TLS.KeyFile = "" },
		`tls.cert_file is empty but tls.key_file is set: set both, or none`:                                                                     func(c *Config) { c.TLS.CertFile = "" },
		`environment "prod" is unknown: use "live" or "test"`:                                                                                   func(c *Config) { c.Environment = "prod" },
		`name "A" cannot be used: use at most 32 lower-case letters, digits and dashes`:                                                         func(c *Config) { c.Name = "A" },
		`realm "a\"b" cannot be used: use at most 100 letters, digits and signs of ASCII, without quotes and backslashes`:                       func(c *Config) { c.Realm = `a"b` },
		`realm "a\\b" cannot be used: use at most 100 letters, digits and signs of ASCII, without quotes and backslashes`:                       func(c *Config) { c.Realm = `a\b` },
		`trusted_proxies[1] "proxy" is not a network: write it as in 10.0.0.0/8, or an address`:                                                 func(c *Config) { c.TrustedProxies[1] = "proxy" },
		`trusted_proxies[0] 0.0.0.0/0 is everybody, who could then say to come from anywhere: name the networks of the proxies`:                 func(c *Config) { c.TrustedProxies[0] = "10.0.0.1/0" },
		`database.hosts is empty: name at least one database node`:                                                                              func(c *Config) { c.Database.Hosts = nil },
		`peers.urls is empty: name the REST API of at least one peer, as http://127.0.0.1:9094`:                                                 func(c *Config) { c.Peers.URLs = nil },
		`peers.urls[1] is not a URL: write it as in http://host:port`:                                                                           func(c *Config) { c.Peers.URLs[1] = "peer2" },
		`peers.urls[0] has a user or a password in it: secrets are in files of their own`:                                                       func(c *Config) { c.Peers.URLs[0] = "https://a:b@peer" },
		`peers.urls[0] ftp://peer is of another kind: use http:// or https:// or unix://`:                                                       func(c *Config) { c.Peers.URLs[0] = "ftp://peer" },
		`peers.urls[0] has a query or a fragment: remove it`:                                                                                    func(c *Config) { c.Peers.URLs[0] = "https://peer?a" },
		`peers.urls[0] is not a URL: write it as in http://host:port`:                                                                           func(c *Config) { c.Peers.URLs[0] = "unix://" },
		`peers.username has a colon, which basic authentication has no way to send: use another`:                                                func(c *Config) { c.Peers.Username = "a:b" },
		`pins.max_repl 2 is negative or below pins.repl_max: use 0 for the default, or more`:                                                    func(c *Config) { c.Pins.MaxRepl = 2 },
		`pins.max_repl -1 is negative or below pins.repl_max: use 0 for the default, or more`:                                                   func(c *Config) { c.Pins.MaxRepl = -1 },
		`pins.repl_min 3 and pins.repl_max 2 do not go together: use 1 or more with repl_min not above repl_max, or -1 for both, or 0 for both`: func(c *Config) { c.Pins.ReplMin, c.Pins.ReplMax = 3, 2 },
		`peers.ca_file is set, and http://peer is not https://: use https://, or remove it`:                                                     func(c *Config) { c.Peers.URLs[0] = "http://peer" },
		`peers.password_file is empty but peers.username is set: set both, or none`:                                                             func(c *Config) { c.Peers.PasswordFile = "" },
		`peers.username is empty but peers.password_file is set: set both, or none`:                                                             func(c *Config) { c.Peers.Username = "" },
		`api_keys.peppers[0] has the version 0: use 1 or more`:                                                                                  func(c *Config) { c.APIKeys.Peppers[0].Version = 0 },
		`api_keys.peppers[1] has the version 1 of another: give it the next one`:                                                                func(c *Config) { c.APIKeys.Peppers[1].Version = 1 },
		`api_keys.peppers[1] has no file: name the file with the pepper`:                                                                        func(c *Config) { c.APIKeys.Peppers[1].File = "" },
		`api_keys.current_pepper is 3, and there is no such pepper: use the version of one of api_keys.peppers, or 0`:                           func(c *Config) { c.APIKeys.CurrentPepper = 3 },
		`siwe.chains is empty: name at least one chain, as 1 for Ethereum's main one`:                                                           func(c *Config) { c.SIWE.Chains = nil },
		`siwe.chains[1] is 0, which is no chain: remove it`:                                                                                     func(c *Config) { c.SIWE.Chains = []uint64{1, 0} },
		`sessions.keys is empty but did.enabled is true: name a file with a key`:                                                                func(c *Config) { c.Sessions.Keys, c.SIWE.Enabled, c.Issuers = nil, false, nil },
		`sessions.keys is empty but siwe.enabled is true: name a file with a key`:                                                               func(c *Config) { c.Sessions.Keys, c.DID.Enabled, c.Issuers = nil, false, nil },
		`sessions.keys[0] has no id: give it a name`:                                                                                            func(c *Config) { c.Sessions.Keys[0].ID = "" },
		`sessions.keys[0] has no file: name the file with the key`:                                                                              func(c *Config) { c.Sessions.Keys[0].File = "" },
		`sessions.keys[0] ends before it begins: correct from or until`:                                                                         func(c *Config) { c.Sessions.Keys[0].From, c.Sessions.Keys[0].Until = time.Unix(9, 0), time.Unix(9, 0) },
		`sessions.keys[1] has the id "1" of another: give it one of its own`:                                                                    func(c *Config) { c.Sessions.Keys = append(c.Sessions.Keys, c.Sessions.Keys[0]) },
		`shutdown_delay -1s cannot be used: use 0s to 5m0s`:                                                                                     func(c *Config) { c.ShutdownDelay = Duration(-time.Second) },
		`shutdown_delay 6m0s cannot be used: use 0s to 5m0s`:                                                                                    func(c *Config) { c.ShutdownDelay = Duration(6 * time.Minute) },
		`sessions.lifetime 16m0s cannot be used: use 1s to 15m0s`:                                                                               func(c *Config) { c.Sessions.Lifetime = Duration(16 * time.Minute) },
		`sessions.lifetime 0s cannot be used: use 1s to 15m0s`:                                                                                  func(c *Config) { c.Sessions.Lifetime = 0 },
		`policies.without_roles is true and policies.folder is empty, so that nobody may do anything: set it to false, or name a folder`:        func(c *Config) { c.Policies.Folder = "" },
		`policies.reload_every 1ms cannot be used: use 1s or more`:                                                                              func(c *Config) { c.Policies.ReloadEvery = Duration(time.Millisecond) },
		`audit.folder is empty and audit.table is false, so that nothing is recorded: set one of them`:                                          func(c *Config) { c.Audit.Folder, c.Audit.Table = "", false },
		`audit.key_file is empty: name a file with a key, which signs checkpoints of the records`:                                               func(c *Config) { c.Audit.KeyFile = "" },
		`audit.writer "-a" cannot be used: use at most 64 lower-case letters, digits and dashes`:                                                func(c *Config) { c.Audit.Writer = "-a" },
		`limits.tenant.per_second -1 cannot be used: use 0.000001 to 1000000, or 0 for no limit`:                                                func(c *Config) { c.Limits.Tenant.PerSecond = -1 },
		`limits.max_add_bytes 0 lets nothing through: use 1 or more`:                                                                            func(c *Config) { c.Limits.MaxAddBytes = 0 },
		`limits.failures.burst 0 lets nothing through: use 1 or more`:                                                                           func(c *Config) { c.Limits.Failures.Burst = 0 },
		`limits.principal.burst -1 lets nothing through: use 1 or more`:                                                                         func(c *Config) { c.Limits.Principal.Burst = -1 },
		`events.urls[0] http://nats is of another kind: use nats:// or tls://`:                                                                  func(c *Config) { c.Events.URLs[0] = "http://nats" },
		`events.urls[0] has a user or a password in it: secrets are in files of their own`:                                                      func(c *Config) { c.Events.URLs[0] = "nats://token@nats" },
		`events.cluster is empty: name the cluster whose events they are`:                                                                       func(c *Config) { c.Events.Cluster = "" },
		`events.nkey_file is set beside events.credentials_file: keep one of them`:                                                              func(c *Config) { c.Events.NKeyFile = "seed" },
		`events.key_file is empty but events.cert_file is set: set both, or none`:                                                               func(c *Config) { c.Events.CertFile = "cert" },
		`events.prefix "A.b" cannot be used: use at most 32 lower-case letters, digits, dashes and underscores`:                                 func(c *Config) { c.Events.Prefix = "A.b" },
		`audit.table_retention -1s cannot be used: use whole seconds up to 175200h0m0s, or 0s to keep records for ever`:                         func(c *Config) { c.Audit.TableRetention = Duration(-time.Second) },
		`metrics_listen "9099" is not an address and a port: write it as in 127.0.0.1:9099`:                                                     func(c *Config) { c.MetricsListen = "9099" },
		`metrics_listen "localhost:x" has no port: use 0 to 65535`:                                                                              func(c *Config) { c.MetricsListen = "localhost:x" },
		`metrics_listen ":9099" would tell everybody who reaches this machine: use 127.0.0.1:9099, or 0.0.0.0:9099 if that is meant`: func(c *Config) {
			c.MetricsListen = ":9099"
		},

		`issuers[0].url is not a URL: write what its tokens have as iss`:                       func(c *Config) { c.Issuers[0].URL = "id" },
		`issuers[0].url has a user or a password in it: remove it`:                             func(c *Config) { c.Issuers[0].URL = "https://a:b@id" },
		`issuers[1].url "https://id.example.com/realms/ipfs" is there twice: keep one of them`: func(c *Config) { c.Issuers[1].URL = c.Issuers[0].URL },
		`issuers[0].login_secret_file is set and login_client is empty: set both, or remove it`: func(c *Config) {
			c.Issuers[0].LoginClient, c.Issuers[0].LoginScopes, c.Issuers[0].LoginAudience = "", nil, ""
		},
		`issuers[0].login_scopes is set and login_client is empty: set both, or remove it`: func(c *Config) {
			c.Issuers[0].LoginClient, c.Issuers[0].LoginSecretFile, c.Issuers[0].LoginAudience = "", "", ""
		},
		`issuers[1].login_audience is set and login_client is empty: set both, or remove it`:                                                    func(c *Config) { c.Issuers[1].LoginAudience = "a" },
		`issuers[0].login_scopes[1] "profile email" is not the name of a scope: write each as one of the list`:                                  func(c *Config) { c.Issuers[0].LoginScopes[1] = "profile email" },
		`issuers[0].clients has no "pinning-web", so that the tokens of its logins would be refused: add it`:                                    func(c *Config) { c.Issuers[0].Clients = []string{"cli"} },
		`sessions.keys is empty but issuers[0].login_client is set: name a file with a key`:                                                     func(c *Config) { c.Sessions.Keys, c.DID.Enabled, c.SIWE.Enabled = nil, false, false },
		`issuers[0].jwks_url is not a URL without a user: correct it, or remove it so that the issuer tells`:                                    func(c *Config) { c.Issuers[0].JWKSURL = "https://a:b@id/keys" },
		`issuers[0].allow_http is true, so that who is between could say who anybody is: use https://, or environment "test"`:                   func(c *Config) { c.Issuers[0].AllowHTTP = true },
		`issuers[0].audiences is empty: name what its tokens for this gateway have as aud`:                                                      func(c *Config) { c.Issuers[0].Audiences = nil },
		`issuers[0].tenant_claim is empty: name the claim with the tenant, or set fixed_tenant`:                                                 func(c *Config) { c.Issuers[0].TenantClaim = "" },
		`issuers[0].fixed_tenant is set beside tenant_claim: keep one of them`:                                                                  func(c *Config) { c.Issuers[0].FixedTenant = "acme" },
		`issuers[1].fixed_tenant is set beside tenants or any_tenant: remove those`:                                                             func(c *Config) { c.Issuers[1].AnyTenant = true },
		`issuers[0].tenants is empty: name those that it may speak for, or set any_tenant if it is trusted with all`:                            func(c *Config) { c.Issuers[0].Tenants = nil },
		`issuers[0].any_tenant is true beside tenants: keep one of them`:                                                                        func(c *Config) { c.Issuers[0].AnyTenant = true },
		`issuers[0].roles_claims "/a~b" is not the name of a claim or a path to one: "/a~b" is not a JSON Pointer: ~ stands before 0 or 1 only`: func(c *Config) { c.Issuers[0].RolesClaims = []string{"/a~b"} },
		`issuers[0].mfa_claim "/~" is not the name of a claim or a path to one: "/~" is not a JSON Pointer: ~ stands before 0 or 1 only`:        func(c *Config) { c.Issuers[0].MFAClaim = "/~" },
		`issuers[0].mfa_values has an empty text: name what says that there was more than one factor, or remove it`:                             func(c *Config) { c.Issuers[0].MFAValues = []string{""} },
		`issuers[0].tenant_claim "/~" is not the name of a claim or a path to one: "/~" is not a JSON Pointer: ~ stands before 0 or 1 only`:     func(c *Config) { c.Issuers[0].TenantClaim = "/~" },
		`issuers[0] "http://id" is not https`: func(c *Config) { c.Issuers[0].URL = "http://id" },
		`issuers[1] algorithm "HS256" is not one of [RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA]`: func(c *Config) { c.Issuers[1].Algorithms = []string{"HS256"} },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestEncryption: who is between must not read credentials.
func TestEncryption(t *testing.T) {
	const refused = "tls.cert_file is empty, and credentials would come to"
	for _, tc := range []struct {
		listen, environment string
		tls                 TLS
		proxies             []string
		ok                  bool
	}{
		{":8080", Live, TLS{}, nil, false},
		{"0.0.0.0:8080", Live, TLS{}, nil, false},
		{"[::]:8080", Live, TLS{}, nil, false},
		{"pins.example.com:8080", Live, TLS{}, nil, false},
		{"127.0.0.1:9098", Live, TLS{}, nil, true},
		{"[::1]:8080", Live, TLS{}, nil, true},
		{"localhost:8080", Live, TLS{}, nil, true},
		{":8080", Live, TLS{"c", "k"}, nil, true},
		{":8080", Live, TLS{}, []string{"10.0.0.1"}, true},
		{":8080", Test, TLS{}, nil, true},
	} {
		c := good()
		c.Listen, c.Environment, c.TLS, c.TrustedProxies = tc.listen, tc.environment, tc.tls, tc.proxies
		err := c.Validate()
		if (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), refused) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

func TestMostCopies(t *testing.T) {
	for pins, want := range map[Pins]int{{}: 3, {ReplMin: -1, ReplMax: -1}: 3, {ReplMin: 2, ReplMax: 5}: 5, {MaxRepl: 9}: 9, {MaxRepl: 2}: 2} {
		if got := pins.Most(); got != want {
			t.Errorf("%+v: %d", pins, got)
		}
	}
}

package config

import (
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// FileName is that of the configuration unless told otherwise.
const FileName = "pin-gateway.json"

// Values of Config.Environment.
const (
	// Live is for what is used.
	Live = "live"
	// Test is for trying it: what only protects secrets on their way is not asked for.
	Test = "test"
)

// Config is what one instance of the gateway is told. All instances have the same, but for
// Listen, TLS, Audit.Writer and what names a place near them. Names of files are relative to
// Folder.
type Config struct {
	// Listen is the address on which it listens, and a port, of which 0 is a free one:
	// "host:port", or ":port" for all addresses of this machine.
	Listen string `json:"listen"`
	// MetricsListen is the address on which it tells metrics at /metrics, whether it is ready at
	// /readyz, and profiles of it below /debug/pprof/, without encryption, to all who reach it:
	// "host:port", or "0.0.0.0:port" for all addresses of this machine. Empty means that it
	// tells nothing.
	MetricsListen string `json:"metrics_listen,omitempty"`
	// ShutdownDelay is how long it serves on when it was told to end, while /health answers 503:
	// as long as a load balancer takes to send no more requests. Up to "5m". "0s" ends at once.
	ShutdownDelay Duration `json:"shutdown_delay"`
	// PublicURL is how clients reach it: "https://" and a host, with a port if it is not 443.
	// "http://" is for loopback only. Signatures and logins are for it and nothing else,
	// whatever a request says of its host.
	PublicURL string `json:"public_url"`
	// TLS is what it encrypts connections with.
	TLS TLS `json:"tls"`
	// Environment is Live or Test. API keys have it in their text, and those of the other one
	// are refused. Under Test, credentials may be sent without encryption.
	Environment string `json:"environment"`
	// Name marks the cluster's pins that this gateway has made, and which alone it unpins. It
	// is never changed, and gateways of one cluster that do not share a keyspace have
	// different ones: at most 32 lower-case letters, digits and dashes.
	Name string `json:"name"`
	// Realm is what clients are told that they need a credential for: printable ASCII.
	Realm string `json:"realm"`
	// TrustedProxies are the networks of proxies in front of it, as "10.0.0.0/8", whose header
	// X-Forwarded-For says where a request comes from and X-Forwarded-Proto how. Empty means
	// that there is none.
	TrustedProxies []string `json:"trusted_proxies"`
	// Database is the gateway's own keyspace.
	Database cqlsection.Config `json:"database"`
	// Peers are the peers of the cluster behind it.
	Peers Peers `json:"peers"`
	// Pins is what pins have that a client does not ask for.
	Pins Pins `json:"pins"`
	// Issuers are whose tokens are taken. Empty means that no token is.
	Issuers []Issuer `json:"issuers"`
	// APIKeys are the keys that the gateway hands out.
	APIKeys APIKeys `json:"api_keys"`
	// DID is for those who prove to have a key.
	DID DID `json:"did"`
	// SIWE is for those who sign in with Ethereum.
	SIWE SIWE `json:"siwe"`
	// Sessions are what follows a login.
	Sessions Sessions `json:"sessions"`
	// Policies are an operator's own.
	Policies Policies `json:"policies"`
	// Audit is where it is recorded what was asked and what came of it.
	Audit Audit `json:"audit"`
	// Limits are how often something may be asked.
	Limits Limits `json:"limits"`
	// Events are where the cluster tells what becomes of pins.
	Events Events `json:"events"`

	// Folder is where names of files start that are not absolute. Load sets it to the folder
	// of the file. Empty means the working directory.
	Folder string `json:"-"`
}

// TLS is a certificate and its key.
type TLS struct {
	// CertFile is a file with a certificate for the host of PublicURL and those between it and
	// its authority, in PEM format. It is set together with TLS.KeyFile or not at all. Without
	// it a proxy of TrustedProxies encrypts connections, or they do not leave this machine.
	CertFile string `json:"cert_file,omitempty"`
	// KeyFile is a file with the key of that certificate, in PEM format.
	KeyFile string `json:"key_file,omitempty"`
}

// Peers are the peers behind the gateway.
type Peers struct {
	// URLs are those of the REST APIs of one or more peers of one cluster, the preferred first,
	// as "http://127.0.0.1:9094", or "unix:///run/cluster.sock" for a socket. One that does not
	// answer is asked last for a while. Nobody but gateways should reach them.
	URLs []string `json:"urls"`
	// Username is that of the peers' basic authentication. It is set together with
	// Peers.PasswordFile or not at all.
	Username string `json:"username,omitempty"`
	// PasswordFile is a file with the password of that user. A line break at its end does not
	// belong to the password.
	PasswordFile string `json:"password_file,omitempty"`
	// CAFile is a file with the certificates of the authorities that are accepted, in PEM
	// format. Empty means those of the operating system.
	CAFile string `json:"ca_file,omitempty"`
}

// Pins is what pins have that a client does not ask for.
type Pins struct {
	// ReplMin is how many peers have a pin at least: -1 for all, 0 for the cluster's own
	// default. It is set together with ReplMax.
	ReplMin int `json:"repl_min"`
	// ReplMax is how many peers have a pin at most.
	ReplMax int `json:"repl_max"`
	// MaxRepl is how many peers a client may ask for, beside all: not more than the cluster
	// has. 0 means 3, or Pins.ReplMax if that is more.
	MaxRepl int `json:"max_repl"`
}

// mostCopies is how many peers a client may ask for by default.
const mostCopies = 3

// Most is how many peers a client may ask for.
func (p Pins) Most() int {
	if p.MaxRepl > 0 {
		return p.MaxRepl
	}
	return max(p.ReplMax, mostCopies)
}

// Issuer is somebody whose tokens are taken.
type Issuer struct {
	// URL is the claim iss of its tokens, to the byte, with the slash at its end if there is one.
	URL string `json:"url"`
	// Audiences are what the claim aud has one of: the gateway's own names at the issuer.
	Audiences []string `json:"audiences"`
	// Algorithms are those with which it signs. Empty means "RS256".
	Algorithms []string `json:"algorithms,omitempty"`
	// Clients are those, by claim azp or client_id, that tokens may have been issued to. Empty
	// means any.
	Clients []string `json:"clients,omitempty"`
	// TenantClaim is where a token names the tenant: the name of a claim, or a path that
	// begins with a slash, as "/resource_access/pins/tenant". A token that names none is refused.
	TenantClaim string `json:"tenant_claim,omitempty"`
	// FixedTenant is the tenant of all its tokens, in place of TenantClaim.
	FixedTenant string `json:"fixed_tenant,omitempty"`
	// Tenants are those that its tokens may name.
	Tenants []string `json:"tenants,omitempty"`
	// AnyTenant lets its tokens name any tenant, "system" included, whose principals run the
	// cluster. For an issuer that is trusted with all of them.
	AnyTenant bool `json:"any_tenant,omitempty"`
	// RolesClaims are where a token has roles, each written as TenantClaim is. All that are
	// there count.
	RolesClaims []string `json:"roles_claims,omitempty"`
	// GroupsClaims are where a token has groups.
	GroupsClaims []string `json:"groups_claims,omitempty"`
	// ScopesClaims are where a token has scopes. A token without any may do nothing.
	ScopesClaims []string `json:"scopes_claims,omitempty"`
	// MFAClaim is where a token says how its subject logged in, written as TenantClaim is, for
	// policies that look at principal.mfa: an array of texts or one text, as "acr". Empty means
	// "amr" (RFC 8176).
	MFAClaim string `json:"mfa_claim,omitempty"`
	// MFAValues are the texts of which one there says that it was by more than one factor: all
	// that do. Empty means "mfa".
	MFAValues []string `json:"mfa_values,omitempty"`
	// MaxLifetime is how far in the future a token may end. 0 means 24h.
	MaxLifetime Duration `json:"max_lifetime,omitempty"`
	// JWKSURL is that of its keys. Empty means that its discovery document tells.
	JWKSURL string `json:"jwks_url,omitempty"`
	// RefreshAfter is the age of keys at which they are fetched again. 0 means 5m.
	RefreshAfter Duration `json:"refresh_after,omitempty"`
	// MaxAge is the age of keys at which they are of no use, as the issuer has not answered
	// for so long. 0 means 1h.
	MaxAge Duration `json:"max_age,omitempty"`
	// AllowHTTP takes "http://" for it and its keys. Only with Test: who is between could say
	// who anybody is.
	AllowHTTP bool `json:"allow_http,omitempty"`
	// LoginClient is what the gateway is known by at the issuer, as the client with which
	// people log in by a browser. The issuer sends them back to PublicURL with
	// /auth/oidc/callback behind it, and gives that client access tokens with one of
	// Issuer.Audiences. Empty means that nobody logs in there.
	LoginClient string `json:"login_client,omitempty"`
	// LoginSecretFile is a file with the secret of that client. Empty means that it is a
	// public one.
	LoginSecretFile string `json:"login_secret_file,omitempty"`
	// LoginScopes are asked for at a login, beside "openid".
	LoginScopes []string `json:"login_scopes,omitempty"`
	// LoginAudience is asked for at a login, for issuers that are to be told whom an access
	// token is for, as Auth0 is.
	LoginAudience string `json:"login_audience,omitempty"`
}

// APIKeys are the keys that the gateway hands out.
type APIKeys struct {
	// Peppers are the secrets that make what is stored of a key useless by itself. Empty means
	// that there are no keys. One stays until the last key that was made with it has ended.
	Peppers []Pepper `json:"peppers"`
	// CurrentPepper is the version with which new keys are made. 0 means the highest one.
	CurrentPepper int `json:"current_pepper,omitempty"`
	// RequireExpiry refuses keys that do not end.
	RequireExpiry bool `json:"require_expiry"`
}

// Pepper is one of APIKeys.Peppers.
type Pepper struct {
	// Version is its number, from 1.
	Version int `json:"version"`
	// File is a file with it: 64 or more hexadecimal digits, as "openssl rand -hex 32" writes.
	File string `json:"file"`
}

// DID is for those who prove to have a key.
type DID struct {
	// Enabled takes logins and signed requests with the key of a did:key.
	Enabled bool `json:"enabled"`
}

// SIWE is for those who sign in with Ethereum.
type SIWE struct {
	// Enabled takes logins with the key of an Ethereum address (EIP-4361).
	Enabled bool `json:"enabled"`
	// Chains are the ids of the chains for which a login may be.
	Chains []uint64 `json:"chains"`
}

// Sessions are what follows a login.
type Sessions struct {
	// Keys sign sessions. Empty means that there are none, and no logins.
	Keys []SessionKey `json:"keys"`
	// Lifetime is how long a session is good for, at most 15m.
	Lifetime Duration `json:"lifetime"`
}

// SessionKey is one of Sessions.Keys.
type SessionKey struct {
	// ID is its name in tokens.
	ID string `json:"id"`
	// File is a file with it, as "openssl genpkey -algorithm ed25519" writes.
	File string `json:"file"`
	// From is when it begins to sign, as "2026-01-31T12:00:00Z": of those that have begun, the
	// last one signs. Give a new key to all instances before it begins.
	From time.Time `json:"from,omitzero"`
	// Until is when what it signed is no longer good.
	Until time.Time `json:"until,omitzero"`
}

// Policies are an operator's own.
type Policies struct {
	// Folder is one with policies in files that end in .cedar and their tests, and a manifest,
	// which "pin-gateway policy seal" writes; or the name of one such file. Empty means that
	// there are none but those of the gateway.
	Folder string `json:"folder,omitempty"`
	// WithoutRoles leaves out the roles of the gateway: who may do what is then said in
	// Policies.Folder.
	WithoutRoles bool `json:"without_roles"`
	// ReloadEvery is how often it is looked whether they have changed.
	ReloadEvery Duration `json:"reload_every"`
}

// Audit is where records are kept.
type Audit struct {
	// Folder is one for files of records. Empty means that there are none.
	Folder string `json:"folder,omitempty"`
	// Writer is the name of this instance in the records: at most 64 lower-case letters,
	// digits and dashes. Empty means the name of the host.
	Writer string `json:"writer,omitempty"`
	// KeyFile is a file with the key that signs checkpoints, as "openssl genpkey -algorithm
	// ed25519" writes.
	KeyFile string `json:"key_file,omitempty"`
	// Table has records in a table of the database, too. Nothing is changed unless Audit.Folder
	// or the table has the record of it; one is enough.
	Table bool `json:"table"`
	// TableRetention is how long records are kept in the table, and so are copies of checkpoints
	// of the files. "0s" keeps them for ever.
	TableRetention Duration `json:"table_retention"`
	// RecordReads has reads recorded, too, that are allowed. Denials always are.
	RecordReads bool `json:"record_reads"`
}

// Limits are how often something may be asked, and how much. More often is answered with
// 429.
type Limits struct {
	// Principal is for each principal.
	Principal Rate `json:"principal"`
	// Tenant is for all principals of one tenant together.
	Tenant Rate `json:"tenant"`
	// Failures is for credentials that are refused, of one network.
	Failures Rate `json:"failures"`
	// MaxAddBytes is how much one request may add as content, in bytes. More is answered with
	// 413.
	MaxAddBytes int64 `json:"max_add_bytes"`
}

// Rate is a rate. Each instance counts by itself.
type Rate struct {
	// PerSecond is how many, in the long run: 0.000001 to 1000000. 0 means any number.
	PerSecond float64 `json:"per_second"`
	// Burst is how many at once.
	Burst int `json:"burst"`
}

// Events are where the cluster tells what becomes of pins.
type Events struct {
	// URLs are those of NATS servers, as "nats://host:4222", or "tls://host:4222". What becomes of
	// requests is told there, too. Empty means none: peers are asked, more often, and nobody
	// is told. All gateways of a keyspace have some, or none has.
	URLs []string `json:"urls"`
	// Cluster is the name of the cluster whose events they are.
	Cluster string `json:"cluster,omitempty"`
	// Prefix is what the streams and subjects of the cluster begin with. Empty means
	// "ipfs-cluster".
	Prefix string `json:"prefix,omitempty"`
	// CredentialsFile is a file of NATS credentials, with a JWT and a seed.
	CredentialsFile string `json:"credentials_file,omitempty"`
	// NKeyFile is a file with the seed of an NKey, in place of Events.CredentialsFile.
	NKeyFile string `json:"nkey_file,omitempty"`
	// CAFile is a file with the certificates of the authorities that are accepted, in PEM
	// format. Empty means those of the operating system.
	CAFile string `json:"ca_file,omitempty"`
	// CertFile is a file with the gateway's own certificate, in PEM format. It is set together
	// with Events.KeyFile or not at all.
	CertFile string `json:"cert_file,omitempty"`
	// KeyFile is a file with the key of that certificate, in PEM format.
	KeyFile string `json:"key_file,omitempty"`
}

// Default returns what a field is that nobody has set. It says nobody may come: it is not
// complete.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:9098", ShutdownDelay: Duration(5 * time.Second), PublicURL: "http://127.0.0.1:9098", Environment: Live,
		Name: "pin-gateway", Realm: "ipfs-pinning", TrustedProxies: []string{},
		Database: keyspace.Default(),
		Peers:    Peers{URLs: []string{"http://127.0.0.1:9094"}},
		Issuers:  []Issuer{},
		APIKeys:  APIKeys{Peppers: []Pepper{}, RequireExpiry: true},
		SIWE:     SIWE{Chains: []uint64{1}},
		Sessions: Sessions{Keys: []SessionKey{}, Lifetime: Duration(15 * time.Minute)},
		Policies: Policies{ReloadEvery: Duration(10 * time.Second)},
		Limits: Limits{
			Principal: Rate{PerSecond: 50, Burst: 200}, Tenant: Rate{PerSecond: 500, Burst: 2000},
			Failures: Rate{PerSecond: 1, Burst: 20}, MaxAddBytes: 4 << 30,
		},
		Events: Events{URLs: []string{}},
	}
}

// Resolve returns the name of a file as seen from the working directory. An empty name
// stays empty.
func (c Config) Resolve(file string) string { return settings.Resolve(c.Folder, file) }

// Duration is a time.Duration that is written as in "10s".
type Duration = cqlsection.Duration

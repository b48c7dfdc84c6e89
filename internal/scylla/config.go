package scylla

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Config says where the cluster is and how to reach it. It is plain data;
// whoever reads it from a file has validated it.
type Config struct {
	// Section is where errors and warnings say that the fields are set, as
	// "state.scylla". What they are named there are the names of the fields
	// here, in snake case; the switch for TLS is tls.enabled.
	Section string
	// Hosts are the first nodes to ask, names or addresses without a port.
	Hosts []string
	// Port of CQL on every node.
	Port int
	// Keyspace holds the tables. It is created when it is missing and
	// CreateKeyspace is set.
	Keyspace string
	// CreateKeyspace allows the session to create the keyspace.
	CreateKeyspace bool
	// LocalDC is the data centre to talk to. Empty means the only one.
	LocalDC string
	// Replication is the number of replicas in each data centre. Empty means one
	// in each rack of a data centre with two or three racks, else three, or as
	// many as it has nodes.
	Replication map[string]int
	// Username and Password of a role; both empty for no authentication.
	Username, Password string
	// TLS encrypts and verifies; nil means plain text.
	TLS *TLS
	// Compress makes the connections compressed, by Snappy, where the server
	// can.
	Compress bool
	// DisableShardAwarePort makes the driver use Port alone, where the one that
	// ScyllaDB offers beside it cannot be reached.
	DisableShardAwarePort bool
	// RequestTimeout bounds one request with all its attempts.
	RequestTimeout time.Duration
	// ConnectTimeout bounds the wait for the first connection; 0 waits for
	// ever.
	ConnectTimeout time.Duration
	// Waiting is told why the database is not ready, after each attempt of Open after which
	// there is another one. It must not block. It may be nil.
	Waiting func(error)
	// Metrics count what is asked and how it is served. Nil counts nothing.
	Metrics *Metrics
	// SlowQuery is how long a request may take before the log tells of it, whatever it
	// ends with. 0 tells of none.
	SlowQuery time.Duration
	// Trace has servers trace requests.
	Trace Tracing
}

// TLS names the files of an encrypted connection. The certificate of the
// server is always verified.
type TLS struct {
	// CAFile is the PEM bundle that signs the servers; empty uses the roots
	// of the system.
	CAFile string
	// CertFile and KeyFile are the client's own certificate, both or none.
	CertFile, KeyFile string
	// ServerName replaces the name of the host in the verification.
	ServerName string
}

// field is how log lines and errors name a field of the section.
func (c Config) field(name string) string {
	if c.Section == "" {
		return name
	}
	return c.Section + "." + name
}

// addresses is how log lines and errors name the hosts.
func (c Config) addresses() string {
	out := make([]string, len(c.Hosts))
	for i, h := range c.Hosts {
		out[i] = net.JoinHostPort(h, strconv.Itoa(c.Port))
	}
	return strings.Join(out, ", ")
}

const (
	// driverTimeout bounds a request that the driver makes by itself, such as
	// for the topology.
	driverTimeout = 5 * time.Second
	// reconnectEvery is the pause between two tries to connect to a node that
	// is down.
	reconnectEvery = 2 * time.Second
)

// cluster translates to the driver's configuration. A new one, with a policy
// of its own, is needed for each session: the driver panics when two sessions
// share a token-aware policy.
func (c Config) cluster() (*gocql.ClusterConfig, error) {
	cc := gocql.NewCluster(c.Hosts...)
	cc.Port = c.Port
	cc.ProtoVersion = 4 // what both engines speak; finding out costs a connection
	// Those of the driver's own requests; ours have their own (request.go).
	cc.Timeout = driverTimeout
	cc.MetadataSchemaRequestTimeout = driverTimeout
	cc.ReadTimeout = connectTimeout
	cc.WriteTimeout = connectTimeout
	cc.ConnectTimeout = connectTimeout
	cc.MaxWaitSchemaAgreement = time.Millisecond // agree does it
	cc.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: reconnectEvery}
	cc.ReconnectInterval = reconnectEvery
	cc.DisableShardAwarePort = c.DisableShardAwarePort
	cc.ApplicationInfo = gocql.NewStaticApplicationInfo("ipfs-cluster-scylla", buildVersion(), Process())
	cc.WarningsHandlerBuilder = new(warnings).handler
	cc.Consistency = gocql.Quorum
	cc.SerialConsistency = gocql.Serial
	cc.RetryPolicy = once{}
	cc.MaxPreparedStmts = 10_000
	cc.Logger = driverLog{}
	if c.Compress {
		cc.Compressor = gocql.SnappyCompressor{}
	}
	if c.Username != "" {
		cc.Authenticator = gocql.PasswordAuthenticator{
			Username: c.Username,
			Password: c.Password,
			AllowedAuthenticators: []string{
				"org.apache.cassandra.auth.PasswordAuthenticator",
				"com.scylladb.auth.SaslauthdAuthenticator",
				"com.scylladb.auth.TransitionalAuthenticator",
			},
		}
	}
	if c.TLS != nil {
		conf, err := c.TLS.load()
		if err != nil {
			return nil, &PermanentError{Text: "setting up the session", Err: err}
		}
		cc.SslOpts = &gocql.SslOptions{Config: conf, EnableHostVerification: true}
	}
	return cc, nil
}

func (t TLS) load() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA of the database: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the CA of the database: %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate for the database: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// buildVersion is that of the program, as servers list it among their clients.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

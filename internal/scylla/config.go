package scylla

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Config says where the cluster is and how to reach it. It is plain data;
// whoever reads it from a file has validated it.
type Config struct {
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
	// Replication is the number of replicas in each data centre. Empty
	// means three, or as many as the data centre has nodes.
	Replication map[string]int
	// Username and Password of a role; both empty for no authentication.
	Username, Password string
	// TLS encrypts and verifies; nil means plain text.
	TLS *TLS
	// RequestTimeout bounds one request.
	RequestTimeout time.Duration
	// ConnectTimeout bounds the wait for the first connection; 0 waits for
	// ever.
	ConnectTimeout time.Duration
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

// addresses is how log lines and errors name the hosts.
func (c Config) addresses() string {
	out := make([]string, len(c.Hosts))
	for i, h := range c.Hosts {
		out[i] = net.JoinHostPort(h, strconv.Itoa(c.Port))
	}
	return strings.Join(out, ", ")
}

// cluster translates to the driver's configuration. A new one, with a policy
// of its own, is needed for each session: the driver panics when two sessions
// share a token-aware policy.
func (c Config) cluster() (*gocql.ClusterConfig, error) {
	cc := gocql.NewCluster(c.Hosts...)
	cc.Port = c.Port
	cc.Timeout = c.RequestTimeout
	cc.ReadTimeout = c.RequestTimeout
	cc.WriteTimeout = c.RequestTimeout
	cc.ConnectTimeout = c.RequestTimeout
	cc.Consistency = gocql.Quorum
	cc.SerialConsistency = gocql.Serial
	cc.RetryPolicy = retryPolicy{}
	cc.MaxPreparedStmts = 10_000
	cc.Logger = driverLog{}
	cc.QueryObserver, cc.BatchObserver = observer{}, observer{}
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
			return nil, err
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

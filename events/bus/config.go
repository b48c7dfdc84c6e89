package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
)

// Default values of a Config.
const (
	DefaultURL      = nats.DefaultURL
	DefaultPrefix   = "ipfs-cluster"
	DefaultMaxAge   = 7 * 24 * time.Hour
	DefaultMaxBytes = 4 << 30
)

// Config says where NATS is and what is made there.
type Config struct {
	// URLs are those of servers, as nats://host:4222. One that answers is enough: the
	// others are learned from it. Empty means DefaultURL.
	URLs []string
	// Name is shown among the connections of the servers.
	Name string
	// Cluster is the name of the ipfs-cluster. A stream that belongs to another one is
	// refused.
	Cluster string
	// TLS encrypts the connections.
	TLS TLS
	// CredentialsFile is a file of NATS credentials, with a JWT and a seed. NKeyFile is a
	// file with the seed of an NKey. At most one of them is set.
	CredentialsFile, NKeyFile string
	// Prefix is what all subjects and streams begin with: lower-case letters, digits,
	// dashes and underscores. Empty means DefaultPrefix.
	Prefix string
	// Replicas is how many servers have a copy of a stream: 1, 3 or 5. 0 means 3 where there
	// are as many servers, else 1.
	Replicas int
	// MaxAge is how long a stream keeps a message, MaxBytes how many bytes of messages it
	// keeps. 0 means DefaultMaxAge and DefaultMaxBytes. What a consumer has not read
	// in time it is told again from the database.
	MaxAge   time.Duration
	MaxBytes int64
	// MonitorURLs are those of the servers' monitoring, as http://host:8222, to report
	// how they write to disk. They may be empty.
	MonitorURLs []string
	// Metrics say what becomes of the connection. They may be nil.
	Metrics *Metrics
}

// TLS says how connections are encrypted. The certificate and the name of the server
// are always verified.
type TLS struct {
	// Enabled turns encryption on for URLs that do not say tls://.
	Enabled bool
	// CAFile has the certificates of the authorities that are accepted, CertFile and
	// KeyFile are the client's own, all in PEM format. Empty means those of the
	// operating system, and none.
	CAFile, CertFile, KeyFile string
}

// withDefaults fills in what is empty.
func (cfg Config) withDefaults() Config {
	if len(cfg.URLs) == 0 {
		cfg.URLs = []string{DefaultURL}
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = DefaultMaxAge
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	return cfg
}

// ValidPrefix reports whether a text can be a Config's Prefix: it becomes a token of
// subjects and the beginning of names of streams.
func ValidPrefix(s string) bool {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`).MatchString(s)
}

func (cfg Config) validate() error {
	switch {
	case !ValidPrefix(cfg.Prefix):
		return fmt.Errorf("the prefix %q cannot be used: use at most 32 lower-case letters, digits, dashes and underscores", cfg.Prefix)
	case cfg.Replicas < 0 || cfg.Replicas > 5 || cfg.Replicas%2 == 0 && cfg.Replicas != 0:
		return fmt.Errorf("%d replicas cannot be used: use 1, 3 or 5, or 0 for as many as fit", cfg.Replicas)
	case cfg.MaxAge < 0 || cfg.MaxBytes < 0:
		return errors.New("a limit of the stream is negative")
	case cfg.CredentialsFile != "" && cfg.NKeyFile != "":
		return errors.New("both a credentials file and an NKey are given: give one")
	}
	return nil
}

// options are those that the configuration asks of the client.
func (cfg Config) options() ([]nats.Option, error) {
	options := []nats.Option{nats.Name(cfg.Name)}
	if cfg.TLS != (TLS{}) {
		encryption, err := cfg.TLS.load()
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(encryption))
	}
	if cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(cfg.CredentialsFile))
	}
	if cfg.NKeyFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(cfg.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the NKey of %s: %w", cfg.NKeyFile, err)
		}
		options = append(options, nkey)
	}
	return options, nil
}

func (t TLS) load() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities of NATS: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM format", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate for NATS: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

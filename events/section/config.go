package section

import (
	"path/filepath"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

const (
	configKey = "events"
	// envPrefix is what the names of the environment variables start with.
	envPrefix = "CLUSTER_EVENTS"
)

// Default values of a Config.
const (
	DefaultPrefix   = bus.DefaultPrefix
	DefaultMaxAge   = bus.DefaultMaxAge
	DefaultMaxBytes = bus.DefaultMaxBytes
	DefaultListen   = embedded.DefaultListen
)

// Config says where events are told. It is the component "events" of the section
// "state" of service.json. Each field can also be set by an environment variable:
// CLUSTER_EVENTS_ and the name of the field in capitals, as in CLUSTER_EVENTS_MAXAGE
// or CLUSTER_EVENTS_EMBEDDED_LISTEN.
//
// A Config must not be changed while it is in use.
type Config struct {
	config.Saver

	// URLs are those of NATS servers with JetStream, as "nats://host:4222", or with "tls://" for an
	// encrypted connection. One that answers is enough: the others are learned from it. A
	// user and a password, or a token, may be before the host; they are never
	// displayed. Empty means "nats://127.0.0.1:4222", or the server of Embedded.Enabled.
	URLs []string
	// TLS encrypts the connections.
	TLS TLS
	// CredentialsFile is a file of NATS credentials, with a JWT and a seed.
	CredentialsFile string
	// NKeyFile is a file with the seed of an NKey. At most one of it, CredentialsFile and
	// a user in URLs is set.
	NKeyFile string
	// Prefix is what all streams and subjects begin with: at most 32 lower-case letters,
	// digits, dashes and underscores. Clusters that share NATS servers need different ones.
	// All peers of a cluster have the same.
	Prefix string
	// Replicas is how many servers have a copy of each stream: 1, 3 or 5. 0 means 3 where
	// there are as many servers, else 1.
	Replicas int
	// MaxAge is how long a stream keeps a message, at least 1h. What a consumer has not
	// read in time it is told again from the database.
	MaxAge time.Duration
	// MaxBytes is how many bytes each of the two streams keeps, that of the events
	// and that of those which a consumer could not handle. The oldest ones go first.
	MaxBytes int64
	// MonitorURLs are those of the servers' monitoring, as "http://host:8222", to report how
	// they write to disk. They may be empty.
	MonitorURLs []string
	// Embedded is a server in the process of the peer.
	Embedded Embedded
}

// TLS says how the connections to NATS are encrypted. File names are relative to the
// folder of service.json.
type TLS struct {
	// Enabled turns encryption on for all of URLs. The certificate and the name of the
	// server are then always verified.
	Enabled bool
	// CAFile is a file with the certificates of the authorities that are accepted, in
	// PEM format. Empty means those of the operating system.
	CAFile string
	// CertFile is the certificate of this peer, in PEM format. It is set together with
	// KeyFile or not at all.
	CertFile string
	// KeyFile is the key of that certificate, in PEM format.
	KeyFile string
}

// Embedded is a NATS server in the process of the peer, for a cluster of one peer.
type Embedded struct {
	// Enabled runs a NATS server in this process, with its data in the folder "events"
	// beside service.json. It writes to disk before it acknowledges. It is for a
	// cluster of one peer, which has no NATS servers in URLs.
	Enabled bool
	// Listen is the loopback address on which it listens, and a port: other programs on
	// this machine connect to it without a password. Port 0 is a free one, another at each
	// start, which the commands on events do not find.
	Listen string
	// MaxBytes is how much it may store, at least the two streams of MaxBytes
	// each. 0 means as much as these.
	MaxBytes int64
	// AllowManyPeers lets it run in a cluster of several peers. That is right only if
	// all run on one machine and the others have its address in URLs: peers that
	// do not share their NATS servers each tell a part of the events.
	AllowManyPeers bool
}

// ConfigKey returns the name of this component in its section.
func (cfg *Config) ConfigKey() string {
	return configKey
}

// Default sets every field to its default value. BaseDir stays.
func (cfg *Config) Default() error {
	cfg.set(defaultSettings())
	return nil
}

// defaultSettings returns the default values, without the Saver.
func defaultSettings() Config {
	return Config{
		URLs:        []string{},
		Prefix:      DefaultPrefix,
		MaxAge:      DefaultMaxAge,
		MaxBytes:    DefaultMaxBytes,
		MonitorURLs: []string{},
		Embedded:    Embedded{Listen: DefaultListen},
	}
}

// set replaces all settings but keeps the Saver, whose channel the configuration
// manager already listens on.
func (cfg *Config) set(settings Config) {
	settings.Saver = cfg.Saver
	*cfg = settings
}

// resolve makes the name of a file absolute. Relative names start at the folder of
// service.json. An empty name stays empty.
func (cfg *Config) resolve(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(cfg.BaseDir, file)
}

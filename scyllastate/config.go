package scyllastate

import (
	"path/filepath"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	configKey = "scylla"
	// envPrefix is what the names of the environment variables start with.
	envPrefix = "CLUSTER_SCYLLA"
)

// Values of Config.Consistency.
const (
	// ConsistencyLinearizable makes every read see every acknowledged write.
	ConsistencyLinearizable = "linearizable"
	// ConsistencyLocalReads lets Get and List answer from the local data
	// centre, which may lag behind. Decisions are never taken on such reads.
	ConsistencyLocalReads = "local-reads"
)

// Values of Config.Schema.
const (
	// SchemaApply lets the peer create the keyspace and tables that are
	// missing.
	SchemaApply = "apply"
	// SchemaVerify makes the peer refuse to start when something is missing.
	// Its database role then needs no right to change the schema.
	SchemaVerify = "verify"
)

// Values of Config.Compression.
const (
	// CompressionNone leaves the connections to the database uncompressed.
	CompressionNone = "none"
	// CompressionSnappy compresses them where the server can.
	CompressionSnappy = "snappy"
)

// Default values of a Config.
const (
	DefaultHost           = "127.0.0.1"
	DefaultPort           = 9042
	DefaultKeyspace       = "ipfs_cluster"
	DefaultClusterName    = "ipfs-cluster"
	DefaultConsistency    = ConsistencyLinearizable
	DefaultSchema         = SchemaApply
	DefaultCompression    = CompressionNone
	DefaultRequestTimeout = 10 * time.Second
	DefaultUnpinGrace     = 24 * time.Hour
	DefaultCheckEvery     = 24 * time.Hour
	DefaultStopShare      = 0.5
)

// Config says where the pinset is stored and how it is reached. It is the
// component "scylla" of the section "state" of service.json. Each field can
// also be set by an environment variable: CLUSTER_SCYLLA_ and the name of the
// field in capitals, as in CLUSTER_SCYLLA_LOCALDC or CLUSTER_SCYLLA_TLS_CAFILE.
//
// A Config must not be changed while it is in use.
type Config struct {
	config.Saver

	// Hosts are names or addresses of database nodes, without ports. One
	// that answers is enough: the others are learned from it.
	Hosts []string
	// Port is the CQL port of all nodes.
	Port int
	// Keyspace is the name of the keyspace with the tables, the same for all
	// peers of a cluster: a lower-case letter, then up to 47 lower-case
	// letters, digits and underscores.
	Keyspace string
	// ClusterName is the name of the ipfs-cluster whose pinset this is. A
	// keyspace belongs to the cluster that first opened it, by this name and
	// by the secret of the cluster, and is refused to any other.
	ClusterName string
	// LocalDC is the data centre this peer talks to. It may be empty when
	// the database has only one. Requests never move to another one by
	// themselves.
	LocalDC string
	// Replication is the number of replicas in each data centre, used when
	// the keyspace is created. Empty means one in each rack of a data centre
	// with two or three racks, else three, or as many as it has nodes.
	Replication map[string]int

	// Username is the role of this peer. It is set together with Password or
	// not at all.
	Username string
	// Password is the password of that role. It is never displayed or logged.
	Password string
	// TLS encrypts the connections.
	TLS TLSConfig

	// Consistency is ConsistencyLinearizable, or ConsistencyLocalReads: what
	// clients read may then lack what another data centre has just written.
	Consistency string
	// Schema is SchemaApply, to create the keyspace and tables that are
	// missing, or SchemaVerify, to refuse to start when something is missing,
	// for a role without rights on the schema.
	Schema string

	// Compression is that of the connections to the database: CompressionNone,
	// or CompressionSnappy where the network between is slow or paid for.
	Compression string
	// DisableShardAwarePort keeps to Port where the second port that ScyllaDB
	// offers (19042, with TLS 19142) cannot be reached from here.
	DisableShardAwarePort bool
	// ConnectTimeout is how long a start waits for the database. 0 waits for
	// ever.
	ConnectTimeout time.Duration
	// RequestTimeout is the limit for one request to the database with all
	// its attempts. It is longer than the timeouts of the server itself, which
	// are at most 5s for one row.
	RequestTimeout time.Duration
	// UnpinGrace is how long the marker of an unpin stays in the database,
	// longer than any peer may be paused in the middle of a write. It is stored
	// in the keyspace by the first peer, and that of the keyspace counts: peers with
	// another one say so, and "state adopt" changes it.
	UnpinGrace time.Duration
	// CheckEvery is how long the peer takes to compare all its pins with what its
	// IPFS daemon has, one after another and for ever. 0 turns that off.
	CheckEvery time.Duration

	// StopShare is the share of the peers, more than 0 and at most 1, from which
	// on deaths within an hour stop all moves of pins to other peers: it is then
	// rather the network, or the power, than the peers. A cut between two equal data
	// centres leaves exactly half of them dead. A single dead peer that was seen alive
	// never stops moves. One that was not does for an hour, which passes only while
	// some peer runs that moves pins.
	StopShare float64
	// Zone names what may fail at once with this peer, such as a rack or a data
	// centre: lower-case letters, digits, dots, dashes and underscores. When all
	// peers of a zone die, two or more, nothing moves either, however few they are.
	// Empty means none. Where some peers have a zone all should.
	Zone string

	// TrustAll trusts every peer, whatever TrustedPeers says.
	TrustAll bool
	// TrustedPeers are the IDs of the peers that may use the RPC methods that
	// are closed to others. In service.json "*" stands for every peer that
	// knows the secret of the cluster.
	TrustedPeers []peer.ID

	// Secret is the secret of the cluster, which all its peers share. It is
	// not part of this section: whoever opens a Store sets it, to what
	// cluster.secret holds. The database gets a keyed hash of it only.
	Secret []byte
	// Metrics say what the Store does, nil if nobody asks. They are not part of this section
	// either.
	Metrics *Metrics
	// SlowQuery is from when on a request to the database is logged as slow, 0 never. Trace
	// says which attempts the servers are asked to trace. They are not part of this section.
	SlowQuery time.Duration
	Trace     scylla.Tracing
	// Waiting is told why Open still waits for the database. It must not block. It may be nil.
	// It is not part of this section.
	Waiting func(error)
}

// TLSConfig says how connections to the database are encrypted. The
// certificate of the server is always verified. File names are relative to the
// folder of service.json.
type TLSConfig struct {
	// Enabled turns encryption on. The certificate and the name of the server
	// are then always verified.
	Enabled bool
	// CAFile is a file with the certificates of the authorities that are
	// accepted, in PEM format. Empty means those of the operating system.
	CAFile string
	// CertFile is the certificate of this peer, in PEM format. It is set
	// together with KeyFile or not at all.
	CertFile string
	// KeyFile is the key of that certificate, in PEM format.
	KeyFile string
	// ServerName is the name the certificates of the servers must carry.
	// Empty means the name or address that is dialled.
	ServerName string
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
		Hosts:          []string{DefaultHost},
		Port:           DefaultPort,
		Keyspace:       DefaultKeyspace,
		ClusterName:    DefaultClusterName,
		Replication:    map[string]int{},
		Consistency:    DefaultConsistency,
		Schema:         DefaultSchema,
		Compression:    DefaultCompression,
		RequestTimeout: DefaultRequestTimeout,
		UnpinGrace:     DefaultUnpinGrace,
		CheckEvery:     DefaultCheckEvery,
		StopShare:      DefaultStopShare,
		TrustAll:       true,
		TrustedPeers:   []peer.ID{},
	}
}

// set replaces all settings but keeps the Saver, whose channel the
// configuration manager already listens on, and what is not part of the section.
func (cfg *Config) set(settings Config) {
	settings.Saver, settings.Secret = cfg.Saver, cfg.Secret
	settings.Metrics, settings.SlowQuery, settings.Trace, settings.Waiting = cfg.Metrics, cfg.SlowQuery, cfg.Trace, cfg.Waiting
	*cfg = settings
}

// resolve makes the name of a file absolute. Relative names start at the
// folder of service.json. An empty name stays empty.
func (cfg *Config) resolve(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(cfg.BaseDir, file)
}

package section

import (
	"path/filepath"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"
)

const (
	configKey = "admin"
	// envPrefix is what the names of the environment variables start with.
	envPrefix = "CLUSTER_ADMIN"
)

// Default values of a Config.
const (
	DefaultListen      = "127.0.0.1:9089"
	DefaultSlowQuery   = time.Second
	DefaultSampleRatio = 0.1
	DefaultDriftEvery  = 24 * time.Hour
)

// Config says how a peer is watched. It is the component "admin" of the section
// "observations" of service.json. Each field can also be set by an environment variable:
// CLUSTER_ADMIN_ and the name of the field in capitals, as in CLUSTER_ADMIN_SLOWQUERY or
// CLUSTER_ADMIN_TRACING_ENDPOINT.
//
// A Config must not be changed while it is in use.
type Config struct {
	config.Saver

	// Listen is the address and the port on which the peer tells its metrics, whether it is
	// ready, and profiles of it, to all who reach it, without a password and without
	// encryption: "host:port", or "0.0.0.0:port" for all addresses of this machine. Port
	// 0 is a free one, another at each start. Empty means that it tells nothing.
	Listen string
	// SlowQuery is from when on a request to the database is written to the log as slow, with
	// its statement and without its values. 0s writes none.
	SlowQuery time.Duration
	// Tracing says where spans are sent.
	Tracing Tracing
	// CanaryEvery is how often the peer pins something small and unpins it, to measure how long
	// that takes when nobody else pins: 2m or more. 0s means never.
	CanaryEvery time.Duration
	// DriftEvery is how often all pins of the peer are compared with what IPFS has, for the
	// metrics on drift. A sample of them is compared each hour, whatever it is. 0s means that
	// neither is done.
	DriftEvery time.Duration
}

// Tracing says where the spans of a peer are sent. File names are relative to the folder of
// service.json.
type Tracing struct {
	// Endpoint is where a collector takes OTLP over gRPC: "host:port", as
	// "127.0.0.1:4317". Empty turns tracing off.
	Endpoint string
	// Insecure sends the spans unencrypted. Without it the certificate of the collector is
	// verified.
	Insecure bool
	// CAFile is a file with the certificates of the authorities that are accepted, in
	// PEM format. Empty means those of the operating system.
	CAFile string
	// HeadersFile is a file of headers that are sent along, such as a token: one in a line, as
	// "authorization: Bearer …". Lines that begin with # are passed over.
	HeadersFile string
	// SampleRatio is the share of requests that are traced, 0 to 1, of those that are not part
	// of a trace already.
	SampleRatio float64
	// ServerSampleRatio is the share of the requests to the database that are traced of which
	// it is asked to write a trace, too, 0 to 1. Each costs it several writes.
	ServerSampleRatio float64
}

// ConfigKey returns the name of this component in its section.
func (cfg *Config) ConfigKey() string { return configKey }

// Default sets every field to its default value. BaseDir stays.
func (cfg *Config) Default() error {
	cfg.set(defaultSettings())
	return nil
}

// defaultSettings returns the default values, without the Saver.
func defaultSettings() Config {
	return Config{
		Listen: DefaultListen, SlowQuery: DefaultSlowQuery, DriftEvery: DefaultDriftEvery,
		Tracing: Tracing{SampleRatio: DefaultSampleRatio},
	}
}

// set replaces all settings but keeps the Saver, whose channel the configuration
// manager already listens on.
func (cfg *Config) set(settings Config) {
	settings.Saver = cfg.Saver
	*cfg = settings
}

// Resolve makes the name of a file absolute. Relative names start at the folder of
// service.json. An empty name stays empty.
func (cfg *Config) Resolve(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(cfg.BaseDir, file)
}

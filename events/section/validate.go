package section

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

// Limits of what a stream keeps. Less would make consumers read from the database all the
// time.
const (
	minMaxAge   = time.Hour
	minMaxBytes = 16 << 20
	maxMaxBytes = 1 << 50
)

// streams is how many the bus makes with MaxBytes each.
const streams = 2

// ErrManyPeers says that a peer cannot have an embedded server because there are others.
var ErrManyPeers = errors.New("a NATS server in the process is for a cluster of one peer")

// CheckPeers returns an error that matches ErrManyPeers if the server is embedded, which is
// not allowed in a cluster of so many peers.
func (cfg *Config) CheckPeers(peers int) error {
	if !cfg.Embedded.Enabled || cfg.Embedded.AllowManyPeers || peers <= 1 {
		return nil
	}
	return fmt.Errorf("state.events.embedded.enabled: %w, and this one has %d: run NATS servers and name them in state.events.urls of all peers. "+
		"If all peers run on this machine and the others have the address of this server in urls, set state.events.embedded.allow_many_peers to true", ErrManyPeers, peers)
}

// Validate checks every field by itself. The configuration manager calls it before
// the environment is applied, when a field may still wait for its partner.
// ValidateAll checks what must hold between fields, too.
func (cfg *Config) Validate() error {
	if err := validateURLs("urls", cfg.URLs, bus.DefaultURL, []string{"nats", "tls"}, false); err != nil {
		return err
	}
	if err := validateURLs("monitor_urls", cfg.MonitorURLs, "http://127.0.0.1:8222", []string{"http", "https"}, true); err != nil {
		return err
	}
	if !bus.ValidPrefix(cfg.Prefix) {
		return badField("prefix", "%q cannot be used: start with a lower-case letter or digit and go on with at most 31 lower-case letters, digits, dashes or underscores", cfg.Prefix)
	}
	if !slices.Contains([]int{0, 1, 3, 5}, cfg.Replicas) {
		return badField("replicas", "%d cannot be used: use 1, 3 or 5, or 0 for 3 where there are as many servers, else 1", cfg.Replicas)
	}
	if cfg.MaxAge < minMaxAge {
		return badField("max_age", "%s cannot be used: use %s or longer, as %s", cfg.MaxAge, minMaxAge, DefaultMaxAge)
	}
	if cfg.MaxBytes < minMaxBytes || cfg.MaxBytes > maxMaxBytes {
		return badField("max_bytes", "%d cannot be used: use %d (16 MiB) to %d (1 PiB), as %d (4 GiB)", cfg.MaxBytes, minMaxBytes, int64(maxMaxBytes), int64(DefaultMaxBytes))
	}
	if _, err := embedded.ParseListen(cfg.Embedded.Listen); err != nil {
		return badField("embedded.listen", "%s", err)
	}
	if cfg.Embedded.MaxBytes < 0 {
		return badField("embedded.max_bytes", "%d is negative: use 0 for as much as the streams need, or a number of bytes", cfg.Embedded.MaxBytes)
	}
	return nil
}

// ValidateAll checks every field, and what must hold between fields. It is for a
// configuration that is complete: the environment has been applied.
func (cfg *Config) ValidateAll() error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := cfg.validateTLS(); err != nil {
		return err
	}
	if cfg.CredentialsFile != "" && cfg.NKeyFile != "" {
		return badField("nkey_file", "is set beside credentials_file: keep one of them")
	}
	if cfg.CredentialsFile != "" && slices.ContainsFunc(cfg.URLs, hasUser) {
		return badField("credentials_file", "is set, but urls name a user, too: keep one of them")
	}
	if cfg.NKeyFile != "" && slices.ContainsFunc(cfg.URLs, hasUser) {
		return badField("nkey_file", "is set, but urls name a user, too: keep one of them")
	}
	if cfg.Embedded.Enabled {
		return cfg.validateEmbedded()
	}
	return nil
}

func (cfg *Config) validateTLS() error {
	tls := cfg.TLS
	switch {
	case !tls.Enabled && tls != (TLS{}):
		return badField("tls.enabled", "is false but other tls settings are there: set it to true, or remove them")
	case tls.CertFile != "" && tls.KeyFile == "":
		return badField("tls.key_file", "is empty but tls.cert_file is set: set both, or none")
	case tls.KeyFile != "" && tls.CertFile == "":
		return badField("tls.cert_file", "is empty but tls.key_file is set: set both, or none")
	}
	return nil
}

// validateEmbedded refuses what is for other servers than the one in the process.
func (cfg *Config) validateEmbedded() error {
	const why = "is set, but the server of embedded.enabled "
	switch {
	case len(cfg.URLs) > 0:
		return badField("urls", "%sis the only one: remove urls, or set embedded.enabled to false to use them", why)
	case cfg.TLS.Enabled:
		return badField("tls.enabled", "%sdoes not encrypt, as it listens on this machine only: remove tls", why)
	case cfg.CredentialsFile != "":
		return badField("credentials_file", "%sasks for none: remove it", why)
	case cfg.NKeyFile != "":
		return badField("nkey_file", "%sasks for none: remove it", why)
	case len(cfg.MonitorURLs) > 0:
		return badField("monitor_urls", "%shas no monitoring, and always writes to disk before it acknowledges: remove it", why)
	case cfg.Replicas > 1:
		return badField("replicas", "%d %sis one: use 1, or 0", cfg.Replicas, why)
	case cfg.Embedded.MaxBytes != 0 && cfg.Embedded.MaxBytes < streams*cfg.MaxBytes:
		return badField("embedded.max_bytes", "%d is too little for %d streams of max_bytes, which is %d: use 0 or at least %d, or lower max_bytes",
			cfg.Embedded.MaxBytes, streams, cfg.MaxBytes, streams*cfg.MaxBytes)
	}
	return nil
}

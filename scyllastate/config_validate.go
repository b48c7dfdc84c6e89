package scyllastate

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode"
)

// minUnpinGrace is far above the time that a write with its repetitions takes:
// a marker that ran out before would let it bring a removed pin back.
const minUnpinGrace = time.Hour

// minCheckEvery leaves a moment for each of the 4,096 parts of a check.
const minCheckEvery = time.Hour

// minRequestTimeout is the longest that servers take for one row themselves
// (read_request_timeout). Whoever gives up earlier asks again while they still
// work on it.
const (
	minRequestTimeout = 5 * time.Second
	maxRequestTimeout = 5 * time.Minute
)

// maxTTL is the longest time to live that CQL accepts.
const maxTTL = 20 * 365 * 24 * time.Hour

// badField says what is wrong with one field, named as in service.json: "tls.ca_file".
func badField(field, format string, args ...any) error {
	return jsonSection().BadField(field, format, args...)
}

// Validate checks every field by itself. The configuration manager calls it
// before the environment is applied, when a field may still wait for its
// partner: a user name in service.json, its password in the environment.
// ValidateAll checks such pairs too.
func (cfg *Config) Validate() error {
	if len(cfg.Hosts) == 0 {
		return badField("hosts", "is empty: name at least one database node")
	}
	for _, host := range cfg.Hosts {
		if err := validateHost(host); err != nil {
			return err
		}
	}
	if cfg.Port < 1 || cfg.Port > 65535 {
		return badField("port", "%d is not a port: use 1 to 65535 (CQL servers listen on %d)", cfg.Port, DefaultPort)
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`).MatchString(cfg.Keyspace) {
		return badField("keyspace", "%q cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes", cfg.Keyspace)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(cfg.ClusterName) {
		return badField("cluster_name", "%q cannot be used: start with a letter or digit and go on with at most 63 letters, digits, dots, dashes or underscores", cfg.ClusterName)
	}
	if !isDataCentre(cfg.LocalDC) && cfg.LocalDC != "" {
		return badField("local_dc", "%q is not the name of a data centre: it has quotes, control characters or spaces around it", cfg.LocalDC)
	}
	if err := cfg.validateReplication(); err != nil {
		return err
	}
	if cfg.Consistency != ConsistencyLinearizable && cfg.Consistency != ConsistencyLocalReads {
		return badField("consistency", "%q is unknown: use %q or %q", cfg.Consistency, ConsistencyLinearizable, ConsistencyLocalReads)
	}
	if cfg.Schema != SchemaApply && cfg.Schema != SchemaVerify {
		return badField("schema", "%q is unknown: use %q or %q", cfg.Schema, SchemaApply, SchemaVerify)
	}
	if cfg.Compression != CompressionNone && cfg.Compression != CompressionSnappy {
		return badField("compression", "%q is unknown: use %q or %q", cfg.Compression, CompressionNone, CompressionSnappy)
	}
	// A comparison that NaN fails, too.
	if !(cfg.StopShare > 0 && cfg.StopShare <= 1) {
		return badField("stop_share", "%g cannot be used: use more than 0, and at most 1 for all peers, as %g for half of them", cfg.StopShare, DefaultStopShare)
	}
	if !regexp.MustCompile(`^([a-z0-9][a-z0-9._-]{0,63})?$`).MatchString(cfg.Zone) {
		return badField("zone", "%q cannot be used: start with a lower-case letter or digit and go on with at most 63 lower-case letters, digits, dots, dashes or underscores, the same on all peers that fail together", cfg.Zone)
	}
	return cfg.validateDurations()
}

// ValidateAll checks every field, and what must hold between fields. It is
// for a configuration that is complete: the environment has been applied.
func (cfg *Config) ValidateAll() error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Username != "" && cfg.Password == "" {
		return badField("password", "is empty but username is set: set both, or none for a database without authentication")
	}
	if cfg.Password != "" && cfg.Username == "" {
		return badField("username", "is empty but password is set: set both, or none for a database without authentication")
	}
	tls := cfg.TLS
	if !tls.Enabled && tls != (TLSConfig{}) {
		return badField("tls.enabled", "is false but other tls settings are there: set it to true, or remove them")
	}
	if tls.CertFile != "" && tls.KeyFile == "" {
		return badField("tls.key_file", "is empty but tls.cert_file is set: set both, or none")
	}
	if tls.KeyFile != "" && tls.CertFile == "" {
		return badField("tls.cert_file", "is empty but tls.key_file is set: set both, or none")
	}
	return nil
}

// validateComplete checks also what is not part of service.json's section.
func (cfg *Config) validateComplete() error {
	if err := cfg.ValidateAll(); err != nil {
		return err
	}
	if len(cfg.Secret) == 0 {
		return errors.New("cluster.secret is empty, and a keyspace belongs to the cluster with its secret: make one with \"openssl rand -hex 32\" and give it to all peers")
	}
	return nil
}

func (cfg *Config) validateReplication() error {
	dcs := make([]string, 0, len(cfg.Replication))
	for dc := range cfg.Replication {
		dcs = append(dcs, dc)
	}
	sort.Strings(dcs) // the same error each time
	for _, dc := range dcs {
		if !isDataCentre(dc) {
			return badField("replication", "%q is not the name of a data centre: it is empty or has quotes, control characters or spaces around it", dc)
		}
		if n := cfg.Replication[dc]; n < 1 {
			return badField("replication", "%d replicas in data centre %q: use at least 1, or leave the data centre out", n, dc)
		}
	}
	return nil
}

func (cfg *Config) validateDurations() error {
	if cfg.ConnectTimeout < 0 {
		return badField("connect_timeout", "%s is negative: use 0s to wait for ever, or a longer time", cfg.ConnectTimeout)
	}
	if cfg.RequestTimeout < minRequestTimeout || cfg.RequestTimeout > maxRequestTimeout {
		return badField("request_timeout", "%s cannot be used: use %s, which a server may take for one row, to %s, as %s", cfg.RequestTimeout, minRequestTimeout, maxRequestTimeout, DefaultRequestTimeout)
	}
	if cfg.UnpinGrace < minUnpinGrace || cfg.UnpinGrace > maxTTL {
		return badField("unpin_grace", "%s cannot be used: use %s to %s, as %s", cfg.UnpinGrace, minUnpinGrace, maxTTL, DefaultUnpinGrace)
	}
	if cfg.CheckEvery != 0 && cfg.CheckEvery < minCheckEvery {
		return badField("check_every", "%s cannot be used: use %s or longer, as %s, or 0s for never", cfg.CheckEvery, minCheckEvery, DefaultCheckEvery)
	}
	return nil
}

func validateHost(host string) error {
	if host == "" {
		return badField("hosts", "holds an empty name: remove it or name a database node")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if _, rest, ok := strings.Cut(host, "://"); ok {
		return badField("hosts", "%q has a scheme: write only the name or address, as in %q", host, hostPart(rest))
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return badField("hosts", "%q has a port: write %q here and the port in state.scylla.port", host, name)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?$`).MatchString(host) {
		return badField("hosts", "%q is neither a host name nor an IP address", host)
	}
	return nil
}

// hostPart returns what stands before the port and the path of a URL.
func hostPart(s string) string {
	s, _, _ = strings.Cut(s, "/")
	if name, _, err := net.SplitHostPort(s); err == nil {
		return name
	}
	return s
}

// isDataCentre tells whether name can be the name of a data centre. It goes
// into CQL as a quoted string.
func isDataCentre(name string) bool {
	return name != "" && strings.TrimSpace(name) == name &&
		!strings.ContainsAny(name, `'"\`) && !strings.ContainsFunc(name, unicode.IsControl)
}

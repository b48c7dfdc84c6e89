package section

import (
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The shortest times that are not off.
const (
	minSlowQuery   = time.Millisecond
	minCanaryEvery = 2 * time.Minute // one is looked at after a minute, and taken back
	minDriftEvery  = time.Minute
)

// Validate checks every field by itself. The configuration manager calls it before
// the environment is applied. ValidateAll checks what must hold between fields, too.
func (cfg *Config) Validate() error {
	if err := checkListen(cfg.Listen); err != nil {
		return err
	}
	if err := checkEndpoint(cfg.Tracing.Endpoint); err != nil {
		return err
	}
	for _, d := range []struct {
		field         string
		value, lowest time.Duration
	}{
		{"slow_query", cfg.SlowQuery, minSlowQuery},
		{"canary_every", cfg.CanaryEvery, minCanaryEvery},
		{"drift_every", cfg.DriftEvery, minDriftEvery},
	} {
		if d.value != 0 && d.value < d.lowest {
			return badField(d.field, "%s cannot be used: use %s or longer, or 0s to turn it off", d.value, d.lowest)
		}
	}
	for _, r := range []struct {
		field string
		value float64
	}{
		{"tracing.sample_ratio", cfg.Tracing.SampleRatio},
		{"tracing.server_sample_ratio", cfg.Tracing.ServerSampleRatio},
	} {
		if math.IsNaN(r.value) || r.value < 0 || r.value > 1 {
			return badField(r.field, "%v is no share: use a number from 0 (none) to 1 (all)", r.value)
		}
	}
	return nil
}

// ValidateAll checks every field, and what must hold between fields. It is for a
// configuration that is complete: the environment has been applied.
func (cfg *Config) ValidateAll() error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	t := cfg.Tracing
	switch {
	case t.Insecure && t.CAFile != "":
		return badField("tracing.ca_file", "is set, but tracing.insecure sends spans unencrypted: keep one of them")
	case t.Insecure && t.HeadersFile != "" && !onThisMachine(t.Endpoint):
		return badField("tracing.headers_file", "would be sent in clear text to %s: turn tracing.insecure off", t.Endpoint)
	}
	return nil
}

// onThisMachine tells whether an endpoint, which may be empty, is one of a loopback address.
func onThisMachine(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return endpoint == ""
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func checkListen(listen string) error {
	if listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return badField("listen", "%q is not an address and a port: write it as in %s", listen, DefaultListen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > math.MaxUint16 {
		return badField("listen", "%q has no usable port: use 0 to 65535", listen)
	}
	if host == "" {
		return badField("listen", "%q would tell everybody who reaches this machine: use 127.0.0.1:%s, or 0.0.0.0:%[2]s if that is meant", listen, port)
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	const asIn = "write it as in 127.0.0.1:4317"
	if endpoint == "" {
		return nil
	}
	if strings.Contains(endpoint, "@") { // which may follow a password
		return badField("tracing.endpoint", "has an @ in it: write the host and the port only, and a token into tracing.headers_file")
	}
	if strings.Contains(endpoint, "/") {
		return badField("tracing.endpoint", "%q is more than a host and a port: %s, without a scheme and a path", endpoint, asIn)
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil || host == "" {
		return badField("tracing.endpoint", "%q is not a host and a port: %s", endpoint, asIn)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > math.MaxUint16 {
		return badField("tracing.endpoint", "%q has no usable port: use 1 to 65535, %s", endpoint, asIn)
	}
	return nil
}

package cqlsection

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The shortest is the longest that servers take for one row themselves.
const (
	minRequestTimeout = 5 * time.Second
	maxRequestTimeout = 5 * time.Minute
)

// Validate returns all that is wrong with a configuration, or nil. It looks into no file.
func (c Config) Validate() error {
	var all []error
	bad := func(field, format string, args ...any) {
		all = append(all, fmt.Errorf(section+".%s "+format, append([]any{field}, args...)...))
	}
	if len(c.Hosts) == 0 {
		bad("hosts", "is empty: name at least one database node")
	}
	for _, host := range c.Hosts {
		if !isHost(host) {
			bad("hosts", "%q is neither a host name nor an IP address, without a port", host)
		}
	}
	if c.Port < 1 || c.Port > 65535 {
		bad("port", "%d is not a port: use 1 to 65535 (CQL servers listen on 9042)", c.Port)
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`).MatchString(c.Keyspace) {
		bad("keyspace", "%q cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores", c.Keyspace)
	}
	if c.LocalDC != "" && !isDataCentre(c.LocalDC) {
		bad("local_dc", "%q is not the name of a data centre", c.LocalDC)
	}
	for _, dc := range slices.Sorted(maps.Keys(c.Replication)) {
		switch n := c.Replication[dc]; {
		case !isDataCentre(dc):
			bad("replication", "%q is not the name of a data centre", dc)
		case n < 1:
			bad("replication", "%d replicas in data centre %q: use at least 1, or leave the data centre out", n, dc)
		}
	}
	if (c.Username == "") != (c.PasswordFile == "") {
		bad("username", "and password_file: set both, or none for a database without authentication")
	}
	if !c.TLS.Enabled && c.TLS != (TLS{}) {
		bad("tls.enabled", "is false but other tls settings are there: set it to true, or remove them")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		bad("tls.cert_file", "and tls.key_file: set both, or none")
	}
	if t := time.Duration(c.RequestTimeout); t < minRequestTimeout || t > maxRequestTimeout {
		bad("request_timeout", "%s cannot be used: use %s to %s", t, minRequestTimeout, maxRequestTimeout)
	}
	if t := time.Duration(c.ConnectTimeout); t < 0 {
		bad("connect_timeout", "%s is negative: use 0s to wait for ever, or a longer time", t)
	}
	if c.Schema != SchemaApply && c.Schema != SchemaVerify {
		bad("schema", "%q is unknown: use %q or %q", c.Schema, SchemaApply, SchemaVerify)
	}
	return errors.Join(all...)
}

func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?$`).MatchString(host)
}

// isDataCentre tells whether name can be the name of a data centre. It goes into CQL as a
// quoted string.
func isDataCentre(name string) bool {
	return name != "" && strings.TrimSpace(name) == name &&
		!strings.ContainsAny(name, `'"\`) && !strings.ContainsFunc(name, unicode.IsControl)
}

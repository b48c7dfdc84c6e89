package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxShutdownDelay bounds ShutdownDelay.
const maxShutdownDelay = 5 * time.Minute

// Validate returns all that is wrong with a configuration, as Problems, or nil. It looks
// into no file.
func (c Config) Validate() error { return c.validate().err() }

func (c Config) validate() Problems {
	var p Problems
	c.checkPlace(&p)
	c.checkEncryption(&p)
	c.checkNames(&p)
	c.checkProxies(&p)
	c.checkDatabase(&p)
	c.checkPeers(&p)
	c.checkPins(&p)
	c.checkIssuers(&p)
	c.checkAPIKeys(&p)
	c.checkLogins(&p)
	c.checkPolicies(&p)
	c.checkAudit(&p)
	c.checkLimits(&p)
	c.checkEvents(&p)
	return p
}

// checkPlace checks where it listens and how it is reached.
func (c Config) checkPlace(p *Problems) {
	checkAddress(p, "listen", c.Listen, "127.0.0.1:9098")
	if c.MetricsListen != "" {
		checkAddress(p, "metrics_listen", c.MetricsListen, "127.0.0.1:9099")
		// Who means everybody says so.
		if host, port, err := net.SplitHostPort(c.MetricsListen); err == nil && host == "" {
			p.add("metrics_listen", "%.100q would tell everybody who reaches this machine: use 127.0.0.1:%s, or 0.0.0.0:%[2]s if that is meant", c.MetricsListen, port)
		}
	}
	if d := time.Duration(c.ShutdownDelay); d < 0 || d > maxShutdownDelay {
		p.add("shutdown_delay", "%s cannot be used: use 0s to %s", d, maxShutdownDelay)
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		p.add("public_url", "is not a URL: write https:// and the host that clients know")
	case u.User != nil:
		p.add("public_url", "names a user: remove it")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.Contains(c.PublicURL, "#"):
		p.add("public_url", "%.200q goes on after the host: remove what follows, and a slash at the end, too", c.PublicURL)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		p.add("public_url", "%.200q is not encrypted: use https://, as http:// is for this machine only", c.PublicURL)
	case u.Scheme != "https" && u.Scheme != "http":
		p.add("public_url", "%.200q is neither https:// nor http://: use https://", c.PublicURL)
	}
}

// checkAddress checks what is listened on.
func checkAddress(p *Problems, field, address, example string) {
	if _, port, err := net.SplitHostPort(address); err != nil {
		p.add(field, "%.100q is not an address and a port: write it as in %s", address, example)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		p.add(field, "%.100q has no port: use 0 to 65535", address)
	}
}

// checkEncryption refuses what lets somebody between read credentials.
func (c Config) checkEncryption(p *Problems) {
	checkPair(p, "tls.", c.TLS.CertFile, c.TLS.KeyFile)
	switch host, _, err := net.SplitHostPort(c.Listen); {
	case c.Environment != Live || err != nil || isLoopback(host):
	case c.TLS == (TLS{}) && len(c.TrustedProxies) == 0:
		p.add("tls.cert_file", "is empty, and credentials would come to %s without encryption: set it and tls.key_file, or listen on 127.0.0.1, "+
			"or name the proxy that encrypts in trusted_proxies", c.Listen)
	}
}

// checkPair checks a certificate that has a key.
func checkPair(p *Problems, section, cert, key string) {
	if cert != "" && key == "" {
		p.add(section+"key_file", "is empty but %scert_file is set: set both, or none", section)
	}
	if cert == "" && key != "" {
		p.add(section+"cert_file", "is empty but %skey_file is set: set both, or none", section)
	}
}

func (c Config) checkNames(p *Problems) {
	if c.Environment != Live && c.Environment != Test {
		p.add("environment", "%.100q is unknown: use %q or %q", c.Environment, Live, Test)
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`).MatchString(c.Name) {
		p.add("name", "%.100q cannot be used: use at most 32 lower-case letters, digits and dashes", c.Name)
	}
	if !regexp.MustCompile(`^[ !#-\[\]-~]{1,100}$`).MatchString(c.Realm) {
		p.add("realm", "%.100q cannot be used: use at most 100 letters, digits and signs of ASCII, without quotes and backslashes", c.Realm)
	}
}

func (c Config) checkProxies(p *Problems) {
	for i, text := range c.TrustedProxies {
		switch network, err := parseNetwork(text); {
		case err != nil:
			p.addAt("trusted_proxies", i, "%.100q is not a network: write it as in 10.0.0.0/8, or an address", text)
		case network.Bits() == 0:
			p.addAt("trusted_proxies", i, "%s is everybody, who could then say to come from anywhere: name the networks of the proxies", network)
		}
	}
}

// Proxies returns the networks of TrustedProxies, of a configuration that is valid.
func (c Config) Proxies() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.TrustedProxies {
		if network, err := parseNetwork(text); err == nil {
			networks = append(networks, network)
		}
	}
	return networks
}

// parseNetwork reads a network, or an address as one of its own.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}

// checkDatabase takes over what the room of the database says.
func (c Config) checkDatabase(p *Problems) {
	var all []error
	if err := c.Database.Validate(); err != nil {
		all = []error{err}
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			all = several.Unwrap()
		}
	}
	for _, err := range all {
		field, text, _ := strings.Cut(err.Error(), " ")
		p.add(field, "%s", text)
	}
}

func (c Config) checkPeers(p *Problems) {
	if len(c.Peers.URLs) == 0 {
		p.add("peers.urls", "is empty: name the REST API of at least one peer, as http://127.0.0.1:9094")
	}
	for i, text := range c.Peers.URLs {
		u := checkURL(p, "peers.urls", i, text, "http", "https", "unix")
		if u != nil && u.Scheme == "http" && c.Peers.CAFile != "" {
			p.add("peers.ca_file", "is set, and %s is not https://: use https://, or remove it", u)
		}
	}
	if strings.Contains(c.Peers.Username, ":") {
		p.add("peers.username", "has a colon, which basic authentication has no way to send: use another")
	}
	if c.Peers.Username != "" && c.Peers.PasswordFile == "" {
		p.add("peers.password_file", "is empty but peers.username is set: set both, or none")
	}
	if c.Peers.Username == "" && c.Peers.PasswordFile != "" {
		p.add("peers.username", "is empty but peers.password_file is set: set both, or none")
	}
}

// checkURL checks one of a list of URLs and returns it, or nil. A password in it is not
// shown.
func checkURL(p *Problems, field string, i int, text string, schemes ...string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || (u.Host == "") != (u.Scheme == "unix") || u.Scheme == "unix" && u.Path == "":
		p.addAt(field, i, "is not a URL: write it as in %s://host:port", schemes[0])
	case u.User != nil:
		p.addAt(field, i, "has a user or a password in it: secrets are in files of their own")
	case !slices.Contains(schemes, u.Scheme):
		p.addAt(field, i, "%s is of another kind: use %s://", u, strings.Join(schemes, ":// or "))
	case u.RawQuery != "" || u.Fragment != "":
		p.addAt(field, i, "has a query or a fragment: remove it")
	default:
		return u
	}
	return nil
}

// checkPins has upstream's rules for replication.
func (c Config) checkPins(p *Problems) {
	switch low, high := c.Pins.ReplMin, c.Pins.ReplMax; {
	case low == -1 && high == -1, low == 0 && high == 0, low > 0 && high >= low:
	default:
		p.add("pins.repl_min", "%d and pins.repl_max %d do not go together: use 1 or more with repl_min not above repl_max, or -1 for both, or 0 for both", low, high)
	}
	if c.Pins.MaxRepl < 0 || c.Pins.MaxRepl > 0 && c.Pins.ReplMax > c.Pins.MaxRepl {
		p.add("pins.max_repl", "%d is negative or below pins.repl_max: use 0 for the default, or more", c.Pins.MaxRepl)
	}
}

// isLoopback tells whether a host is this machine and nothing else.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

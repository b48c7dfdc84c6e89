package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// maxShutdownDelay bounds ShutdownDelay.
const maxShutdownDelay = 5 * time.Minute

// Validate returns all that is wrong with a configuration, as Problems, or nil. It looks
// into no file.
func (c Config) Validate() error { return c.validate().Err() }

func (c Config) validate() Problems {
	var p Problems
	c.checkPlace(&p)
	c.checkEncryption(&p)
	c.checkNames(&p)
	c.checkProxies(&p)
	p.AddAll(c.Database.Validate())
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
	settings.CheckAddress(p, "listen", c.Listen, "127.0.0.1:9098")
	settings.CheckOperators(p, "metrics_listen", c.MetricsListen, "127.0.0.1:9099")
	if d := time.Duration(c.ShutdownDelay); d < 0 || d > maxShutdownDelay {
		p.Add("shutdown_delay", "%s cannot be used: use 0s to %s", d, maxShutdownDelay)
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		p.Add("public_url", "is not a URL: write https:// and the host that clients know")
	case u.User != nil:
		p.Add("public_url", "names a user: remove it")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.Contains(c.PublicURL, "#"):
		p.Add("public_url", "%.200q goes on after the host: remove what follows, and a slash at the end, too", c.PublicURL)
	case u.Scheme == "http" && !settings.IsLoopback(u.Hostname()):
		p.Add("public_url", "%.200q is not encrypted: use https://, as http:// is for this machine only", c.PublicURL)
	case u.Scheme != "https" && u.Scheme != "http":
		p.Add("public_url", "%.200q is neither https:// nor http://: use https://", c.PublicURL)
	}
}

// checkEncryption refuses what lets somebody between read credentials.
func (c Config) checkEncryption(p *Problems) {
	settings.CheckPair(p, "tls.", c.TLS.CertFile, c.TLS.KeyFile)
	switch host, _, err := net.SplitHostPort(c.Listen); {
	case c.Environment != Live || err != nil || settings.IsLoopback(host):
	case c.TLS == (TLS{}) && len(c.TrustedProxies) == 0:
		p.Add("tls.cert_file", "is empty, and credentials would come to %s without encryption: set it and tls.key_file, or listen on 127.0.0.1, "+
			"or name the proxy that encrypts in trusted_proxies", c.Listen)
	}
}

func (c Config) checkNames(p *Problems) {
	if c.Environment != Live && c.Environment != Test {
		p.Add("environment", "%.100q is unknown: use %q or %q", c.Environment, Live, Test)
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`).MatchString(c.Name) {
		p.Add("name", "%.100q cannot be used: use at most 32 lower-case letters, digits and dashes", c.Name)
	}
	if !regexp.MustCompile(`^[ !#-\[\]-~]{1,100}$`).MatchString(c.Realm) {
		p.Add("realm", "%.100q cannot be used: use at most 100 letters, digits and signs of ASCII, without quotes and backslashes", c.Realm)
	}
}

func (c Config) checkProxies(p *Problems) {
	for i, text := range c.TrustedProxies {
		switch network, err := parseNetwork(text); {
		case err != nil:
			p.AddAt("trusted_proxies", i, "%.100q is not a network: write it as in 10.0.0.0/8, or an address", text)
		case network.Bits() == 0:
			p.AddAt("trusted_proxies", i, "%s is everybody, who could then say to come from anywhere: name the networks of the proxies", network)
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

func (c Config) checkPeers(p *Problems) {
	if len(c.Peers.URLs) == 0 {
		p.Add("peers.urls", "is empty: name the REST API of at least one peer, as http://127.0.0.1:9094")
	}
	for i, text := range c.Peers.URLs {
		u := settings.CheckURL(p, fmt.Sprintf("peers.urls[%d]", i), text, "http", "https", "unix")
		if u != nil && u.Scheme == "http" && c.Peers.CAFile != "" {
			p.Add("peers.ca_file", "is set, and %s is not https://: use https://, or remove it", u)
		}
	}
	if strings.Contains(c.Peers.Username, ":") {
		p.Add("peers.username", "has a colon, which basic authentication has no way to send: use another")
	}
	if c.Peers.Username != "" && c.Peers.PasswordFile == "" {
		p.Add("peers.password_file", "is empty but peers.username is set: set both, or none")
	}
	if c.Peers.Username == "" && c.Peers.PasswordFile != "" {
		p.Add("peers.username", "is empty but peers.password_file is set: set both, or none")
	}
}

// checkPins has upstream's rules for replication.
func (c Config) checkPins(p *Problems) {
	switch low, high := c.Pins.ReplMin, c.Pins.ReplMax; {
	case low == -1 && high == -1, low == 0 && high == 0, low > 0 && high >= low:
	default:
		p.Add("pins.repl_min", "%d and pins.repl_max %d do not go together: use 1 or more with repl_min not above repl_max, or -1 for both, or 0 for both", low, high)
	}
	if c.Pins.MaxRepl < 0 || c.Pins.MaxRepl > 0 && c.Pins.ReplMax > c.Pins.MaxRepl {
		p.Add("pins.max_repl", "%d is negative or below pins.repl_max: use 0 for the default, or more", c.Pins.MaxRepl)
	}
}

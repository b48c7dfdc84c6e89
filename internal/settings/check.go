package settings

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckAddress checks what is listened on.
func CheckAddress(p *Problems, field, address, example string) {
	if _, port, err := net.SplitHostPort(address); err != nil {
		p.Add(field, "%.100q is not an address and a port: write it as in %s", address, example)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		p.Add(field, "%.100q has no port: use 0 to 65535", address)
	}
}

// CheckOperators checks where those who run the program are told of it, nowhere if it is empty.
func CheckOperators(p *Problems, field, address, example string) {
	if address == "" {
		return
	}
	CheckAddress(p, field, address, example)
	// Who means everybody says so.
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		p.Add(field, "%.100q would tell everybody who reaches this machine: use 127.0.0.1:%s, or 0.0.0.0:%[2]s if that is meant", address, port)
	}
}

// CheckPair checks a certificate that has a key.
func CheckPair(p *Problems, section, cert, key string) {
	if cert != "" && key == "" {
		p.Add(section+"key_file", "is empty but %scert_file is set: set both, or none", section)
	}
	if cert == "" && key != "" {
		p.Add(section+"cert_file", "is empty but %skey_file is set: set both, or none", section)
	}
}

// AddAll takes over what a room says of its own section: an error, or several that are joined, each
// beginning with the path of its field.
func (p *Problems) AddAll(err error) {
	if err == nil {
		return
	}
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	for _, err := range all {
		field, text, _ := strings.Cut(err.Error(), " ")
		p.Add(field, "%s", text)
	}
}

// CheckURL checks a URL and returns it, or nil. A password in it is not shown.
func CheckURL(p *Problems, field, text string, schemes ...string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || (u.Host == "") != (u.Scheme == "unix") || u.Scheme == "unix" && u.Path == "":
		p.Add(field, "is not a URL: write it as in %s://host:port", schemes[0])
	case u.User != nil:
		p.Add(field, "has a user or a password in it: secrets are in files of their own")
	case !slices.Contains(schemes, u.Scheme):
		p.Add(field, "%s is of another kind: use %s://", u, strings.Join(schemes, ":// or "))
	case u.RawQuery != "" || u.Fragment != "":
		p.Add(field, "has a query or a fragment: remove it")
	default:
		return u
	}
	return nil
}

// IsLoopback tells whether a host is this machine and nothing else.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

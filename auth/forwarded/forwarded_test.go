package forwarded

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

func request(remote string, header string, values ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: make(http.Header)}
	for _, v := range values {
		r.Header.Add(header, v)
	}
	return r
}

func TestAddress(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		name    string
		proxies Proxies
		remote  string
		values  []string
		want    string
	}{
		{"no proxy", nil, "192.0.2.1:1234", nil, "192.0.2.1"},
		{"a header, and no proxy is trusted", nil, "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"a header from somebody else", proxies, "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"a proxy", proxies, "10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a proxy by IPv6", proxies, "[fd00::1]:1234", []string{"2001:db8::7"}, "2001:db8::7"},
		{"a proxy as an IPv4 address in IPv6", proxies, "[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"what the client wrote before", proxies, "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"in a line of its own", proxies, "10.0.0.1:1234", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		{"two proxies", proxies, "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"nothing but proxies", proxies, "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a proxy without a header", proxies, "10.0.0.1:1234", nil, "10.0.0.1"},
		{"an empty header", proxies, "10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"no address", proxies, "10.0.0.1:1234", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"no address before the proxy", proxies, "10.0.0.1:1234", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"with a port", proxies, "10.0.0.1:1234", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"in brackets, with a port", proxies, "10.0.0.1:1234", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"in brackets", proxies, "10.0.0.1:1234", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"with a zone", proxies, "10.0.0.1:1234", []string{"fe80::1%eth0"}, "fe80::1"},
		{"a connection without an address", proxies, "@", []string{"198.51.100.7"}, "invalid IP"},
	} {
		if got := tc.proxies.Address(request(tc.remote, "X-Forwarded-For", tc.values...)).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestTLS(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tc := range []struct {
		name   string
		remote string
		here   bool
		values []string
		want   bool
	}{
		{"in the clear", "192.0.2.1:1", false, nil, false},
		{"encrypted", "192.0.2.1:1", true, nil, true},
		{"somebody else's word", "192.0.2.1:1", false, []string{"https"}, false},
		{"a proxy's word", "10.0.0.1:1", false, []string{"https"}, true},
		{"a proxy's word against it", "10.0.0.1:1", true, []string{"http"}, false},
		{"a proxy that says nothing", "10.0.0.1:1", true, nil, false},
		{"two words", "10.0.0.1:1", false, []string{"https", "http"}, false},
	} {
		r := request(tc.remote, "X-Forwarded-Proto", tc.values...)
		if tc.here {
			r.TLS = &tls.ConnectionState{}
		}
		if got := proxies.TLS(r); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// FuzzAddress: from somebody who is not trusted, no header moves the address.
func FuzzAddress(f *testing.F) {
	f.Add("203.0.113.9, 198.51.100.7")
	f.Add("[::1]:1,,")
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, header string) {
		if got := proxies.Address(request("192.0.2.1:1", "X-Forwarded-For", header)); got != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%q makes %v", header, got)
		}
		// What a client writes is before what the proxy adds, and changes nothing.
		if got := proxies.Address(request("10.0.0.1:1", "X-Forwarded-For", header, "198.51.100.7")); got != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("%q makes %v", header, got)
		}
	})
}

// Package forwarded says where a request comes from that may have been passed on by proxies.
//
// Promised: a header counts only as far as proxies that are trusted have written it. Whoever
// connects from elsewhere, or writes more into the header than his proxy does, is taken for
// who he is.
package forwarded

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of proxies that are trusted. The zero value trusts none.
type Proxies []netip.Prefix

// Address returns where a request comes from: the last address in X-Forwarded-For that is
// not a trusted proxy's, and the connection's if that is not one. Where the header says
// something that is no address, the one after it counts. Zero if even the connection has none.
func (p Proxies) Address(r *http.Request) netip.Addr {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := connection.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trusts(from); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		from = hop
	}
	return from
}

// TLS tells whether the client's connection is encrypted: that to here, or, behind a trusted
// proxy, the one that its X-Forwarded-Proto tells of.
func (p Proxies) TLS(r *http.Request) bool {
	connection, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(connection.Addr().Unmap().WithZone("")) {
		return r.TLS != nil
	}
	schemes := r.Header.Values("X-Forwarded-Proto")
	return len(schemes) == 1 && strings.EqualFold(schemes[0], "https")
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads an address as proxies write it: some add a port.
func parseHop(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(text)
	return ap.Addr().Unmap().WithZone(""), err == nil
}

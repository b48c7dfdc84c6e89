package routes

import (
	"bufio"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// read reads a request as a server would.
func read(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Skip("no request to a server: ", err)
	}
	return r
}

func request(t testing.TB, line string, headers ...string) *http.Request {
	t.Helper()
	return read(t, line+" HTTP/1.1\r\nHost: gateway\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
}

func TestMatch(t *testing.T) {
	native, pinning := Native(), Pinning()
	for _, test := range []struct {
		table *Table
		line  string
		name  string
		vars  map[string]string
	}{
		{native, "GET /id", "ID", nil},
		{native, "GET /pins", "StatusAll", nil},
		{native, "GET /pins?local=true&filter=pinned", "StatusAll", nil},
		{native, "GET /pins/bafy", "Status", map[string]string{"hash": "bafy"}},
		{native, "POST /pins/bafy", "Pin", map[string]string{"hash": "bafy"}},
		{native, "DELETE /pins/bafy", "Unpin", map[string]string{"hash": "bafy"}},
		{native, "POST /pins/bafy/recover", "Recover", map[string]string{"hash": "bafy"}},
		{native, "POST /pins/recover", "RecoverAll", nil},
		{native, "POST /pins/ipfs", "Pin", map[string]string{"hash": "ipfs"}},
		{native, "POST /pins/ipfs/recover", "Recover", map[string]string{"hash": "ipfs"}},
		{native, "POST /pins/ipfs/bafy/a/b", "PinPath", map[string]string{"keyType": "ipfs", "path": "bafy/a/b"}},
		{native, "DELETE /pins/ipns/example.org", "UnpinPath", map[string]string{"keyType": "ipns", "path": "example.org"}},
		{native, "GET /monitor/metrics", "MetricNames", nil},
		{native, "GET /monitor/metrics/tag:region", "Metrics", map[string]string{"name": "tag:region"}},
		{native, "DELETE /peers/12D3Koo", "PeerRemove", map[string]string{"peer": "12D3Koo"}},
		{native, "GET /health", "Health", nil},
		{pinning, "GET /pins", "ListPins", nil},
		{pinning, "POST /pins/r-1", "ReplacePin", map[string]string{"requestID": "r-1"}},
	} {
		r, err := test.table.Match(request(t, test.line))
		if err != nil || r.Name != test.name || !maps.Equal(r.Vars, test.vars) {
			t.Errorf("%s: %s %v %v", test.line, r.Name, r.Vars, err)
		}
	}
}

func TestNoMatch(t *testing.T) {
	for line, want := range map[string]error{
		"GET /":                           ErrNotFound,
		"GET /pins/":                      ErrNotFound,
		"GET /pins/bafy/":                 ErrNotFound,
		"POST /pins/ipfs/bafy/":           ErrNotFound,
		"GET /Pins":                       ErrNotFound,
		"GET /pins/a/b":                   ErrNotFound,
		"POST /pins/ip/bafy/a":            ErrNotFound,
		"GET /api/v0/pin/ls":              ErrNotFound,
		"GET /debug/pprof":                ErrNotFound,
		"GET /metrics":                    ErrNotFound,
		"GET //pins":                      ErrMalformed,
		"GET /pins//bafy":                 ErrMalformed,
		"GET /pins/../peers":              ErrMalformed,
		"GET /pins/./bafy":                ErrMalformed,
		"GET /pins/..":                    ErrMalformed,
		"GET /pins/...":                   ErrMalformed,
		"GET /pins/%2e%2e/peers":          ErrMalformed,
		"GET /pins/%2E%2E%2Fpeers":        ErrMalformed,
		"GET /pins%2Fbafy":                ErrMalformed,
		"GET /%70ins":                     ErrMalformed,
		"GET /pins/%252e%252e":            ErrMalformed,
		"GET /pins/a%20b":                 ErrMalformed,
		"GET /pins/a%00":                  ErrMalformed,
		"GET /pins/a;x=y":                 ErrMalformed,
		"GET /pins/a\\..\\b":              ErrMalformed,
		"GET /pins/é":                     ErrMalformed,
		"GET /pins/%c0%ae%c0%ae":          ErrMalformed,
		"GET http://other/pins":           ErrMalformed,
		"GET http://gateway/pins":         ErrMalformed,
		"OPTIONS *":                       ErrMalformed,
		"GET /pins?a=%zz":                 ErrMalformed,
		"GET /pins?a;b":                   ErrMalformed,
		"GET /pins?" + long(MaxQuery+1):   ErrMalformed,
		"GET /" + long(MaxPath):           ErrMalformed,
		"GET /pins/" + long(MaxSegment+1): ErrMalformed,
	} {
		if r, err := Native().Match(request(t, line)); !errors.Is(err, want) {
			t.Errorf("%.60s: %s, %v, want %v", line, r.Name, err, want)
		}
	}
	if _, err := Native().Match(request(t, "CONNECT gateway:443")); !errors.Is(err, ErrMalformed) {
		t.Errorf("CONNECT: %v", err)
	}
	if _, err := Native().Match(request(t, "GET /pins/"+long(MaxSegment))); err != nil {
		t.Errorf("at the bound: %v", err)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

func TestOtherMethods(t *testing.T) {
	for line, want := range map[string][]string{
		"PUT /pins/bafy":  {"DELETE", "GET", "POST"},
		"HEAD /id":        {"GET"},
		"get /id":         {"GET"},
		"OPTIONS /pins":   {"GET"},
		"PATCH /peers":    {"GET", "POST"},
		"DELETE /pins":    {"GET"},
		"GET /ipfs/gc":    {"POST"},
		"TRACE /health":   {"GET"},
		"POST /id":        {"GET"},
		"DELETE /ipfs/gc": {"POST"},
	} {
		_, err := Native().Match(request(t, line))
		var method *MethodError
		if !errors.As(err, &method) || !slices.Equal(method.Allow, want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	for header, ok := range map[string]bool{
		"Accept: */*":                                  true,
		"Connection: keep-alive":                       true,
		"Connection: close, TE":                        true,
		"Connection: Keep-Alive, ":                     true,
		"X-Forwarded-For: 192.0.2.1":                   true,
		"X-HTTP-Method-Override: DELETE":               false,
		"x-http-method: DELETE":                        false,
		"X-Method-Override:":                           false,
		"X-Original-URL: /peers":                       false,
		"X-Rewrite-URL: /peers":                        false,
		"Upgrade: h2c":                                 false,
		"HTTP2-Settings: AAMAAABkAAQAAP__":             false,
		"Connection: Upgrade":                          false,
		"Connection: Authorization":                    false,
		"Connection: close, X-Forwarded-For":           false,
		"Connection: close\r\nConnection: Traceparent": false,
	} {
		if _, err := Native().Match(request(t, "GET /id", header)); (err == nil) != ok {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestOutbound(t *testing.T) {
	in := http.Header{
		"Accept": {"a", "b"}, "Content-Type": {"multipart/form-data"}, "Traceparent": {"00-1"},
		"Authorization": {"Bearer x"}, "Cookie": {"session=x"}, "X-Auth-User": {"root"}, "X-Forwarded-User": {"root"},
		"X_tenant": {"t2"}, "X-Tenant": {"t2"}, "Connection": {"close"}, "Proxy-Authorization": {"x"}, "Signature": {"x"},
		"X-Forwarded-For": {"127.0.0.1"}, "Transfer-Encoding": {"chunked"}, "Te": {"trailers"}, "Trailer": {"X"},
	}
	out := Outbound(in)
	if len(out) != 3 || out.Get("Accept") != "a" || len(out["Accept"]) != 1 || out.Get("Traceparent") != "00-1" {
		t.Errorf("%v", out)
	}
}

package login

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
)

// far is an issuer that is asked without a network, so that time can be made to pass.
type far struct {
	status  int
	headers http.Header
	body    string
	asked   []string
}

// RoundTrip implements http.RoundTripper.
func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, r.URL.String())
	return &http.Response{StatusCode: f.status, Status: http.StatusText(f.status), Header: f.headers, Body: io.NopCloser(strings.NewReader(f.body)), Request: r}, nil
}

const farURL = "https://issuer.example/"

func document(change map[string]string) string {
	all := map[string]string{"issuer": farURL, "authorization_endpoint": farURL + "a", "token_endpoint": farURL + "t", "jwks_uri": farURL + "k"}
	for name, value := range change {
		all[name] = value
	}
	text, _ := json.Marshal(all)
	return string(text)
}

func farProvider(f *far) *provider {
	p := Provider{Issuer: jwt.Issuer{URL: farURL, Algorithms: []string{"RS256"}}, ClientID: "c"}
	return newProvider(p, "https://pins.example.com/auth/oidc/callback", &http.Client{Transport: f})
}

// TestDiscovery: an issuer is asked once an hour, and every 5 seconds while it does not
// answer; what it said before stays.
func TestDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &far{status: http.StatusBadGateway, body: strings.Repeat("x", 1000)}
		p := farProvider(f)
		want := func(asked int, ok bool) {
			t.Helper()
			_, err := p.discover(t.Context())
			if (err == nil) != ok || len(f.asked) != asked {
				t.Fatalf("after %d questions, not %d: %v", len(f.asked), asked, err)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		}
		want(1, false)
		time.Sleep(undiscoveredFor - 1)
		want(1, false)
		f.status, f.body = http.StatusOK, document(nil)
		time.Sleep(time.Nanosecond)
		want(2, true)
		time.Sleep(discoveredFor - 1)
		want(2, true)
		f.status = http.StatusBadGateway
		time.Sleep(time.Nanosecond)
		want(3, true)
		time.Sleep(undiscoveredFor)
		want(4, true)
	})
}

// TestDiscoveryRefused: nothing that an issuer says makes us send a secret anywhere but by
// https, or follow it to another place, or read without end.
func TestDiscoveryRefused(t *testing.T) {
	for name, f := range map[string]*far{
		"tokens by http":        {status: 200, body: document(map[string]string{"token_endpoint": "http://issuer.example/t"})},
		"login by http":         {status: 200, body: document(map[string]string{"authorization_endpoint": "http://issuer.example/a"})},
		"login by script":       {status: 200, body: document(map[string]string{"authorization_endpoint": "javascript:alert(1)"})},
		"keys by http":          {status: 200, body: document(map[string]string{"jwks_uri": "http://issuer.example/k"})},
		"no keys":               {status: 200, body: document(map[string]string{"jwks_uri": ""})},
		"another issuer":        {status: 200, body: document(map[string]string{"issuer": "https://issuer.example"})},
		"moved":                 {status: 302, headers: http.Header{"Location": {"https://evil.example/"}}, body: document(nil)},
		"more than is read":     {status: 200, body: document(map[string]string{"x": strings.Repeat("x", maxDocument)})},
		"not what was asked":    {status: 200, body: "<html>"},
		"a user in the address": {status: 200, body: document(map[string]string{"token_endpoint": "https://issuer.example@evil.example/t"})},
	} {
		if _, err := farProvider(f).discover(t.Context()); err == nil || len(f.asked) != 1 {
			t.Errorf("%s: no error, or %d questions", name, len(f.asked))
		}
	}
	if _, err := farProvider(&far{status: 200, body: document(nil)}).discover(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, text := range []string{"", "pins.example.com", "https://pins.example.com/", "https://pins.example.com/x", "ftp://pins.example.com", "https://u@pins.example.com", "https://pins.example.com?x", "https://pins.example.com#x"} {
		if checkGateway(text) == nil {
			t.Errorf("%q is the URL of a gateway", text)
		}
	}
	for _, text := range []string{"https://pins.example.com", "http://127.0.0.1:8080", "https://[::1]:8443"} {
		if err := checkGateway(text); err != nil {
			t.Error(err)
		}
	}
	if _, err := New(Config{Gateway: "https://pins.example.com"}); err == nil {
		t.Error("logins without a door")
	}
}

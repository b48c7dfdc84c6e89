package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/pinningsuite"
)

// stockPasses are the checks of the suite of the Pinning Services API that stock passes:
// docs/pinning-service.md says why it does not pass the others. Ours passes all.
var stockPasses = map[string]bool{
	"Request with no authentication token":       true,
	"Request with invalid token":                 true,
	"Pins post of CID ":                          true,
	"List pin objects (GET /pins) in all states": true,
	"Can create and replace a pin's CID":         true,
	"Can create a pin with name=":                true,
}

// TestPinningCompliance runs the suite on a peer's Pinning Services API, and on that of
// stock beside it.
func TestPinningCompliance(t *testing.T) {
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): the suite makes one request a second; the tests of peer/pinsvc make such requests, too")
	}
	t.Parallel()
	suite := pinningsuite.Install(t)
	vars := map[string]string{"CLUSTER_PINSVCAPI_BASICAUTHCREDENTIALS": "user:password"}
	server := cqltest.Start(t)
	for _, tt := range []struct {
		name   string
		binary string
		init   func(t *testing.T, k *ipfs) *peer
		passes func(check string) bool
	}{
		{"ours", service, func(t *testing.T, k *ipfs) *peer { return newPeer(t, on(t, server), k, vars) }, func(string) bool { return true }},
		{"stock", stock, func(t *testing.T, k *ipfs) *peer { return initPeer(t, stock, k, vars, "--consensus", "crdt") }, func(check string) bool { return stockPasses[check] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := startKubo(t)
			announcing(t, k)
			p := tt.init(t, k)
			p.startAs(t, tt.binary)
			api := p.pinsvcURL(t)
			result := suite.Run(t, pinningsuite.Target{API: api, Token: pinningToken(t, api), IPFS: k.url})
			for _, check := range result.Checks {
				if want := tt.passes(check.Title); check.Passed != want {
					t.Errorf("%s: passed: %v, want %v", check.Title, check.Passed, want)
				}
			}
			if t.Failed() {
				t.Log(result.Report)
			}
			p.stop(t)
		})
	}
}

// announcing puts a proxy before an IPFS daemon, which adds an address to those that it
// has: a peer names no others than public ones as delegates.
func announcing(t *testing.T, k *ipfs) {
	t.Helper()
	daemon, err := url.Parse(k.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: daemon.Scheme, Host: daemon.Host}) },
		ModifyResponse: func(res *http.Response) error {
			if res.Request.URL.Path != "/api/v0/id" {
				return nil
			}
			var id map[string]any
			if err := json.NewDecoder(res.Body).Decode(&id); err != nil {
				return err
			}
			id["Addresses"] = []string{fmt.Sprintf("/dns4/ipfs.example/tcp/4001/p2p/%s", id["ID"])}
			text, err := json.Marshal(id)
			res.Body = io.NopCloser(bytes.NewReader(text))
			res.ContentLength = int64(len(text))
			res.Header.Set("Content-Length", strconv.Itoa(len(text)))
			return err
		},
	})
	t.Cleanup(proxy.Close)
	address, port, err := net.SplitHostPort(proxy.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	k.api = fmt.Sprintf("/ip4/%s/tcp/%s", address, port)
}

// pinningToken gets a token, with the password of the configuration.
func pinningToken(t *testing.T, api string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, api+"/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("user", "password")
	res, err := newHTTPClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: %s: %v", res.Status, err)
	}
	return answer.Token
}

package pinsvc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// service is an API over a cluster in memory.
type service struct {
	*cluster
	t      *testing.T
	api    *API
	url    string
	header http.Header // of each request
}

func newService(t *testing.T, change ...func(*pinsvcapi.Config)) *service {
	t.Helper()
	cfg := pinsvcapi.NewConfig()
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	addr, err := ma.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTPListenAddr = []ma.Multiaddr{addr}
	for _, f := range change {
		f(cfg)
	}
	a, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	s := &service{cluster: &cluster{pins: make(map[api.Cid]api.Pin), says: make(map[api.Cid][]api.TrackerStatus)}, t: t, api: a}
	server := rpc.NewServer(nil, "")
	for name, of := range map[string]any{"Cluster": clusterRPC{s.cluster}, "Consensus": consensusRPC{somePeers(2)}} {
		if err := server.RegisterName(name, of); err != nil {
			t.Fatal(err)
		}
	}
	a.SetClient(rpc.NewClientWithServer(nil, "", server))
	addrs, err := a.HTTPAddresses()
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + addrs[0]
	return s
}

// call makes a request, and decodes the answer into out if it has the wanted status. It
// returns the header of the answer.
func (s *service) call(method, path, body string, want int, out any) http.Header {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = s.header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != want {
		s.t.Errorf("%s %s: %s %s, want %d", method, path, res.Status, text, want)
		return res.Header
	}
	if want >= 400 {
		var e pinsvc.APIError
		if err := json.Unmarshal(text, &e); err != nil || e.Details.Reason == "" || e.Details.Details == "" {
			s.t.Errorf("%s %s: the body of the failure is %s", method, path, text)
		}
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			s.t.Errorf("%s %s: %s: %s", method, path, text, err)
		}
	}
	return res.Header
}

// add pins.
func (s *service) add(label string) pinsvc.PinStatus {
	s.t.Helper()
	var got pinsvc.PinStatus
	s.call(http.MethodPost, "/pins", fmt.Sprintf(`{"cid": %q, "name": %q, "meta": {"of": "test"}}`, statetest.Cid(label), label), http.StatusAccepted, &got)
	return got
}

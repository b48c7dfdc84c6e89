package multipeer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/common"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	"github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/pinsvc"
)

// server is an API of upstream.
type server interface {
	HTTPAddresses() ([]string, error)
	Shutdown(ctx context.Context) error
}

// serve starts the REST API and the Pinning Services API of a peer, as package
// service does, and returns their addresses.
func (n *node) serve(t *testing.T) (restURL, pinsURL string) {
	t.Helper()
	restCfg, pinsCfg := rest.NewConfig(), pinsvcapi.NewConfig()
	must(t, restCfg.Default())
	must(t, pinsCfg.Default())
	for _, cfg := range []*common.Config{&restCfg.Config, &pinsCfg.Config} {
		anyPort, err := multiaddr.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
		must(t, err)
		cfg.HTTPListenAddr = []multiaddr.Multiaddr{anyPort}
	}
	ctx := context.WithoutCancel(t.Context())
	restAPI, err := rest.NewAPI(ctx, restCfg)
	must(t, err)
	pinsAPI, err := pinsvc.New(ctx, pinsCfg)
	must(t, err)
	restAPI.SetClient(n.client)
	pinsAPI.SetClient(n.client)
	return address(t, restAPI), address(t, pinsAPI)
}

// address is that of an API, which ends with the test.
func address(t *testing.T, s server) string {
	t.Helper()
	t.Cleanup(func() {
		if err := withTimeout(s.Shutdown); err != nil {
			t.Errorf("ending an API: %s", err)
		}
	})
	at, err := s.HTTPAddresses()
	must(t, err)
	return "http://" + at[0]
}

// answer is what a request for a list of pins got.
type answer struct {
	status  int
	retry   string // the header Retry-After
	entries []api.GlobalPinInfo
	// err is that in the body or in the trailer.
	err string
}

// whole reports whether the answer looks like one that is complete.
func (a answer) whole() bool { return a.status < 300 && a.err == "" }

func (a answer) String() string {
	return fmt.Sprintf("status %d, %d entries, error %q", a.status, len(a.entries), a.err)
}

// get makes a request to an API, whose answer is a stream of entries or an error.
func get(url string) (a answer) {
	res, err := http.Get(url)
	if err != nil {
		return answer{err: err.Error()}
	}
	defer res.Body.Close()
	a = answer{status: res.StatusCode, retry: res.Header.Get("Retry-After")}
	if res.StatusCode >= 300 {
		text, err := io.ReadAll(res.Body)
		a.err = fmt.Sprintf("%s (%v)", text, err)
		return a
	}
	for dec := json.NewDecoder(res.Body); ; {
		var info api.GlobalPinInfo
		if err := dec.Decode(&info); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			a.err = err.Error()
			return a
		}
		a.entries = append(a.entries, info)
	}
	for _, text := range res.Trailer.Values("X-Stream-Error") {
		a.err += text
	}
	return a
}

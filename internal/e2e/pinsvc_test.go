package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
)

// pinsvcURL is the address of the Pinning Services API.
func (p *peer) pinsvcURL(t *testing.T) string {
	t.Helper()
	base, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(base.Port())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + net.JoinHostPort(base.Hostname(), strconv.Itoa(first+pinsvcPort))
}

// pinsvcClient is a client of a Pinning Services API with one connection, which it
// uses for one request after another.
type pinsvcClient struct {
	url    string
	client *http.Client
}

func newPinsvcClient(t *testing.T, p *peer) *pinsvcClient {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &pinsvcClient{url: p.pinsvcURL(t), client: &http.Client{Transport: transport}}
}

// do makes a request. in is sent as JSON unless it is nil, and out, which may be nil,
// is read from the answer. The error is a *refusal when the peer has answered.
func (c *pinsvcClient) do(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.url+path, body)
	if err != nil {
		return err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return &refusal{res.StatusCode, fmt.Sprintf("%sRetry-After: %q", text, res.Header.Get("Retry-After"))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("reading the answer %q: %w", text, err)
	}
	return nil
}

func (c *pinsvcClient) add(cid, name string) (made pinsvc.PinStatus, err error) {
	err = c.do(http.MethodPost, "/pins", map[string]string{"cid": cid, "name": name}, &made)
	return made, err
}

func (c *pinsvcClient) get(id string) (got pinsvc.PinStatus, err error) {
	err = c.do(http.MethodGet, "/pins/"+id, nil, &got)
	return got, err
}

func (c *pinsvcClient) remove(id string) error { return c.do(http.MethodDelete, "/pins/"+id, nil, nil) }

// list returns what a filter lists, and wants it to be no more than one page.
func (c *pinsvcClient) list(query url.Values) ([]pinsvc.PinStatus, error) {
	var list pinsvc.PinList
	if err := c.do(http.MethodGet, "/pins?"+query.Encode(), nil, &list); err != nil {
		return nil, err
	}
	if int(list.Count) != len(list.Results) {
		return nil, fmt.Errorf("the list has %d pins and says %d", len(list.Results), list.Count)
	}
	return list.Results, nil
}

// status returns what a peer says of a CID at each peer.
func (r *rest) status(cid string) (info api.GlobalPinInfo, err error) {
	err = r.do(http.MethodGet, "/pins/"+cid, func(value json.RawMessage) error { return json.Unmarshal(value, &info) })
	return info, err
}

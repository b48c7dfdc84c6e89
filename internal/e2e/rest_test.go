package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// clients is how many requests a load has under way at once.
const clients = 64

// newHTTPClient returns a client without a timeout: what a request ends with
// must come from the other side. Its connections end with the test.
func newHTTPClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// refusal is an answer of the REST API that is not a success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

// rest is a client of a peer's REST API. It is safe for concurrent use.
type rest struct {
	url    string
	client *http.Client
}

// do makes a request and hands every JSON value of the answer to item, which
// may be nil. The error is a *refusal when the peer has answered.
func (r *rest) do(method, path string, item func(json.RawMessage) error) error {
	req, err := http.NewRequest(method, r.url+path, nil)
	if err != nil {
		return err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, err := io.ReadAll(res.Body)
		return errors.Join(err, &refusal{res.StatusCode, string(text)})
	}
	for dec := json.NewDecoder(res.Body); ; {
		var value json.RawMessage
		if err := dec.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if item != nil {
			if err := item(value); err != nil {
				return err
			}
		}
	}
	// A list that breaks off says so behind its end, in one of the values.
	for _, text := range res.Trailer.Values("X-Stream-Error") {
		if text != "" {
			return &refusal{res.StatusCode, text}
		}
	}
	return nil
}

func (r *rest) pin(cid string, query url.Values) error {
	return r.do(http.MethodPost, "/pins/"+cid+"?"+query.Encode(), nil)
}

func (r *rest) unpin(cid string) error {
	return r.do(http.MethodDelete, "/pins/"+cid, nil)
}

// allocations returns the CIDs of the whole pinset.
func (r *rest) allocations() (map[string]bool, error) {
	pins := make(map[string]bool)
	err := r.do(http.MethodGet, "/allocations", func(value json.RawMessage) error {
		var pin api.Pin
		if err := json.Unmarshal(value, &pin); err != nil {
			return err
		}
		c := pin.Cid.String()
		if pins[c] {
			return fmt.Errorf("%s is listed twice", c)
		}
		pins[c] = true
		return nil
	})
	return pins, err
}

// allPinned returns an error unless this peer says of everything it tracks
// that it is pinned.
func (r *rest) allPinned() error {
	return r.do(http.MethodGet, "/pins?local=true", func(value json.RawMessage) error {
		var info api.GlobalPinInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return err
		}
		for _, of := range info.PeerMap {
			if of.Status != api.TrackerStatusPinned {
				return fmt.Errorf("%s has status %s: %s", info.Cid, of.Status, of.Error)
			}
		}
		return nil
	})
}

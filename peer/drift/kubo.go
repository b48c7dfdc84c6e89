package drift

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Kubo says what an IPFS daemon has pinned.
type Kubo interface {
	// List calls f for each pin of a mode, in no order, and ends with the first error of
	// f. If the list is not whole it returns an error.
	List(ctx context.Context, mode api.PinMode, f func(api.Cid) error) error
	// Has reports whether there is a pin of the CID in that mode.
	Has(ctx context.Context, c api.Cid, mode api.PinMode) (bool, error)
}

// askTimeout bounds a question about one pin.
const askTimeout = 10 * time.Second

// listQuiet is how long Kubo may say nothing in the middle of a list. It may be busy with a
// garbage collection.
const listQuiet = 10 * time.Minute

// errQuiet ends a list that does not go on.
var errQuiet = errors.New("IPFS accepts the request and does not go on with its answer")

// maxError bounds what is read of an answer that is an error, or about one pin.
const maxError = 64 << 10

// streamError is the trailer in which Kubo says that a list is not whole. Upstream's
// connector does not look at it.
const streamError = "X-Stream-Error"

// API asks the Kubo RPC API at Base, such as http://127.0.0.1:5001. It is safe for
// concurrent use.
type API struct {
	Base   string
	Client *http.Client

	quiet time.Duration // listQuiet unless a test is shorter
}

// listed is a line of a list, or an answer about one pin.
type listed struct {
	Cid     string
	Type    string
	Message string
}

// List implements Kubo. It reads as fast as f returns: Kubo makes and removes no pin while
// it waits for its reader.
func (a API) List(ctx context.Context, mode api.PinMode, f func(api.Cid) error) error {
	if err := a.list(ctx, mode, f); err != nil {
		return fmt.Errorf("listing what IPFS has pinned (%s): %w", mode, err)
	}
	return nil
}

func (a API) list(ctx context.Context, mode api.PinMode, f func(api.Cid) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := cmp.Or(a.quiet, listQuiet)
	quiet := time.AfterFunc(patience, func() { cancel(errQuiet) })
	defer quiet.Stop()
	res, err := a.post(ctx, url.Values{"type": {mode.String()}})
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refusal(res)
	}
	dec := json.NewDecoder(res.Body)
	for {
		var line listed
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		quiet.Reset(patience)
		if line.Type != mode.String() || line.Cid == "" {
			return fmt.Errorf("an unexpected line: the CID %q, of type %q: %s", line.Cid, line.Type, line.Message)
		}
		c, err := api.DecodeCid(line.Cid)
		if err != nil {
			return fmt.Errorf("an unexpected line: %q: %w", line.Cid, err)
		}
		if err := f(c); err != nil {
			return err
		}
	}
	if why := res.Trailer.Get(streamError); why != "" {
		return fmt.Errorf("the list is not whole: %s", why)
	}
	return nil
}

// Has implements Kubo.
func (a API) Has(ctx context.Context, c api.Cid, mode api.PinMode) (bool, error) {
	has, err := a.has(ctx, c, mode)
	if err != nil {
		return false, fmt.Errorf("asking IPFS for a %s pin of %s: %w", mode, c, err)
	}
	return has, nil
}

func (a API) has(ctx context.Context, c api.Cid, mode api.PinMode) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := a.post(ctx, url.Values{"type": {mode.String()}, "arg": {c.String()}})
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		err := refusal(res)
		var said kuboError
		if errors.As(err, &said) && strings.HasSuffix(string(said), "not pinned") {
			return false, nil
		}
		return false, err
	}
	var line listed
	if err := json.NewDecoder(io.LimitReader(res.Body, maxError)).Decode(&line); err != nil {
		return false, err
	}
	found, err := api.DecodeCid(line.Cid)
	if err != nil || line.Type != mode.String() || !found.Equals(c) {
		return false, fmt.Errorf("an unexpected answer: the CID %q, of type %q: %s", line.Cid, line.Type, line.Message)
	}
	return true, nil
}

func (a API) post(ctx context.Context, query url.Values) (*http.Response, error) {
	query.Set("stream", "true")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Base+"/api/v0/pin/ls?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return a.Client.Do(req)
}

// kuboError is what Kubo says in an answer that is an error.
type kuboError string

func (e kuboError) Error() string { return string(e) }

// refusal is the error that an answer is.
func refusal(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxError))
	if err != nil {
		return fmt.Errorf("%s: %w", res.Status, err)
	}
	var said listed
	if json.Unmarshal(body, &said) == nil && said.Message != "" {
		return kuboError(said.Message)
	}
	return fmt.Errorf("%s: %.200s", res.Status, body)
}

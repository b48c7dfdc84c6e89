package evm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// callTimeout is how long a node may take for an answer.
	callTimeout = 30 * time.Second
	// maxAnswer is how many bytes an answer may have.
	maxAnswer = 16 << 20
)

var errTooLarge = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// Client asks one node. NewClient makes one. Safe for concurrent use.
type Client struct {
	name string // of the chain, for errors
	url  string // has a secret
	http *http.Client
}

// NewClient returns a client for a node, which it does not ask yet. The name is that of
// the chain, for errors.
func NewClient(name, url string) *Client {
	return &Client{name, url, &http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the URL has a key
	}}
}

// Close ends the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RPCError is what a node answers instead of a result.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *RPCError) Error() string { return fmt.Sprintf("the node says %.300q (%d)", e.Message, e.Code) }

// statusError is an answer that is not JSON-RPC.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("the node answers HTTP %d", int(s)) }

// call asks the node and reads the result. A result of null leaves into as it is.
func (c *Client) call(ctx context.Context, into any, method string, params ...any) error {
	if err := c.ask(ctx, into, method, params); err != nil {
		return fmt.Errorf("%s: %s: %w", c.name, method, err)
	}
	return nil
}

func (c *Client) ask(ctx context.Context, into any, method string, params []any) error {
	if params == nil {
		params = []any{}
	}
	question, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(question))
	if err != nil {
		return errors.New("its URL is not one")
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the URL
		}
		return fmt.Errorf("asking the node: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return errTooLarge
	}
	return readAnswer(body, response.StatusCode, into)
}

// readAnswer reads an answer. Some nodes send their errors with a status that is one too.
func readAnswer(body []byte, status int, into any) error {
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *RPCError       `json:"error"`
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case err == nil && answer.Error != nil:
		return answer.Error
	case status != http.StatusOK:
		return statusError(status)
	case err != nil:
		return fmt.Errorf("the answer is not JSON-RPC: %w", err)
	case answer.Result == nil:
		return errors.New("the answer has neither a result nor an error")
	}
	if err := json.Unmarshal(answer.Result, into); err != nil {
		return fmt.Errorf("the result is not what it should be: %w", err)
	}
	return nil
}

package peerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Client asks the peers of a cluster. New makes one.
type Client struct {
	config   Config
	password string
	peers    []*peer
}

// Close ends the connections that nobody uses.
func (c *Client) Close() {
	for _, p := range c.peers {
		p.client.CloseIdleConnections()
	}
}

type peer struct {
	name   string // as in the configuration, for errors
	base   string // what comes before the path of the API
	client *http.Client
	// rests is until when it is asked last.
	rests atomic.Pointer[time.Time]
}

// order returns the peers in the order in which they are to be asked.
func (c *Client) order() []*peer {
	now := time.Now()
	var works, rests []*peer
	for _, p := range c.peers {
		if until := p.rests.Load(); until != nil && now.Before(*until) {
			rests = append(rests, p)
		} else {
			works = append(works, p)
		}
	}
	return append(works, rests...)
}

// note remembers what came of asking a peer.
func (c *Client) note(p *peer, err error) {
	var unreachable *Unreachable
	var failed *Failed
	switch {
	case errors.As(err, &unreachable), errors.As(err, &failed) && failed.Status != http.StatusInternalServerError:
		until := time.Now().Add(c.config.Rest)
		p.rests.Store(&until)
	default: // 500 is often about the request
		p.rests.Store(nil)
	}
}

// question is what is asked, and asked again. It changes nothing when it is asked twice.
type question struct {
	method, path, query string
	// read reads a whole answer, with a status of success.
	read func(answer) error
}

// answer is one with a status of success. Who asked closes it.
type answer struct{ *http.Response }

// ask asks one peer after the other until one answers. The error is that of all that
// were asked.
func (c *Client) ask(ctx context.Context, q question) error {
	var problems []error
	peers := c.order()
	for i, p := range peers {
		err := c.askOne(ctx, p, q, len(peers)-i)
		if ctx.Err() != nil && err != nil {
			return errors.Join(append(problems, err)...)
		}
		c.note(p, err)
		if err == nil {
			return nil
		}
		problems = append(problems, err)
		var refused *Refused
		if errors.As(err, &refused) {
			break
		}
	}
	return errors.Join(problems...)
}

// askOne asks a peer, and leaves time for the others that could be asked behind it.
func (c *Client) askOne(ctx context.Context, p *peer, q question, left int) error {
	limit := c.config.Attempt
	if deadline, has := ctx.Deadline(); has && left > 1 {
		limit = min(limit, time.Until(deadline)/time.Duration(left))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := c.request(ctx, p, q.method, q.path, q.query, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	// So the transport asks again when the connection was closed meanwhile. It is not sent.
	request.Header["Idempotency-Key"] = nil
	response, err := p.client.Do(request)
	if err != nil {
		return &Unreachable{p.name, without(err)}
	}
	defer response.Body.Close()
	if err := errorOf(p.name, response); err != nil {
		return err
	}
	err = q.read(answer{response})
	switch {
	case errors.Is(err, errNoAddresses):
		return fmt.Errorf("peer %s: %w", p.name, err)
	case err != nil:
		return &Unreachable{p.name, err}
	}
	return nil
}

// request makes a request to a peer, with the gateway's credentials.
func (c *Client) request(ctx context.Context, p *peer, method, path, query string, body io.Reader) (*http.Request, error) {
	url := p.base + path
	if query != "" {
		url += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", p.name, err)
	}
	if c.config.User != "" {
		request.SetBasicAuth(c.config.User, c.password)
	}
	return request, nil
}

// without returns an error of the HTTP client without the URL, which the error that
// wraps it has.
func without(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// limited is the body of an answer, and an error instead of the byte behind the limit.
func limited(a answer) io.Reader {
	return &limitedReader{in: a.Body, left: maxAnswer}
}

type limitedReader struct {
	in   io.Reader
	left int
}

func (r *limitedReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if r.left -= n; r.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return n, err
}

// readObject reads an answer that is one JSON object, and nothing after it.
func readObject(a answer, into any) error {
	body := json.NewDecoder(limited(a))
	if err := body.Decode(into); err != nil {
		return broken(err)
	}
	switch _, err := body.Token(); {
	case err == nil:
		return errors.New("there is something behind the answer")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("there is something behind the answer: %w", err)
	}
	return nil
}

// broken is an error of reading where there should be more: the end is one.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the answer is not whole or is not JSON: %w", err)
}

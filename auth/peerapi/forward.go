package peerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// Request is a request of a client that was decided about.
type Request struct {
	Method string
	// Path is one that routes.Match accepts, so that it means the same to the peer.
	Path string
	// Query has the parameters of the client. Those that Allowed does not name stay
	// here, and of those with several values the first one goes.
	Query   url.Values
	Allowed []string
	// Header is what routes.Outbound returns.
	Header http.Header
	// Body is bounded by the caller. Nil for none. Length is its length, or -1.
	Body   io.Reader
	Length int64
}

// Broken is that a peer stopped in the middle of its answer, when the client had got the
// beginning of it. The handler must break off too (http.ErrAbortHandler), or the client
// takes what it has for the whole.
type Broken struct {
	Peer string
	Err  error
}

// Error implements error.
func (e *Broken) Error() string {
	return fmt.Sprintf("peer %s broke off its answer: %s", e.Peer, e.Err)
}

// Unwrap returns what went wrong.
func (e *Broken) Unwrap() error { return e.Err }

// errSilent says that a peer has sent nothing for too long.
var errSilent error = silentError{}

type silentError struct{}

func (silentError) Error() string { return "it sends nothing any more" }
func (silentError) Timeout() bool { return true }

// Forward sends a request to a peer and streams its answer to w, errors of the peer
// included: its status, and of its headers those that the client needs. It returns the
// status.
//
// A status of 0 means that nothing was written to w: the error is *Unreachable, *BodyError,
// *Failed if that was the answer of others before, or *Refused if the peer does not know
// the gateway (401, 407) or answers with a redirection. With a status the error is *Broken,
// *BodyError, or that of writing to w.
//
// A GET is sent to the next peer when one does not answer or fails, as other questions
// are, and of each peer it is waited for as long as for an answer to them. Anything else is
// sent again only if the first peer was not connected to.
func (c *Client) Forward(ctx context.Context, w http.ResponseWriter, r Request) (status int, err error) {
	var problems []error
	peers := c.order()
	for i, p := range peers {
		last := i == len(peers)-1
		done, status, err := c.forwardTo(ctx, w, p, r, last)
		if done || last || ctx.Err() != nil {
			if len(problems) > 0 && err != nil {
				err = errors.Join(append(problems, err)...)
			}
			return status, err
		}
		problems = append(problems, err)
	}
	return 0, errors.Join(problems...) // not reached: there is a last peer
}

// forwardTo sends a request to one peer. It returns false if the next may be asked.
func (c *Client) forwardTo(ctx context.Context, w http.ResponseWriter, p *peer, r Request, last bool) (done bool, status int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	again := r.Method == http.MethodGet && r.Body == nil
	silence := c.config.Silence
	if again { // a peer that is only asked answers soon, or hangs
		silence = min(silence, c.config.Attempt)
	}
	watch := &watch{timer: time.AfterFunc(silence, func() { cancel(errSilent) }), limit: silence}
	defer watch.timer.Stop()
	body := &bodyReader{in: r.Body, watch: watch}
	request, err := c.outgoing(ctx, p, r, body)
	if err != nil {
		return true, 0, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		if failed := body.failed.Load(); failed != nil {
			return true, 0, failed
		}
		if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
			err = cause
		}
		problem := &Unreachable{p.name, without(err)}
		if ctxErr := ctx.Err(); ctxErr == nil || errors.Is(context.Cause(ctx), errSilent) {
			c.note(p, problem)
		}
		return !again && (!isDial(err) || body.used), 0, problem
	}
	defer response.Body.Close()
	watch.stop()
	if err := unfit(p.name, response); err != nil {
		return true, 0, err
	}
	if again && !last && response.StatusCode >= 500 {
		err := errorOf(p.name, response)
		c.note(p, err)
		return false, 0, err
	}
	c.note(p, nil)
	err = c.stream(ctx, w, p, response, watch)
	if failed := body.failed.Load(); err != nil && failed != nil {
		err = failed // a peer may answer while it is still sent the body
	}
	return true, response.StatusCode, err
}

// outgoing makes the request to the peer.
func (c *Client) outgoing(ctx context.Context, p *peer, r Request, body *bodyReader) (*http.Request, error) {
	query := make(url.Values)
	for name, values := range r.Query {
		if len(values) > 0 && slices.Contains(r.Allowed, name) {
			query.Set(name, values[0])
		}
	}
	var sent io.Reader = http.NoBody
	if r.Body != nil && r.Length != 0 {
		sent = io.NopCloser(body) // the transport would close it before the next attempt
	}
	request, err := c.request(ctx, p, r.Method, (&url.URL{Path: r.Path}).EscapedPath(), query.Encode(), sent)
	if err != nil {
		return nil, err
	}
	if sent != http.NoBody {
		request.ContentLength = r.Length
	}
	ours := request.Header
	request.Header = r.Header.Clone()
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	request.Header.Del("Authorization")
	if own := ours.Get("Authorization"); own != "" {
		request.Header.Set("Authorization", own)
	}
	if _, has := request.Header["User-Agent"]; !has {
		request.Header["User-Agent"] = nil // not that of Go's client
	}
	return request, nil
}

// isDial tells whether there was no connection, so that nothing was sent.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// unfit returns an error for an answer that is about the gateway, and must not go to
// its client.
func unfit(peer string, response *http.Response) error {
	switch s := response.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusProxyAuthRequired, s >= 300 && s < 400, s == http.StatusSwitchingProtocols:
		return &Refused{peer, s, messageOf(response)}
	}
	return nil
}

// passed returns the headers of an answer that go to the client. Cookies, challenges and
// what a peer says of other origins (CORS) are not the gateway's.
func passed() []string {
	return []string{"Content-Type", "Content-Length", "Content-Encoding", "Retry-After", "X-Chunked-Output"}
}

// stream sends an answer to the client as it comes.
func (c *Client) stream(ctx context.Context, w http.ResponseWriter, p *peer, response *http.Response, watch *watch) error {
	for _, name := range passed() {
		if values := response.Header[name]; len(values) > 0 {
			w.Header()[name] = slices.Clone(values[:1])
		}
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, streams := response.Trailer[streamError]
	if streams {
		w.Header().Set("Trailer", streamError)
	}
	w.WriteHeader(response.StatusCode)
	flush := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		watch.start()
		n, err := response.Body.Read(buffer)
		watch.stop()
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("answering the client: %w", err)
			}
			if response.ContentLength < 0 {
				if err := flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
					return fmt.Errorf("answering the client: %w", err)
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if streams {
				w.Header().Set(streamError, trailerOf(response))
			}
			return nil
		case err != nil:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return &Broken{p.name, err}
		}
	}
}

// watch ends a request when nothing comes for too long while it is waited for.
type watch struct {
	timer *time.Timer
	limit time.Duration
}

func (w *watch) start() { w.timer.Reset(w.limit) }
func (w *watch) stop()  { w.timer.Stop() }

// bodyReader is the body of a request. As long as it is read the peer is not silent.
type bodyReader struct {
	in    io.Reader
	watch *watch
	used  bool
	// failed is why it cannot be read on. The transport may still be reading when a peer has
	// answered.
	failed atomic.Pointer[BodyError]
}

func (b *bodyReader) Read(into []byte) (int, error) {
	b.used = true
	b.watch.stop()
	defer b.watch.start()
	n, err := b.in.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed.Store(&BodyError{err})
	}
	return n, err
}

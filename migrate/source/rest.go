package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// restSource is the pins of a running cluster, from the REST API of one of its
// peers. Upstream's client is not used: it stops at the first line that is no
// pin, and goes on waiting when its reader has left.
type restSource struct {
	url                string
	username, password string
	client             *http.Client
	longestSilence     time.Duration
}

// longestSilence is how long a server may send nothing. The first pin of a large cluster
// takes its time.
const longestSilence = 5 * time.Minute

// errSilent says that a server has sent nothing for too long.
var errSilent = errors.New("the server sends nothing any more")

// streamError is the trailer that says what went wrong after the first pin.
const streamError = "X-Stream-Error"

func openREST(normalURL, username, password string) (Source, error) {
	if username == "" && password != "" {
		return nil, errors.New("there is a password but no user: use --from-username")
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the HTTP client of this program cannot be set up")
	}
	return &restSource{
		url:      normalURL,
		username: username, password: password,
		client:         &http.Client{Transport: transport.Clone(), CheckRedirect: stay},
		longestSilence: longestSilence,
	}, nil
}

// stay takes a redirection for an error, as the password would go with it.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (s *restSource) ID() string { return "rest:" + s.url }

// Fingerprint is empty: a cluster that runs may have changed at any time.
func (s *restSource) Fingerprint() string { return "" }

func (s *restSource) Warnings() []string {
	return []string{"a running cluster goes on changing: what is changed during the migration may be missing. Stop all writing to it, run the migration once more, and verify it then"}
}

// MayLack is false: a pin that comes while it is read was in no earlier run.
func (s *restSource) MayLack() bool { return false }

func (s *restSource) ReadOnce() bool { return false }

func (s *restSource) Count(context.Context, func(int64)) (int64, error) { return -1, nil }

func (s *restSource) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Read reads the pins from the first on. It cannot go on in the middle: the API
// lists its pins in whatever order it has them.
func (s *restSource) Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	if from.Records > 0 || len(from.Key) > 0 {
		return errors.New("the pins of a running cluster can be read only from the first on")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(s.longestSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	response, err := s.get(ctx)
	if err != nil {
		return s.orSilent(ctx, err)
	}
	defer response.Body.Close()
	if err := s.check(response); err != nil {
		return err
	}
	text := &unpacked{Reader: bufio.NewReaderSize(&watched{response.Body, silence, s.longestSilence}, bufferSize)}
	if err := text.check(); err != nil {
		begin, _ := text.Peek(min(40, text.Buffered()))
		return fmt.Errorf("%s answers with something else than pins, which begins with %q: use the URL of the REST API of a cluster, such as rest:http://HOST:9094", s.url, begin)
	}
	l := &lines{in: text.Reader}
	var ended error
	keep := func(err error) error {
		ended = err
		return err
	}
	err = readPins(l, 0, func() []byte { return nil },
		func(r Record) error { return keep(f(r)) },
		func(b Bad) error { return keep(bad(b)) })
	if ended != nil {
		return ended
	}
	if err != nil {
		return s.orSilent(ctx, fmt.Errorf("%s broke off after line %d of its pins: %w", s.url, l.number, err))
	}
	if text := strings.Join(response.Trailer.Values(streamError), "; "); strings.Trim(text, "; ") != "" {
		return fmt.Errorf("%s broke off after line %d of its pins: it says: %s", s.url, l.number, text)
	}
	return nil
}

// orSilent returns an error, or what has brought it about by cancelling the request.
func (s *restSource) orSilent(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return fmt.Errorf("%s: %w: nothing came for %v: look at its log, or use another peer of the cluster", s.url, cause, s.longestSilence)
	}
	return err
}

// watched lets a timer run while it waits for the next bytes, and only then: who uses
// them may take longer.
type watched struct {
	io.Reader
	silence *time.Timer
	longest time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	w.silence.Reset(w.longest)
	defer w.silence.Stop()
	return w.Reader.Read(b)
}

func (s *restSource) get(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/allocations?filter=all", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its pins: %w", s.url, err)
	}
	if s.username != "" {
		request.SetBasicAuth(s.username, s.password)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its pins: %w", s.url, err)
	}
	return response, nil
}

// check makes sure that pins follow.
func (s *restSource) check(response *http.Response) error {
	switch response.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s does not let this user list pins (%s): use --from-username and --from-password-file", s.url, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err != nil {
		text = []byte("and nothing else")
	}
	return fmt.Errorf("%s does not list its pins: it says %s: %s", s.url, response.Status, strings.TrimSpace(string(text)))
}

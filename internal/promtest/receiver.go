package promtest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Where a receiver takes what Alertmanager sends.
const (
	PagerDuty = "/v2/enqueue"
	Slack     = "/services/slack"
)

// Message is what Alertmanager has sent.
type Message struct {
	Path string
	Body []byte
}

// Receiver takes what Alertmanager sends to PagerDuty and to Slack, answers as they do, and
// keeps it. Its methods may be called from any goroutine.
type Receiver struct {
	// URL is where it listens, as http://127.0.0.1:port.
	URL string

	mu       sync.Mutex
	messages []Message
	news     chan struct{} // closed when there is one more
}

// NewReceiver returns a receiver that ends with the test.
func NewReceiver(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{news: make(chan struct{})}
	server := httptest.NewServer(r)
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil || request.Method != http.MethodPost {
		http.Error(w, "not a message", http.StatusBadRequest)
		return
	}
	switch request.URL.Path {
	case PagerDuty:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, err = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"1"}`)
	case Slack:
		_, err = io.WriteString(w, "ok")
	default:
		http.NotFound(w, request)
		return
	}
	if err != nil {
		return // Alertmanager has gone, and sends it again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, Message{request.URL.Path, body})
	close(r.news)
	r.news = make(chan struct{})
}

// Messages returns what came so far, at any path.
func (r *Receiver) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Wait waits for the first message at a path that has each of the texts, whenever it comes or
// has come, and returns it. If there is none in time, the test ends, and says what came.
func (r *Receiver) Wait(tb testing.TB, path string, timeout time.Duration, texts ...string) Message {
	tb.Helper()
	deadline := time.After(timeout)
	for {
		r.mu.Lock()
		messages, news := r.messages, r.news
		r.mu.Unlock()
		for _, m := range messages {
			if m.Path == path && !slices.ContainsFunc(texts, func(text string) bool { return !bytes.Contains(m.Body, []byte(text)) }) {
				return m
			}
		}
		select {
		case <-news:
		case <-deadline:
			for _, m := range messages {
				tb.Logf("came to %s: %s", m.Path, m.Body)
			}
			tb.Fatalf("nothing came to %s with %q within %v", path, texts, timeout)
		}
	}
}

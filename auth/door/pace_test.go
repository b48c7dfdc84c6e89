package door

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowBodies: who sends a body slowly is cut off, unless the call is patient and something
// comes; and a call is not ended by a deadline of a body that has come.
func TestSlowBodies(t *testing.T) {
	for name, test := range map[string]struct {
		patient bool
		every   time.Duration // between the bytes of the body
		fails   bool
	}{
		"quick":                      {false, time.Second, false},
		"slow":                       {false, 10 * time.Second, true},
		"a slow upload":              {true, 20 * time.Second, false},
		"an upload that has stopped": {true, 31 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, conn := net.Pipe()
				got := make(chan error, 1)
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c := &Call{pace: newPace(w, r)}
					defer c.pace.end()
					if test.patient {
						c.Patient()
					}
					_, err := io.ReadAll(r.Body)
					if err == nil { // long work
						time.Sleep(2 * bodyTime)
						err = r.Context().Err()
					}
					got <- err
				})}
				var running sync.WaitGroup
				running.Go(func() { _ = server.Serve(&oneConn{conn: conn}) })
				running.Go(func() {
					_, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n")
					for range 12 {
						time.Sleep(test.every)
						if _, err := io.WriteString(client, "x"); err != nil {
							return
						}
					}
				})
				running.Go(func() { _, _ = io.Copy(io.Discard, bufio.NewReader(client)) })
				if err := <-got; (err != nil) != test.fails {
					t.Errorf("reading the body: %v", err)
				}
				_ = client.Close()
				_ = server.Close()
				running.Wait()
			})
		})
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn net.Conn
	gave bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.gave {
		return nil, errors.New("there is no other")
	}
	l.gave = true
	return l.conn, nil
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestWithoutConnection: where no deadline can be set nothing fails.
func TestWithoutConnection(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader("body"))
	w := httptest.NewRecorder()
	p := newPace(w, r)
	p.write()
	if text, err := io.ReadAll(r.Body); err != nil || string(text) != "body" {
		t.Errorf("%q, %v", text, err)
	}
	p.end()
}

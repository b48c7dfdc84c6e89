// Package httpserver serves the clients of a program: it answers /health, bounds connections, and
// ends so that load balancers learn of it and what was begun is answered.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// The bounds of a connection. Bodies and answers may take long, as uploads do: their routes
// bound them.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	// drainTimeout is how long requests have that were begun when no more connections are taken.
	// With the delay before that by default, it is less than the 30 s that Kubernetes gives.
	drainTimeout = 20 * time.Second
)

// Server answers /health, and leaves all else to a handler.
type Server struct {
	log  *logging.ZapEventLogger
	http *http.Server
	// delay is how long it serves as before when the end came, but for /health.
	delay, drain time.Duration
	ending       atomic.Bool
	after        func(time.Duration) <-chan time.Time // the clock
}

// New returns a server whose connections are encrypted if there is a certificate. It serves on for
// a delay when the end came. Log takes what it says, and what clients do wrong while connecting.
func New(apis http.Handler, certificate *tls.Certificate, delay time.Duration, log *logging.ZapEventLogger) *Server {
	s := &Server{log: log, delay: delay, drain: drainTimeout, after: time.After}
	s.http = &http.Server{
		// Not a mux: it redirects paths that are not clean, also those of the APIs.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				s.health(w, r)
				return
			}
			apis.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// What clients do wrong while connecting.
		ErrorLog: slog.NewLogLogger(logging.SlogHandler(), slog.LevelDebug),
	}
	if certificate != nil {
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
	}
	return s
}

// health tells whether the process takes requests. It tells nothing else, as everybody may ask.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	status := "ok"
	if s.ending.Load() {
		status = "ending"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if _, err := io.WriteString(w, `{"status":"`+status+`"}`+"\n"); err != nil {
		s.log.Debugf("answering /health: %s", err)
	}
}

// Run serves connections until ctx ends. Then /health says that it is ending for as long as
// the delay, in which all else is answered as before, so that whoever asks /health sends no
// more; after that no connections are taken, and what was begun is answered. It returns an
// error if it has ended by itself, or has cut off requests that took longer than the drain.
// It closes the listener.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() {
		if s.http.TLSConfig != nil {
			ended <- s.http.ServeTLS(listener, "", "")
		} else {
			ended <- s.http.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.ending.Store(true)
	s.log.Infof("ending: /health says so, and connections are taken for %s more", s.delay)
	select {
	case err := <-ended:
		return err
	case <-s.after(s.delay):
	}
	s.log.Info("ending: no more connections are taken")
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	err := s.http.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("requests that took longer than %s were cut off", s.drain), s.http.Close())
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

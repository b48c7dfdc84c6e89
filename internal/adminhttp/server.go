package adminhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// The bounds of the listener.
const (
	headerTimeout = 10 * time.Second
	writeTimeout  = 30 * time.Second // of what is no profile: those add their seconds
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	// maxConnections wait for others to end beyond that.
	maxConnections = 64
	// maxScrapes and maxProfiles are answered at once, others are refused.
	maxScrapes  = 4
	maxProfiles = 2
)

// Options are what a Server answers with. Listen and Gatherer are needed.
type Options struct {
	// Listen is an address and a port, as "127.0.0.1:9089". Port 0 is a free one.
	Listen string
	// Setting is where Listen was set, for errors and warnings, as
	// "observations.admin.listen".
	Setting string
	// Gatherer has the metrics.
	Gatherer prometheus.Gatherer
	// Readiness has the checks. Nil is always ready.
	Readiness *Readiness
	// More are handlers of other paths, which begin with "/debug/".
	More map[string]http.Handler
	// Warn takes what an operator should know, and Failed the error if the listener ends by
	// itself. They may be nil.
	Warn   func(text string)
	Failed func(error)
	// ErrorLog takes what clients do wrong while connecting. Nil drops it.
	ErrorLog *log.Logger
}

// Server answers until it is closed. It is safe for concurrent use.
type Server struct {
	http *http.Server
	addr net.Addr
}

// Listen starts to answer. The error says what is wrong with the address, where that is set,
// and what to do about it.
func Listen(ctx context.Context, opts Options) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: another process listens on %s already: use another port, or \"\" for no listener: %w", opts.Setting, opts.Listen, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %q: %w", opts.Setting, opts.Listen, err)
	}
	if !loopback(listener.Addr()) && opts.Warn != nil {
		opts.Warn(fmt.Sprintf("%s is %s, which is not a loopback address: whoever reaches it reads the metrics of this process, without a password", opts.Setting, listener.Addr()))
	}
	if opts.ErrorLog == nil {
		opts.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := &Server{addr: listener.Addr(), http: &http.Server{
		Handler: handler(opts), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: opts.ErrorLog,
	}}
	go func() {
		err := s.http.Serve(netutil.LimitListener(listener, maxConnections))
		if !errors.Is(err, http.ErrServerClosed) && opts.Failed != nil {
			opts.Failed(err)
		}
	}()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends it at once.
func (s *Server) Close() error { return s.http.Close() }

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func handler(opts Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(opts.Gatherer, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: writeTimeout - time.Second, EnableOpenMetrics: true,
		// One metric that is wrong must not hide the others, which may tell why.
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: opts.ErrorLog,
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		report := Report{Ready: true, Checks: []Outcome{}}
		if opts.Readiness != nil {
			report = opts.Readiness.Report(r.Context())
		}
		status := http.StatusOK
		if !report.Ready {
			status = http.StatusServiceUnavailable
		}
		WriteJSON(w, status, report)
	})
	addProfiles(mux)
	for path, h := range opts.More {
		mux.Handle("GET "+path, h)
	}
	return ownMachine(mux)
}

// ownMachine answers what is below /debug/ to clients on this machine only: a profile costs
// the process, and its log and command line may tell more than a network should know.
func ownMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if strings.HasPrefix(r.URL.Path, "/debug/") && (err != nil || !from.Addr().Unmap().IsLoopback()) {
			http.Error(w, "what is below /debug/ is told to clients on the same machine only, at a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plain answers with text. Nobody can be told that it was not sent.
func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text)
}

// WriteJSON answers with a value, which must be one that can be written as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who asked may have left
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// metricsTimeout bounds the answer to one who collects metrics.
const metricsTimeout = 30 * time.Second

// listenMetrics answers at /metrics with a handler, until what it returns is closed: also
// while what was begun is answered at the end.
func listenMetrics(ctx context.Context, address string, handler http.Handler) (*http.Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s for metrics: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", handler)
	s := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, WriteTimeout: metricsTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(logging.SlogHandler(), slog.LevelDebug),
	}
	logger.Infof("telling metrics on http://%s/metrics", listener.Addr())
	go func() {
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Errorf("metrics are not told any more: %s", err)
		}
	}()
	return s, nil
}

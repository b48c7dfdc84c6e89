package gateway

import (
	"context"
	"log/slog"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/gateway"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
)

// listenMetrics tells those who run the gateway what it does, until what it returns is closed:
// also while what was begun is answered at the end.
func listenMetrics(ctx context.Context, address string, g *gateway.Gateway) (*adminhttp.Server, error) {
	ready := &adminhttp.Readiness{}
	ready.Add(adminhttp.Check{Name: "database", Run: g.Ready})
	s, err := adminhttp.Listen(ctx, adminhttp.Options{
		Listen: address, Setting: "metrics_listen", Gatherer: g.Metrics(), Readiness: ready,
		Warn:     func(text string) { logger.Warn(text) },
		Failed:   func(err error) { logger.Errorf("metrics are not told any more: %s", err) },
		ErrorLog: slog.NewLogLogger(logging.SlogHandler(), slog.LevelDebug),
	})
	if err != nil {
		return nil, err
	}
	logger.Infof("telling metrics on http://%s/metrics", s.Addr())
	return s, nil
}

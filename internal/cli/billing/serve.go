package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"syscall"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/service"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/httpserver"
)

func (cmd *command) serveCommand() cli.Command {
	return cli.Command{
		Name:         "serve",
		Usage:        "runs the billing service",
		ArgsUsage:    " ",
		OnUsageError: cmdline.UsageError,
		Description: `
   Counts what is told of claims, closes days, and answers the gateway and
   operators. Any number of instances share a database and the events.

   Runs until SIGTERM or SIGINT: then it says at /health, with 503, that it is
   ending, and serves on for 5 seconds (shutdown_delay). After that it takes no
   more connections, and gives what it has begun 20 seconds. A second signal ends
   it at once, which loses nothing.
`,
		Action: func(c *cli.Context) error {
			if err := cmdline.NoArguments(c); err != nil {
				return err
			}
			cfg, err := cmd.loadConfig()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			defer context.AfterFunc(ctx, stop)()
			return serve(ctx, cfg)
		},
	}
}

// serve runs the service until ctx ends, and then until what was begun is answered.
func serve(ctx context.Context, cfg config.Config) (err error) {
	files, err := cfg.Read()
	if err != nil {
		return fmt.Errorf("reading the files of the configuration: %w", err)
	}
	s, err := service.Open(ctx, cfg, files, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.Listen, err)
	}
	if cfg.MetricsListen != "" {
		metrics, err := listenMetrics(ctx, cfg.MetricsListen, s)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer func() { err = errors.Join(err, metrics.Close()) }()
	}
	server := httpserver.New(s.Handler(), files.Certificate, time.Duration(cfg.ShutdownDelay), logger)
	logger.Infof("serving the gateway on %s", listener.Addr())
	if err := server.Run(ctx, listener); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// listenMetrics tells those who run the service what it does, until what it returns is closed.
func listenMetrics(ctx context.Context, address string, s *service.Service) (*adminhttp.Server, error) {
	ready := &adminhttp.Readiness{}
	ready.Add(
		adminhttp.Check{Name: "database", Run: s.Ready},
		adminhttp.Check{Name: "nats", Reported: true, Run: s.Connected},
	)
	admin, err := adminhttp.Listen(ctx, adminhttp.Options{
		Listen: address, Setting: "metrics_listen", Gatherer: s.Metrics(), Readiness: ready,
		Warn:     func(text string) { logger.Warn(text) },
		Failed:   func(err error) { logger.Errorf("metrics are not told any more: %s", err) },
		ErrorLog: slog.NewLogLogger(logging.SlogHandler(), slog.LevelDebug),
	})
	if err != nil {
		return nil, err
	}
	logger.Infof("telling metrics on http://%s/metrics", admin.Addr())
	return admin, nil
}

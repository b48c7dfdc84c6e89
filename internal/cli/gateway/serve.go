package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/gateway"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/httpserver"
)

func (cmd *command) serveCommand() cli.Command {
	return cli.Command{
		Name:         "serve",
		Usage:        "runs the gateway",
		ArgsUsage:    " ",
		OnUsageError: cmdline.UsageError,
		Description: `
   Runs until SIGTERM or SIGINT: then it says at /health, with 503, that it is
   ending, and serves on for 5 seconds (shutdown_delay), in which load balancers
   learn of it. After that it takes no more connections, and gives what it has
   begun 20 seconds. A second signal ends it at once.
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

// serve runs the gateway until ctx ends, and then until what was begun is answered.
func serve(ctx context.Context, cfg config.Config) (err error) {
	files, err := cfg.Read()
	if err != nil {
		return fmt.Errorf("reading the files of the configuration: %w", err)
	}
	g, err := gateway.Open(ctx, cfg, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.Listen, err)
	}
	if cfg.MetricsListen != "" {
		metrics, err := listenMetrics(ctx, cfg.MetricsListen, g)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer func() { err = errors.Join(err, metrics.Close()) }()
	}
	server := httpserver.New(g.Handler(), files.Certificate, time.Duration(cfg.ShutdownDelay), logger)
	logger.Infof("serving %s on %s", cfg.PublicURL, listener.Addr())
	if err := server.Run(ctx, listener); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

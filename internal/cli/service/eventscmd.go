package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/signal"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

// busTimeout is how long a command waits for a NATS server.
const busTimeout = 15 * time.Second

func (cmd *command) eventsCommand() cli.Command {
	return cli.Command{
		Name:         "events",
		Usage:        "Shows and repeats the events of the cluster",
		OnUsageError: usageError,
		Description: `
   A cluster whose peers have the section "events" beside "scylla" in
   service.json tells what becomes of its pins and peers on NATS JetStream.
   These commands read that section and its environment variables, and may run
   beside a daemon.
`,
		Subcommands: []cli.Command{
			cmd.eventsTailCommand(),
			cmd.eventsStatusCommand(),
			cmd.eventsReplayCommand(),
			cmd.deadLettersCommand(),
		},
		Action: groupAction,
	}
}

// withEvents reads the configuration of a peer that has events and calls f, whose context a
// signal ends.
func (cmd *command) withEvents(f func(ctx context.Context, cfg *peerConfig) error) error {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	cfg.release()
	if cfg.events == nil {
		return fmt.Errorf("%s has no events: add \"events\": {} beside \"scylla\" in its section \"state\", or set CLUSTER_EVENTS_URLS, see docs/receiving-events.md", cmd.configPath)
	}
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	if err := f(ctx, cfg); err != nil {
		return nameSignal(ctx, err)
	}
	return nil
}

// withBus is withEvents with a connection to NATS.
func (cmd *command) withBus(f func(ctx context.Context, cfg *peerConfig, b *bus.Bus) error) error {
	return cmd.withEvents(func(ctx context.Context, cfg *peerConfig) error {
		return cfg.onBus(ctx, func(b *bus.Bus) error { return f(ctx, cfg, b) })
	})
}

// onBus connects to NATS and calls f.
func (cfg *peerConfig) onBus(ctx context.Context, f func(*bus.Bus) error) (err error) {
	if err := cfg.checkListen(); err != nil {
		return err
	}
	b, err := bus.Connect(cfg.busConfig())
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err = multierr.Append(err, b.Close(closing))
	}()
	if err := connected(ctx, b); err != nil {
		return err
	}
	return f(b)
}

// checkListen refuses an embedded server on any port: which one it is only its process knows.
func (cfg *peerConfig) checkListen() error {
	if !cfg.events.Embedded.Enabled {
		return nil
	}
	listen, err := embedded.ParseListen(cfg.events.Embedded.Listen)
	if err == nil && listen.Port() == 0 {
		err = fmt.Errorf("state.events.embedded.listen is %s, and the port that a peer has chosen then is known to nobody else: give it one, as in %s, and restart the peer",
			listen, netip.AddrPortFrom(listen.Addr(), 4222))
	}
	return err
}

// connected waits until b has a connection.
func connected(ctx context.Context, b *bus.Bus) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	for b.Err() != nil {
		select {
		case <-ctx.Done():
			if err := b.Err(); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%w: no server of %s has answered within %s", err, strings.Join(b.URLs(), ", "), busTimeout)
			}
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// noArguments refuses what follows a command that takes nothing but flags.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return fmt.Errorf("reading the arguments: %q is not one, see %s --help", c.Args().First(), strings.TrimPrefix(c.Command.HelpName, programName+" "))
	}
	return nil
}

// decodeCIDs reads the CIDs of --cid, which may be lists.
func decodeCIDs(lists []string) ([]api.Cid, error) {
	var cids []api.Cid
	for _, text := range fields(lists) {
		c, err := api.DecodeCid(text)
		if err != nil {
			return nil, fmt.Errorf("reading --cid: %q is not a CID: %w", text, err)
		}
		cids = append(cids, c)
	}
	return cids, nil
}

// timeOrAge reads a time, or how long ago it is.
func timeOrAge(flag, text string) (time.Time, error) {
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return time.Now().Add(-age), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading --%s: %q is neither an age, such as 90m, nor a time, such as 2026-01-31T12:00:00Z", flag, text)
	}
	return t, nil
}

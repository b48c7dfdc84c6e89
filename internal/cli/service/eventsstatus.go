package service

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func (cmd *command) eventsStatusCommand() cli.Command {
	return cli.Command{
		Name:         "status",
		Usage:        "shows how far the events are told, and to whom",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Shows the NATS server, the streams and their consumers, how far in time the
   events in the database are told, and how the servers write to disk where
   "monitor_urls" are given. Exits with 1 if anything of that cannot be seen.
`,
		Flags:  []cli.Flag{cli.BoolFlag{Name: "json", Usage: "print it as JSON"}},
		Action: cmd.eventsStatus,
	}
}

// eventsReport is what events status prints.
type eventsReport struct {
	Server  string             `json:"server"`
	Version string             `json:"version"`
	Since   time.Time          `json:"since,omitzero"`
	Told    []time.Time        `json:"told,omitempty"` // by shard
	Streams []bus.StreamReport `json:"streams"`
	// Consumers are those of the stream of events.
	Consumers []bus.ConsumerReport `json:"consumers"`
	Dead      map[string]uint64    `json:"dead_letters"` // by consumer
	Sync      []syncJSON           `json:"sync"`
}

// syncJSON is a bus.SyncReport as it is printed.
type syncJSON struct {
	URL      string `json:"url"`
	Server   string `json:"server,omitempty"`
	Always   bool   `json:"always"`
	Interval string `json:"interval,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (cmd *command) eventsStatus(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return cmd.withBus(func(ctx context.Context, cfg *peerConfig, b *bus.Bus) error {
		seen, unseen := b.Report(ctx)
		report := eventsReport{
			Server: seen.Server, Version: seen.Version, Streams: seen.Streams, Consumers: seen.Consumers, Dead: seen.Dead, Sync: make([]syncJSON, 0, len(seen.Sync)),
		}
		for _, s := range seen.Sync {
			one := syncJSON{URL: s.URL, Server: s.Server, Always: s.Always}
			switch {
			case s.Err != nil:
				one.Error = s.Err.Error()
				unseen = errors.Join(unseen, s.Err)
			case !s.Always:
				one.Interval = s.Interval.String()
			}
			report.Sync = append(report.Sync, one)
		}
		unseen = errors.Join(unseen, withStore(cfg.scylla, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) (err error) {
			if report.Since = store.EventsSince(); !report.Since.IsZero() {
				report.Told, err = store.EventPositions(ctx)
			}
			return err
		}))
		var err error
		if c.Bool("json") {
			err = cmd.printJSON(report, "")
		} else {
			err = cmd.printReport(report, time.Now())
		}
		return multierr.Append(err, unseen)
	})
}

func (cmd *command) printReport(r eventsReport, now time.Time) error {
	table := tabwriter.NewWriter(cmd.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "server\t%s, NATS %s%s\n", r.Server, r.Version, ageNote(r.Version))
	for _, s := range r.Sync {
		switch {
		case s.Error != "":
			fmt.Fprintf(table, "writes to disk\t%s: not known: %s\n", s.URL, s.Error)
		case s.Always:
			fmt.Fprintf(table, "writes to disk\t%s: before it acknowledges (sync_interval: always)\n", s.Server)
		default:
			fmt.Fprintf(table, "writes to disk\t%s: every %s: it can lose as much in a power cut. Consumers notice, and are told again\n", s.Server, s.Interval)
		}
	}
	switch oldest, never := behind(r.Told); {
	case r.Since.IsZero():
		fmt.Fprintln(table, "events\tnone in this keyspace yet: a peer makes them when it starts with this configuration")
	case never > 0:
		fmt.Fprintf(table, "events\tsince %s; %d of %d shards are not read by a relay yet\n", r.Since.UTC().Format(time.RFC3339), never, len(r.Told))
	default:
		fmt.Fprintf(table, "events\tsince %s; told up to %s ago\n", r.Since.UTC().Format(time.RFC3339), now.Sub(oldest).Round(time.Second))
	}
	for _, s := range r.Streams {
		fmt.Fprintf(table, "stream %s\t%d messages, %d bytes, %d replicas", s.Name, s.Messages, s.Bytes, s.Replicas)
		if s.Messages > 0 {
			fmt.Fprintf(table, ", from %s", s.First.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(table)
	}
	for _, c := range r.Consumers {
		fmt.Fprintf(table, "consumer %s\t%d messages to come, %d not acknowledged, %d put aside\n", c.Name, c.Pending, c.Unacknowledged, r.Dead[c.Name])
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// ageNote says what a version of NATS is too old for.
func ageNote(version string) string {
	if !bus.TooOld(version) {
		return ""
	}
	return ": too old for consumers, which need " + bus.ConsumerVersion + " or later"
}

// behind returns the oldest of some positions, and how many are not set.
func behind(positions []time.Time) (oldest time.Time, never int) {
	for _, p := range positions {
		switch {
		case p.IsZero():
			never++
		case oldest.IsZero() || p.Before(oldest):
			oldest = p
		}
	}
	return oldest, never
}

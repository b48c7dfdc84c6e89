package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

func (cmd *command) eventsStatusCommand() cli.Command {
	return cli.Command{
		Name:         "status",
		Usage:        "shows how far the events are told, and to whom",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Shows how far in time the events in the database are told, and how many
   wait there; then the NATS server, the streams and their consumers, and how
   the servers write to disk where "monitor_urls" are given. Warns when events
   have waited for more than half of the 7 days that the database keeps them.
   Exits with 1 if anything of that cannot be seen, and shows the rest.
`,
		Flags:  []cli.Flag{cli.BoolFlag{Name: "json", Usage: "print it as JSON"}},
		Action: cmd.eventsStatus,
	}
}

// eventsReport is what events status prints.
type eventsReport struct {
	feedsReport
	busReport
	// Errors say what could not be seen.
	Errors []string `json:"errors,omitempty"`
}

// busReport is a bus.Report as it is printed.
type busReport struct {
	Server  string             `json:"server"`
	Version string             `json:"version"`
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
	return cmd.withEvents(func(ctx context.Context, cfg *peerConfig) error {
		var unseen, written error
		table := newTable(cmd.stdout)
		feeds, err := seeFeeds(*cfg.scylla)
		if err != nil {
			unseen = multierr.Append(unseen, fmt.Errorf("looking at the database: %w", err))
		} else {
			feeds.warn(cmd.stderr, time.Now())
			if !c.Bool("json") { // at once: NATS may be waited for
				feeds.print(table, time.Now())
				written = table.Flush()
			}
		}
		report := eventsReport{feedsReport: feeds}
		err = cfg.onBus(ctx, func(b *bus.Bus) (err error) {
			report.busReport, err = seeBus(ctx, b)
			if !c.Bool("json") {
				report.busReport.print(table)
			}
			return err
		})
		if err != nil {
			// An error of several is one line.
			unseen = multierr.Append(unseen, errors.New("looking at NATS: "+strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
		for _, err := range multierr.Errors(unseen) {
			report.Errors = append(report.Errors, err.Error())
		}
		if c.Bool("json") {
			return multierr.Append(cmd.printJSON(report, ""), unseen)
		}
		if err := multierr.Append(written, table.Flush()); err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
		return unseen
	})
}

// newTable aligns what is separated by tabs.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// seeBus looks at NATS. What cannot be seen is an error, beside what can.
func seeBus(ctx context.Context, b *bus.Bus) (busReport, error) {
	seen, unseen := b.Report(ctx)
	report := busReport{
		Server: seen.Server, Version: seen.Version, Streams: seen.Streams, Consumers: seen.Consumers, Dead: seen.Dead, Sync: make([]syncJSON, 0, len(seen.Sync)),
	}
	for _, s := range seen.Sync {
		one := syncJSON{URL: s.URL, Server: s.Server, Always: s.Always}
		switch {
		case s.Err != nil:
			one.Error = s.Err.Error()
			unseen = multierr.Append(unseen, s.Err)
		case !s.Always:
			one.Interval = s.Interval.String()
		}
		report.Sync = append(report.Sync, one)
	}
	return report, unseen
}

// print writes the part of events status that is about NATS.
func (r busReport) print(w io.Writer) {
	fmt.Fprintf(w, "server\t%s, NATS %s%s\n", r.Server, r.Version, ageNote(r.Version))
	for _, s := range r.Sync {
		switch {
		case s.Error != "":
			fmt.Fprintf(w, "writes to disk\t%s: not known: %s\n", s.URL, s.Error)
		case s.Always:
			fmt.Fprintf(w, "writes to disk\t%s: before it acknowledges (sync_interval: always)\n", s.Server)
		default:
			fmt.Fprintf(w, "writes to disk\t%s: every %s: it can lose as much in a power cut. Consumers notice, and are told again\n", s.Server, s.Interval)
		}
	}
	for _, s := range r.Streams {
		fmt.Fprintf(w, "stream %s\t%d messages, %d bytes, %d replicas", s.Name, s.Messages, s.Bytes, s.Replicas)
		if s.Messages > 0 {
			fmt.Fprintf(w, ", from %s", s.First.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(w)
	}
	for _, c := range r.Consumers {
		fmt.Fprintf(w, "consumer %s\t%d messages to come, %d not acknowledged, %d put aside\n", shownText(c.Name), c.Pending, c.Unacknowledged, r.Dead[c.Name])
	}
}

// ageNote says what a version of NATS is too old for.
func ageNote(version string) string {
	if !bus.TooOld(version) {
		return ""
	}
	return ": too old for consumers, which need " + bus.ConsumerVersion + " or later"
}

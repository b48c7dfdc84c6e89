package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/service"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func (cmd *command) usageCommand() cli.Command {
	return cli.Command{
		Name: "usage", Usage: "shows what an owner has used, day by day", ArgsUsage: "<owner>", OnUsageError: cmdline.UsageError,
		Description: `
   Shows the days from the first of this month until today, unless told
   otherwise. A day that is not closed is what is known of it until now.
   Bytes are those of all copies; byte·ms is their sum over the milliseconds.
`,
		Flags: []cli.Flag{
			cli.StringFlag{Name: "from", Usage: "the first `DAY`, as 2026-12-01"},
			cli.StringFlag{Name: "to", Usage: "the last `DAY`"},
			cli.BoolFlag{Name: "json", Usage: "one JSON object a line"},
		},
		Action: cmd.usage,
	}
}

// dayFlag reads a day, in days since 1970.
func dayFlag(c *cli.Context, name string, standard time.Time) (int64, error) {
	text := c.String(name)
	if text == "" {
		return usage.DayOf(standard.UnixMilli()), nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("reading --%s: %q is not a day, such as 2026-12-01", name, text)
	}
	return usage.DayOf(t.UnixMilli()), nil
}

// dateOf is a day for people.
func dateOf(day int64) string { return time.UnixMilli(day * usage.DayMS).UTC().Format(time.DateOnly) }

// usedDay is a day as JSON.
type usedDay struct {
	Day     string `json:"day"`
	Closed  bool   `json:"closed"`
	Version int64  `json:"version"`
	Bytes   string `json:"closing_bytes"`
	Pins    int64  `json:"closing_pins"`
	Peak    string `json:"peak_bytes"`
	ByteMS  string `json:"byte_ms"`
	PinMS   string `json:"pin_ms"`
	Wrong   bool   `json:"inconsistent"`
}

func (cmd *command) usage(c *cli.Context) error {
	owner, err := cmdline.OneArgument(c, "the owner")
	if err != nil {
		return err
	}
	now := cmd.now().UTC()
	from, err := dayFlag(c, "from", time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	to, err := dayFlag(c, "to", now)
	if err != nil {
		return err
	}
	if from > to {
		return fmt.Errorf("reading the command line: --from %s is after --to %s", dateOf(from), dateOf(to))
	}
	return cmd.withLedger(func(ctx context.Context, cfg config.Config, store *ledger.Store, _ *scylla.DB) error {
		out := cmdline.NewTable(cmd.stdout, c.Bool("json"), "DAY", "STATE", "BYTES AT ITS END", "PINS", "PEAK BYTES", "BYTE·MS", "PIN·MS")
		err := service.NewUsage(store, cfg.Claims.Since, cmd.now).Days(ctx, owner, from, to, func(d api.Day) error {
			u := d.Usage
			l := usedDay{dateOf(d.Day), d.Closed, d.Version, text(u.Closing.Bytes), u.Closing.Pins, text(u.PeakBytes), text(u.ByteMS), text(u.PinMS), u.Negative}
			return cmdline.Written(out.Row(l, l.Day, stateOf(d), l.Bytes, fmt.Sprint(l.Pins), l.Peak, l.ByteMS, l.PinMS))
		})
		if err != nil {
			return fmt.Errorf("reading the usage of %q: %w", owner, err)
		}
		return cmdline.Written(out.Flush())
	})
}

// stateOf says how far a day is.
func stateOf(d api.Day) string {
	switch {
	case d.Usage.Negative:
		return "inconsistent"
	case !d.Closed:
		return "open"
	case d.Version > 0:
		return fmt.Sprintf("corrected %d times", d.Version)
	}
	return "closed"
}

package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/service"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func (cmd *command) explainCommand() cli.Command {
	return cli.Command{
		Name: "explain", Usage: "shows why a day of an owner is as it is", ArgsUsage: "<owner>", OnUsageError: cmdline.UsageError,
		Description: `
   Shows the level before the day, each step of it with its claim, and what they
   come to: "start" and "size" of a claim that began, "stop" and "free" of one
   that ended. Days are those of UTC.
`,
		Flags: []cli.Flag{
			cli.StringFlag{Name: "day", Usage: "the `DAY`, as 2026-12-01; without it today"},
			cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a step each"},
		},
		Action: cmd.explain,
	}
}

// listedStep is a step of a day as JSON.
type listedStep struct {
	At        time.Time  `json:"at"`
	Kind      claim.Kind `json:"kind"`
	Bytes     string     `json:"bytes"`
	Pins      int64      `json:"pins"`
	RequestID string     `json:"request_id"`
	Cid       string     `json:"cid"`
}

func (cmd *command) explain(c *cli.Context) error {
	owner, err := cmdline.OneArgument(c, "the owner")
	if err != nil {
		return err
	}
	day, err := dayFlag(c, "day", cmd.now())
	if err != nil {
		return err
	}
	return cmd.withLedger(func(ctx context.Context, cfg config.Config, store *ledger.Store, _ *scylla.DB) error {
		var found *api.Day
		err := service.NewUsage(store, cfg.Claims.Since, cmd.now).Days(ctx, owner, day, day, func(d api.Day) error {
			found = &d
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the usage of %q: %w", owner, err)
		}
		if found == nil {
			return errors.New("explaining a day: " + dateOf(day) + " is before billing began, or has not begun")
		}
		facts, err := store.Facts(ctx, owner, day)
		if err != nil {
			return fmt.Errorf("explaining a day: %w", err)
		}
		slices.SortStableFunc(facts, func(a, b claim.Fact) int { return cmp.Compare(a.At, b.At) })
		return cmd.showSteps(c.Bool("json"), *found, facts)
	})
}

func (cmd *command) showSteps(asJSON bool, d api.Day, facts []claim.Fact) error {
	u := d.Usage
	if !asJSON {
		_, err := fmt.Fprintf(cmd.stdout, "%s, %s: it began with %s bytes and %d pins\n", dateOf(d.Day), stateOf(d), u.Opening.Bytes, u.Opening.Pins)
		if err != nil {
			return cmdline.Written(err)
		}
	}
	out := cmdline.NewTable(cmd.stdout, asJSON, "AT", "STEP", "BYTES", "PINS", "REQUEST", "CID")
	for _, f := range facts {
		l := listedStep{time.UnixMilli(f.At).UTC(), f.Kind, f.Bytes.String(), f.Pins, f.RequestID, f.Cid}
		if err := out.Row(l, l.At.Format(time.RFC3339Nano), string(l.Kind), l.Bytes, fmt.Sprintf("%+d", l.Pins), l.RequestID, l.Cid); err != nil {
			return cmdline.Written(err)
		}
	}
	if err := out.Flush(); err != nil || asJSON {
		return cmdline.Written(err)
	}
	_, err := fmt.Fprintf(cmd.stdout, "it ended with %s bytes and %d pins: %s byte·ms, %s pin·ms\n", u.Closing.Bytes, u.Closing.Pins, u.ByteMS, u.PinMS)
	return cmdline.Written(err)
}

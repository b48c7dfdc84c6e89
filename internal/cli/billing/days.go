package billing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ingest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/service"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func (cmd *command) closeCommand() cli.Command {
	return cli.Command{
		Name: "close", Usage: "closes the days that may be closed, once", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
		Description: `
   Does what "serve" does every 10 minutes: days whose grace is over, and of which
   all that was told is counted, are closed, and what came late becomes
   adjustments. It may run beside services, and again after it was killed.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{Name: "without-events", Usage: "do not ask NATS whether all is counted, when it is gone for good: what is told later becomes adjustments"},
		},
		Action: cmd.close,
	}
}

func (cmd *command) close(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	return cmd.withLedger(func(ctx context.Context, cfg config.Config, store *ledger.Store, db *scylla.DB) error {
		opts := service.Closing(cfg, store, db)
		opts.Now = cmd.now
		if !c.Bool("without-events") {
			b, err := service.Connect(cfg, nil)
			if err != nil {
				return err
			}
			defer closeBus(b)
			opts.Watermarks = service.Watermarks(cfg, store, func(ctx context.Context) (claims.Lag, error) { return claims.LagOf(ctx, b, cfg.Events.Consumer) }, cmd.now)
		}
		closer, err := closing.New(opts)
		if err != nil {
			return err
		}
		if err := closer.Pass(ctx); err != nil {
			return fmt.Errorf("closing days: %w", err)
		}
		last, err := closer.Last(ctx)
		if err != nil {
			return fmt.Errorf("closing days: %w", err)
		}
		_, err = fmt.Fprintf(cmd.stdout, "closed until %s\n", dateOf(last))
		return cmdline.Written(err)
	})
}

// closeBus ends a connection to NATS.
func closeBus(b *bus.Bus) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		logger.Debugf("closing the connection to NATS: %s", err)
	}
}

func (cmd *command) recomputeCommand() cli.Command {
	return cli.Command{
		Name: "recompute", Usage: "works out all closed days again, and tells where they differ", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
		Description: `
   Adds up all facts again, from the first day on, and compares that with the
   days that are stored and their adjustments. It changes nothing. The exit code
   is 2 if a day differs. It reads all facts that there are: run it at a quiet
   time.
`,
		Flags:  []cli.Flag{cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a day each"}},
		Action: cmd.recompute,
	}
}

// listedDifference is a day that differs, as JSON.
type listedDifference struct {
	Owner   string `json:"owner"`
	Day     string `json:"day"`
	Version int64  `json:"version"`
	What    string `json:"what"`
	Stored  string `json:"stored_byte_ms"`
	Again   string `json:"recomputed_byte_ms"`
}

func (cmd *command) recompute(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	return cmd.withLedger(func(ctx context.Context, cfg config.Config, store *ledger.Store, _ *scylla.DB) error {
		out := cmdline.NewTable(cmd.stdout, c.Bool("json"), "OWNER", "DAY", "VERSION", "WHAT", "BYTE·MS STORED", "RECOMPUTED")
		checked, err := closing.NewReader(store, cfg.Claims.Since, cmd.now).Recheck(ctx, func(d closing.Difference) error {
			l := listedDifference{d.Owner, dateOf(d.Day), d.Version, d.What, text(d.Stored.ByteMS), text(d.Recomputed.ByteMS)}
			return cmdline.Written(out.Row(l, l.Owner, l.Day, fmt.Sprint(l.Version), l.What, l.Stored, l.Again))
		}, func(done, of int, checked closing.Checked) {
			logger.Infof("%d of %d shards are done: %d days of %d owners, %d differ", done, of, checked.Days, checked.Owners, checked.Differences)
		})
		if err := errors.Join(err, out.Flush()); err != nil {
			return fmt.Errorf("recomputing days: %w", err)
		}
		fmt.Fprintf(cmd.stderr, "days that were worked out again: %d, of %d owners\n", checked.Days, checked.Owners)
		if checked.Differences > 0 {
			return cli.NewExitError(fmt.Sprintf("recomputing days: days that differ: %d", checked.Differences), found)
		}
		return nil
	})
}

func text(n *big.Int) string {
	if n == nil {
		return "0"
	}
	return n.String()
}

func (cmd *command) reconcileCommand() cli.Command {
	return cli.Command{
		Name: "reconcile", Usage: "compares what is counted with what the gateway has", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
		Description: `
   Reads the export of the gateway (gateway.url), tenant by tenant, and compares
   each claim and the levels after the last closed day. It changes nothing,
   unless --repair has it count what billing lacks. The exit code is 2 if
   something differs.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{Name: "repair", Usage: "count the claims that are lacking, as if the gateway had told them now"},
			cli.BoolFlag{Name: "json", Usage: "one JSON object"},
		},
		Action: cmd.reconcile,
	}
}

// reported is a comparison as JSON.
type reported struct {
	Owners     int64            `json:"owners"`
	Claims     int64            `json:"claims"`
	Found      map[string]int64 `json:"found"`
	DriftBytes string           `json:"drift_bytes"`
	DriftPins  string           `json:"drift_pins"`
	Repaired   int64            `json:"repaired"`
	Examples   []example        `json:"examples"`
}

type example struct {
	Kind      string `json:"kind"`
	Owner     string `json:"owner"`
	RequestID string `json:"request_id"`
	Detail    string `json:"detail"`
}

func (cmd *command) reconcile(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	return cmd.withLedger(func(ctx context.Context, cfg config.Config, store *ledger.Store, _ *scylla.DB) error {
		files, err := cfg.Read()
		if err != nil {
			return fmt.Errorf("reading the files of the configuration: %w", err)
		}
		r, err := service.Reconciling(cfg, files, store)
		if err != nil {
			return err
		}
		r.Now = cmd.now
		if c.Bool("repair") {
			if r.Repair, err = ingest.New(ingest.Options{Store: store, Policy: cfg.Claims.Policy()}); err != nil {
				return err
			}
		}
		report, err := closing.Reconcile(ctx, r)
		if err != nil {
			return fmt.Errorf("comparing with the gateway: %w", err)
		}
		return cmd.showReport(c.Bool("json"), report)
	})
}

func (cmd *command) showReport(asJSON bool, r closing.Report) error {
	out := reported{r.Owners, r.Claims, make(map[string]int64), text(r.DriftBytes), text(r.DriftPins), r.Repaired, []example{}}
	differ := int64(0)
	for kind, n := range r.Found {
		out.Found[kind.String()] = n
		differ += n
	}
	for _, e := range r.Examples {
		out.Examples = append(out.Examples, example{e.Kind.String(), e.Owner, e.RequestID, e.Detail})
	}
	if asJSON {
		if err := cmdline.PrintJSON(cmd.stdout, out); err != nil {
			return err
		}
	} else {
		list := cmdline.NewTable(cmd.stdout, false, "WHAT", "OWNER", "REQUEST", "DETAIL")
		for _, e := range out.Examples {
			if err := list.Row(nil, e.Kind, e.Owner, e.RequestID, e.Detail); err != nil {
				return cmdline.Written(err)
			}
		}
		if err := list.Flush(); err != nil {
			return cmdline.Written(err)
		}
		fmt.Fprintf(cmd.stderr, "claims that were compared: %d, of %d owners; repaired: %d; the levels differ by %s bytes and %s pins\n",
			out.Claims, out.Owners, out.Repaired, out.DriftBytes, out.DriftPins)
	}
	if differ > 0 || r.DriftBytes.Sign() != 0 || r.DriftPins.Sign() != 0 {
		return cli.NewExitError(fmt.Sprintf("comparing with the gateway: claims that differ: %d", differ), found)
	}
	return nil
}

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/drift"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// The exit codes of state drift: as those of diff.
const (
	driftFound      = 1
	driftNotKnown   = 2
	defaultExamples = 10
)

func (cmd *command) driftCommand() cli.Command {
	return cli.Command{
		Name:         "drift",
		Usage:        "compare what this peer is to hold with what its IPFS daemon has pinned (only for \"scylla\" state)",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Compares the pinset in the database with the pins of the IPFS daemon that
   "ipfs_connector" names, and says how many differ:

     missing     this peer is to hold it, and IPFS has no pin of it
     extra       this cluster has pinned it here, it is not to be held here any
                 more, and IPFS has it pinned
     wrong_mode  pinned directly and not recursively, or the other way round

   What changed in the last 60 s (--grace), what is queued and what is being
   unpinned is in flight and does not count. Pins that this cluster did not make
   are those of other users of the IPFS daemon: they are no drift. Indirect pins
   are none.

   Nothing is changed, and the daemon may be running or not. Exits with 0
   without drift, with 1 where there is some, and with 2 if that is not known,
   because the database or IPFS has failed.

   --repair asks the running daemon of this peer, at its REST API, to recover
   what is missing or pinned in the wrong mode, and is refused when it does not
   run. What is extra the daemon unpins by itself, within "check_every". The
   exit code is that of before: run the command again to see what came of it.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{Name: "repair", Usage: "have the running daemon pin again what is missing or has the wrong mode"},
			cli.BoolFlag{Name: "json", Usage: "print it as JSON"},
			cli.IntFlag{Name: "examples", Value: defaultExamples, Usage: "how many CIDs to name of each kind"},
			cli.DurationFlag{Name: "grace", Value: drift.DefaultGrace, Usage: "how long after a change a pin does not count"},
		},
		Action: cmd.drift,
	}
}

func (cmd *command) drift(c *cli.Context) error {
	report, err := cmd.measureDrift(c)
	if err != nil {
		return cli.NewExitError(fmt.Sprintf("measuring drift: %s", err), driftNotKnown)
	}
	if n := report.Missing + report.Extra + report.WrongMode; n > 0 {
		return cli.NewExitError(fmt.Sprintf("measuring drift: pins that differ: %d", n), driftFound)
	}
	return nil
}

// driftReport is what state drift prints. A pin is counted once.
type driftReport struct {
	Peer      peer.ID `json:"peer"`
	Desired   int64   `json:"desired"`
	Missing   int64   `json:"missing"`
	Extra     int64   `json:"extra"`
	WrongMode int64   `json:"wrong_mode"`
	// Ratio is the share of the three in what is desired.
	Ratio float64 `json:"ratio"`
	// These do not count.
	InFlight   int64   `json:"in_flight"`
	Kept       int64   `json:"kept"`
	Unreadable int64   `json:"unreadable"`
	Others     int64   `json:"others"`
	Seconds    float64 `json:"seconds"`
	// Examples are some of each kind.
	Examples map[drift.Kind][]string `json:"examples"`
	// Recovering is how many the daemon was asked to recover.
	Recovering int64 `json:"recovering"`
}

func (cmd *command) measureDrift(c *cli.Context) (report driftReport, err error) {
	if err := noArguments(c); err != nil {
		return report, err
	}
	if c.Int("examples") < 0 || c.Duration("grace") < 0 {
		return report, errors.New("reading the flags: --examples and --grace must not be below 0")
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return report, err
	}
	cfg.release()
	if cfg.backend != backendScylla {
		return report, errors.New("this peer has no scylla state")
	}
	var daemon *daemonAPI
	if c.Bool("repair") {
		if daemon, err = cmd.findDaemon(cfg); err != nil {
			return report, err
		}
	}
	kubo, err := kuboAPI(cfg.Configs().Ipfshttp)
	if err != nil {
		return report, err
	}
	err = withStore(cfg.scylla, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) error {
		report, err = cmd.sweep(ctx, c, cfg, store, kubo, daemon)
		return err
	})
	if err != nil {
		return report, err
	}
	if report.Extra > 0 && daemon != nil {
		fmt.Fprintln(cmd.stderr, unpinsLater(cfg.scylla.CheckEvery))
	}
	return report, cmd.printDrift(c, report)
}

// sweep compares everything, and has the daemon recover what it can, unless that is nil.
func (cmd *command) sweep(ctx context.Context, c *cli.Context, cfg *peerConfig, store *scyllastate.Store, kubo drift.API, daemon *daemonAPI) (driftReport, error) {
	out := driftReport{Peer: cfg.Identity().ID, Examples: map[drift.Kind][]string{drift.Missing: {}, drift.Extra: {}, drift.WrongMode: {}}}
	if daemon != nil {
		if err := daemon.check(ctx, out.Peer); err != nil {
			return out, err
		}
	}
	shown := &driftProgress{w: cmd.stderr, every: 10 * time.Second, last: time.Now()}
	meter := drift.New(drift.Options{
		Self: out.Peer, Store: store, Kubo: kubo, KeepContent: cfg.Configs().Ipfshttp.UnpinDisable, Grace: c.Duration("grace"), Hurry: true,
		Progress: shown.tick,
		Found: func(f drift.Finding) error {
			if some := out.Examples[f.Kind]; len(some) < c.Int("examples") {
				out.Examples[f.Kind] = append(some, f.Cid.String())
			}
			if daemon == nil || f.Kind == drift.Extra {
				return nil
			}
			out.Recovering++
			return daemon.recover(ctx, f.Cid)
		},
	})
	found, err := meter.Sweep(ctx)
	if err != nil {
		return out, err
	}
	out.Desired, out.Missing, out.Extra, out.WrongMode, out.Ratio = found.Desired, found.Missing, found.Extra, found.WrongMode, found.Ratio()
	out.InFlight, out.Kept, out.Unreadable, out.Others = found.InFlight, found.Kept, found.Unreadable, found.Others
	out.Seconds = found.Ended.Sub(found.Began).Seconds()
	return out, nil
}

func unpinsLater(checkEvery time.Duration) string {
	if checkEvery == 0 {
		return "what is extra stays until its pin changes or the daemon starts after it has missed changes: check_every is 0s"
	}
	return fmt.Sprintf("what is extra the daemon unpins by itself, within %s (check_every)", checkEvery)
}

// kuboAPI is the IPFS daemon of the connector.
func kuboAPI(cfg *ipfshttp.Config) (drift.API, error) {
	client, err := kuboClient(cfg)
	return drift.API{Base: kuboBase, Client: client}, err
}

func (cmd *command) printDrift(c *cli.Context, r driftReport) error {
	if c.Bool("json") {
		return cmd.printJSON(r, "")
	}
	table := newTable(cmd.stdout)
	r.print(table)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// print writes the report for people.
func (r driftReport) print(w io.Writer) {
	fmt.Fprintf(w, "peer\t%s\n", r.Peer)
	fmt.Fprintf(w, "desired\t%d pins\n", r.Desired)
	for _, kind := range []struct {
		of drift.Kind
		n  int64
	}{{drift.Missing, r.Missing}, {drift.Extra, r.Extra}, {drift.WrongMode, r.WrongMode}} {
		fmt.Fprintf(w, "%s\t%d\n", kind.of, kind.n)
		for _, c := range r.Examples[kind.of] {
			fmt.Fprintf(w, "\t%s\n", c)
		}
		if more := kind.n - int64(len(r.Examples[kind.of])); more > 0 {
			fmt.Fprintf(w, "\tand %d more\n", more)
		}
	}
	fmt.Fprintf(w, "drift\t%.4f%% of what is desired\n", 100*r.Ratio)
	fmt.Fprintf(w, "not counted\t%d in flight, %d pinned by others", r.InFlight, r.Others)
	if r.Kept > 0 {
		fmt.Fprintf(w, ", %d that unpin_disable keeps", r.Kept)
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(w, ", %d whose pin cannot be decoded", r.Unreadable)
	}
	fmt.Fprintln(w)
	if r.Recovering > 0 {
		fmt.Fprintf(w, "recovering\t%d\n", r.Recovering)
	}
}

// driftProgress says from time to time how far a sweep has come.
type driftProgress struct {
	w     io.Writer
	every time.Duration
	last  time.Time
}

func (p *driftProgress) tick(now drift.Progress) {
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	if now.Done == 0 {
		fmt.Fprintf(p.w, "IPFS has listed %d pins\n", now.Listed)
		return
	}
	fmt.Fprintf(p.w, "%.0f%% is compared with the %d pins of IPFS\n", 100*now.Done, now.Listed)
}

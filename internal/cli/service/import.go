package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// importBatch is how many pins are written between two commits.
const importBatch = 1000

func (cmd *command) importCommand() cli.Command {
	return cli.Command{
		Name:         "import",
		Usage:        "load the state from a file produced by 'export'",
		ArgsUsage:    "[file]",
		OnUsageError: usageError,
		Description: `
   Reads pins as "export" writes them from a file, or from stdin when no file is
   given.

   With a scylla state the pins are added to the pinset in the database, which
   all peers share. A pin that is there already is replaced, and no pin is
   removed. When the keyspace holds pins, the command says how many and wants
   its name before it writes: at the prompt, or from scripts with --keyspace.
   The peers may be running; they act on the imported pins as on any other.
   After an error, correct its cause and run the import again: pins that are
   imported twice do no harm.

   With a crdt or raft consensus the pinset of this peer is REPLACED: it is
   removed first. The daemon must be stopped.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{
				Name:  "force, f",
				Usage: "skips confirmation prompt",
			},
			cli.IntFlag{
				Name:  "replication-min, rmin",
				Value: 0,
				Usage: "Overwrite replication-factor-min for all pins on import",
			},
			cli.IntFlag{
				Name:  "replication-max, rmax",
				Value: 0,
				Usage: "Overwrite replication-factor-max for all pins on import",
			},
			cli.StringFlag{
				Name:  "allocations, allocs",
				Usage: "Overwrite allocations for all pins on import. Comma-separated list of peer IDs",
			},
			keyspaceFlag(),
		},
		Action: cmd.importPins,
	}
}

func (cmd *command) importPins(c *cli.Context) error {
	opts, err := importOptions(c)
	if err != nil {
		return err
	}
	path := c.Args().First()
	return cmd.withState(
		func(cfg *scyllastate.Config) error {
			return cmd.withInput(path, func(r io.Reader) error {
				return withStore(cfg, scyllastate.Open, func(ctx context.Context, store *scyllastate.Store) error {
					yes, err := cmd.confirmImport(ctx, c, cfg, store)
					if err != nil {
						return fmt.Errorf("importing state: %w", err)
					}
					if !yes {
						return nil
					}
					n, err := addPins(ctx, r, store.Batching(), opts, newProgress(cmd.stderr, "imported"))
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.stderr, "%d pins imported\n", n)
					return nil
				})
			})
		},
		func(manager cmdutils.StateManager) error {
			if err := noKeyspace(c); err != nil {
				return err
			}
			yes, err := cmd.confirmUnlessForced(context.Background(), c, "The pinset (state) of this peer will be replaced.")
			if err != nil || !yes {
				return err
			}
			return cmd.withInput(path, func(r io.Reader) error {
				if err := manager.ImportState(r, opts); err != nil {
					return fmt.Errorf("importing state: %w", err)
				}
				logger.Info("state successfully imported. Make sure all peers have consistent states")
				return nil
			})
		},
	)
}

// confirmImport asks whether the pins may be written into the keyspace. One
// that holds pins wants more than a yes.
func (cmd *command) confirmImport(ctx context.Context, c *cli.Context, cfg *scyllastate.Config, store *scyllastate.Store) (bool, error) {
	if err := checkKeyspaceFlag(c, cfg); err != nil {
		return false, err
	}
	n, err := store.Count(ctx, newProgress(cmd.stderr, "counted").tick)
	if err != nil {
		return false, err
	}
	if n == 0 && c.IsSet("keyspace") {
		return true, nil
	}
	if n == 0 {
		return cmd.confirmUnlessForced(ctx, c, fmt.Sprintf("The pins will be added to the keyspace %s, which holds none.", cfg.Keyspace))
	}
	err = cmd.confirmKeyspace(ctx, c, cfg, fmt.Sprintf("The keyspace %s holds %d pins of the cluster %q, which all its peers share. "+
		"Those that are imported will be replaced, none will be removed.", cfg.Keyspace, n, cfg.ClusterName))
	return err == nil, err
}

// importOptions reads the flags that change every pin.
func importOptions(c *cli.Context) (api.PinOptions, error) {
	opts := api.PinOptions{
		ReplicationFactorMin: c.Int("replication-min"),
		ReplicationFactorMax: c.Int("replication-max"),
		UserAllocations:      []peer.ID{},
	}
	rmin, rmax := opts.ReplicationFactorMin, opts.ReplicationFactorMax
	if rmin < 0 || rmax < 0 {
		return opts, errors.New("reading the command line: --replication-min and --replication-max take 1 or more, 0 leaves the pins as they are")
	}
	if rmax > 0 && rmin > rmax {
		return opts, fmt.Errorf("reading the command line: --replication-min %d is more than --replication-max %d", rmin, rmax)
	}
	for _, text := range strings.Split(c.String("allocations"), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		id, err := peer.Decode(text)
		if err != nil {
			return opts, fmt.Errorf("reading --allocations: %q is not a peer ID: %w", text, err)
		}
		opts.UserAllocations = append(opts.UserAllocations, id)
	}
	return opts, nil
}

// withInput calls f with the content of the file, or of stdin without a path.
func (cmd *command) withInput(path string, f func(io.Reader) error) error {
	if path == "" {
		fmt.Fprintln(cmd.stdout, "reading from stdin, Ctrl-D to finish")
		return f(cmd.stdin)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading import file: %w", err)
	}
	defer file.Close()
	return f(file)
}

// addPins reads pins from r, changes them as opts says, and writes them to st.
// It returns how many are durably written, also with an error.
func addPins(ctx context.Context, r io.Reader, st state.BatchingStore, opts api.PinOptions, progress *progress) (written int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("importing state: %w (%d pins are imported)", err, written)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := readPins(ctx, r)
	read := 0
	first := 1 // line of the first pin that waits for Commit
	for {
		var item importedPin
		more := false
		select {
		case item, more = <-items:
		case <-ctx.Done():
		}
		if !more {
			break
		}
		if item.err != nil {
			return written, item.err
		}
		if err := override(&item.pin, opts); err != nil {
			return written, fmt.Errorf("line %d: %w", item.line, err)
		}
		if err := st.Add(ctx, item.pin); err != nil {
			return written, fmt.Errorf("line %d: %w", item.line, err)
		}
		if read == written {
			first = item.line
		}
		if read++; read-written == importBatch {
			if err := st.Commit(ctx); err != nil {
				return written, fmt.Errorf("lines %d to %d: %w", first, item.line, err)
			}
			written = read
		}
		progress.tick(written)
	}
	if err := ctx.Err(); err != nil { // the input may not have been read to its end
		return written, err
	}
	if err := st.Commit(ctx); err != nil {
		return written, fmt.Errorf("lines from %d: %w", first, err)
	}
	return read, nil
}

// override changes pin as opts says, and refuses what no peer would accept.
func override(pin *api.Pin, opts api.PinOptions) error {
	overwrite(pin, opts)
	if pin.ReplicationFactorMin > pin.ReplicationFactorMax {
		return fmt.Errorf("the pin of %s would have replication factors %d to %d: use --replication-min and --replication-max together",
			pin.Cid, pin.ReplicationFactorMin, pin.ReplicationFactorMax)
	}
	return nil
}

// overwrite changes pin as opts says.
func overwrite(pin *api.Pin, opts api.PinOptions) {
	if opts.ReplicationFactorMin > 0 {
		pin.ReplicationFactorMin = opts.ReplicationFactorMin
	}
	if opts.ReplicationFactorMax > 0 {
		pin.ReplicationFactorMax = opts.ReplicationFactorMax
	}
	if len(opts.UserAllocations) > 0 {
		// Allocations by the user are not stored; these are what counts.
		pin.Allocations = opts.UserAllocations
	}
}

package service

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (cmd *command) exportCommand() cli.Command {
	return cli.Command{
		Name:         "export",
		Usage:        "save the state to a JSON file",
		OnUsageError: usageError,
		Description: `
   Writes the pinset to stdout or to a file: one pin as JSON on each line. The
   output can be imported into any peer, whatever keeps its pinset.

   With --file the pins go to <file>.partial first, which gets its name when
   all pins are written. When the export fails the exit code is 1, and what was
   written to stdout is not the whole pinset.

   A peer with a scylla state may be running meanwhile. Pins that are changed
   during the export may be written as they were before or after the change.
   The daemon of a peer with a crdt or raft consensus must be stopped.
`,
		Flags: []cli.Flag{
			cli.StringFlag{
				Name:  "file, f",
				Value: "",
				Usage: "writes to an output file",
			},
		},
		Action: cmd.export,
	}
}

func (cmd *command) export(c *cli.Context) error {
	return cmd.withState(
		func(cfg *scyllastate.Config) error {
			return withStore(cfg, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) error {
				return cmd.writeOutput(c, func(w io.Writer) error {
					n, err := exportPins(ctx, store, w, newProgress(cmd.stderr, "exported"))
					if err != nil {
						return fmt.Errorf("exporting state: %w", err)
					}
					fmt.Fprintf(cmd.stderr, "%d pins exported\n", n)
					return nil
				})
			})
		},
		func(manager cmdutils.StateManager) error {
			if err := cmd.writeOutput(c, manager.ExportState); err != nil {
				return fmt.Errorf("exporting state: %w", err)
			}
			logger.Info("state successfully exported")
			return nil
		},
	)
}

// exportPins writes all pins of st to w, one JSON object a line, and returns
// how many it wrote. After an error the output is not the whole pinset.
func exportPins(ctx context.Context, st state.Store, w io.Writer, progress *progress) (n int, err error) {
	enc := json.NewEncoder(w)
	err = each(ctx, st.List, func(pin api.Pin) error {
		if err := enc.Encode(pin); err != nil {
			return err
		}
		n++
		progress.tick(n)
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("the export is not complete, it ended after %d pins: %w", n, err)
	}
	return n, nil
}

// writeOutput lets write fill the file that --file names, or stdout.
func (cmd *command) writeOutput(c *cli.Context, write func(io.Writer) error) error {
	if path := c.String("file"); path != "" {
		return writeWhole(path, write)
	}
	return writeBuffered(cmd.stdout, write)
}

// writeWhole lets write fill the file path, which is there with all its
// content or not at all. An older file stays when write fails.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a pipe or a device stays what it is
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("opening output file: %w", err)
		}
		return multierr.Append(writeBuffered(f, write), f.Close())
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	partial := path + ".partial"
	f, err := os.Create(partial)
	if err != nil {
		return fmt.Errorf("creating output file: %w", err)
	}
	defer func() {
		if err != nil {
			err = multierr.Append(err, os.Remove(partial))
		}
	}()
	if err := multierr.Combine(writeBuffered(f, write), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("naming output file: %w", err)
	}
	return nil
}

func writeBuffered(w io.Writer, write func(io.Writer) error) error {
	buf := bufio.NewWriterSize(w, 1<<16)
	err := write(buf)
	if flushErr := buf.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("writing the output: %w", flushErr)
	}
	return err
}

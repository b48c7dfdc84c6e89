package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (cmd *command) migrateRollbackCommand() cli.Command {
	return cli.Command{
		Name:         "rollback",
		Usage:        "writes the pins to a file for stock ipfs-cluster, and checks it",
		OnUsageError: usageError,
		Description: `
   Writes all pins of the database to a file that the "state import" of any
   ipfs-cluster-service takes, reads it back, and compares it with the database
   in both directions. Then it says how to go on with a crdt or raft consensus.
   The database stays as it is.

   Stop the peers first: what they change during the export shows as a
   difference, and the exit code is 4.
`,
		Flags: []cli.Flag{
			cli.StringFlag{Name: "file, f", Usage: "`FILE` to write, which gets its name when all pins are in it"},
			reportFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			path := c.String("file")
			if path == "" || path == "-" {
				return errors.New("reading the command line: say where to write the pins with --file: they are read back from there")
			}
			return cmd.withTarget(c, scyllastate.OpenExisting, func(ctx context.Context, m *migration) error {
				found, err := m.rollback(ctx, path)
				if err != nil {
					return fmt.Errorf("rolling back: %w", err)
				}
				failed := m.out.compared(found, c.String("report"))
				if !found.Equal() {
					return differs(failed, "rolling back: %s and the database differ: stop all peers and do it again", path)
				}
				m.out.printf(`
%s holds all pins. To go back to ipfs-cluster with crdt, on each peer:
  1. stop the daemon
  2. put the old service.json with its consensus section back, and keep identity.json
  3. on one peer:      %s state import %s
     on all others:    %s state cleanup
  4. start the peer with the pins first, then the others with --bootstrap ADDRESS of the first
With raft, import the file on every peer instead, and start them all.
`, path, programName, path, programName)
				return failed
			})
		},
	}
}

// rollback writes the pins to the file and compares it with the database.
func (m *migration) rollback(ctx context.Context, path string) (found *migrate.Comparison, err error) {
	err = writeWhole(path, func(w io.Writer) error { return exportShown(ctx, m.store, w, m.out.progress) })
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, "export:"+path, source.Options{})
	if err != nil {
		return nil, fmt.Errorf("reading back what was written: %w", err)
	}
	defer func() { err = multierr.Append(err, src.Close()) }()
	m.out.warn(src.Warnings())
	found, err = migrate.Verify(ctx, src, m.store, migrate.Options{Progress: m.out.progress})
	if err != nil {
		return nil, fmt.Errorf("reading back what was written: %w", err)
	}
	return found, nil
}

// phaseExporting is what a rollback does before it compares.
const phaseExporting migrate.Phase = "exporting"

// exportShown is exportPins with the progress of a migration.
func exportShown(ctx context.Context, st state.Store, w io.Writer, show func(migrate.Progress)) error {
	lines := &lineMeter{w: w, began: time.Now(), now: migrate.Progress{Phase: phaseExporting, Total: -1}, show: show}
	show(lines.now)
	_, err := exportPins(ctx, st, lines, newProgress(io.Discard, ""))
	return err
}

// lineMeter shows how many lines were written through it. Each is a pin.
type lineMeter struct {
	w     io.Writer
	began time.Time
	now   migrate.Progress
	show  func(migrate.Progress)
}

func (m *lineMeter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.now.Done += int64(bytes.Count(p[:n], []byte("\n")))
	m.now.Elapsed = time.Since(m.began)
	if seconds := m.now.Elapsed.Seconds(); seconds > 0 {
		m.now.Rate = float64(m.now.Done) / seconds
	}
	m.show(m.now)
	return n, err
}

package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func (cmd *command) migratePlanCommand() cli.Command {
	return cli.Command{
		Name:         "plan",
		Usage:        "reads the source and says what a run would do",
		OnUsageError: usageError,
		Description: `
   Reads every pin of the source and counts: types, replication factors,
   expiries, the peers that pins are allocated to and whether the database
   knows them, records that cannot be read. Then it looks at the database, and
   says whether a run would write in bulk or with conditions, and why. It
   writes no pin. The keyspace and its tables are created if they are missing,
   as by the daemon.

   The exit code is 4 when a run would be refused: give the --existing and the
   --skip-too-large that the run will have. It is 4 as well when records cannot
   be read, or pins are too large and would be left out.
` + sourceHelp,
		Flags: append(append(sourceFlags(), changeFlags()...), existingFlag(), skipTooLargeFlag(), reportFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			return cmd.withMigration(c, scyllastate.Open, func(ctx context.Context, m *migration) error {
				plan, err := migrate.MakePlan(ctx, m.src, m.store, m.opts)
				if err != nil {
					return err
				}
				members, err := m.store.ListMembers(ctx)
				if err != nil {
					return err
				}
				return m.out.planned(newPlanResult(plan, members), c.String("report"))
			})
		},
	}
}

func (cmd *command) migrateRunCommand() cli.Command {
	return cli.Command{
		Name:         "run",
		Usage:        "copies the pins of the source into the database",
		OnUsageError: usageError,
		Description: `
   Copies every pin. While no peer has used the database, and it holds no pins
   of elsewhere, the pins are written in bulk. Otherwise each is written with a
   condition, which is slower, and --existing says what becomes of a pin that is
   there already and is another one: "fail" ends the run and replaces nothing,
   "newer" keeps the one with the later timestamp, "keep" the one that is there.

   How far the run has come is kept in the database every few seconds. After a
   stop of any kind, run the same command again: it goes on. When the source
   has changed since, it begins anew. With --remove-missing it removes in the
   end what an earlier bulk run from the same source has brought and the source
   does not have any more.

   Records that cannot be read are counted and listed, and the others are
   copied; the exit code is 4 then.

   A pin of more than 256 KiB cannot be stored. The source is read once before
   the copy to find such pins, and the run is refused and lists them. With
   --skip-too-large it is read only once, such pins are left out and listed,
   and the exit code is 4. Stdin cannot be read twice: there the run ends at the
   first such pin.
` + sourceHelp,
		Flags: append(append(sourceFlags(), changeFlags()...),
			existingFlag(), skipTooLargeFlag(),
			cli.BoolFlag{Name: "remove-missing", Usage: "remove what an earlier run has brought and the source has no more"},
			cli.BoolFlag{Name: "dry-run", Usage: "read and check everything, write no pin"},
			reportFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			if c.Bool("remove-missing") && c.String("from") == "export:-" {
				return errors.New("reading the command line: --remove-missing is for a source that is the same place each time, and stdin may be any")
			}
			return cmd.withMigration(c, scyllastate.Open, func(ctx context.Context, m *migration) error {
				report, err := migrate.Run(ctx, m.src, m.store, m.opts)
				if report == nil {
					return err
				}
				return m.out.ran(report, c.String("report"), err)
			})
		},
	}
}

func (cmd *command) migrateVerifyCommand() cli.Command {
	return cli.Command{
		Name:         "verify",
		Usage:        "compares the source and the database, in both directions",
		OnUsageError: usageError,
		Description: `
   Reads both sides once and compares them piece by piece; only pieces that
   differ are looked at pin by pin. It counts pins that are missing in the
   database, that only the database has, and that differ, and lists the first of
   each. What lies beside the pins (placements, expiries) is not compared: it is
   written with them, and the scrub of the peers repairs it. What the run has
   changed in the pins is remembered and expected; flags that say otherwise
   replace it. It writes nothing.

   The exit code is 0 when both sides are the same, and 4 when they are not.
   Once peers use the database, what they change shows as a difference.
` + sourceHelp,
		Flags: append(append(sourceFlags(), changeFlags()...), reportFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			return cmd.withMigration(c, scyllastate.OpenExisting, func(ctx context.Context, m *migration) error {
				if err := m.expectRecorded(ctx); err != nil {
					return err
				}
				found, err := migrate.Verify(ctx, m.src, m.store, m.opts)
				if err != nil {
					return err
				}
				failed := m.out.compared(found, c.String("report"))
				if !found.Equal() {
					return differs(failed, "verifying the migration: source and database differ, see above")
				}
				return failed
			})
		},
	}
}

// expectRecorded takes what the run has changed in the pins, unless flags say
// something else.
func (m *migration) expectRecorded(ctx context.Context) error {
	if !m.opts.Change.Zero() {
		return nil
	}
	found, err := m.store.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, done := range found.All {
		if done.ID == m.src.ID() {
			if m.opts.Change, err = migrate.RecordedChange(done); err != nil {
				return err
			}
		}
	}
	return nil
}

func (cmd *command) migrateStatusCommand() cli.Command {
	return cli.Command{
		Name:         "status",
		Usage:        "shows the migrations into the database",
		OnUsageError: usageError,
		Description: `
   Shows every migration that was begun, how far it has come and when that was
   stored last, and whether the database is in use. It reads what the runs have
   stored, so that it works beside a run, and after it.
`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			return cmd.withTarget(c, scyllastate.OpenExisting, func(ctx context.Context, m *migration) error {
				found, err := m.store.Migrations(ctx)
				if err != nil {
					return fmt.Errorf("showing the migrations: %w", err)
				}
				for _, one := range found.All {
					if err := m.out.result("migration", "", statusOf(one)); err != nil {
						return err
					}
					m.out.printStatus(one, time.Now())
				}
				if len(found.All) == 0 {
					m.out.printf("no migration was begun\n")
				}
				if err := m.out.result("live", "", liveStatus{found.Live.Yes(), found.Live.Since, found.Live.By}); err != nil {
					return err
				}
				m.out.printLive(found.Live)
				return nil
			})
		},
	}
}

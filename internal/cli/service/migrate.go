package service

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// exitDiffers is the exit code of a command that did its work and found that
// something is not as it should be. It is none that a crash has (2), or stock (1 and 3).
const exitDiffers = 4

// migrationMemory is what the collector of garbage tries to keep the memory of the
// process within, unless GOMEMLIMIT says otherwise. What is needed is less.
const migrationMemory = 160 << 20

func (cmd *command) migrateCommand() cli.Command {
	return cli.Command{
		Name:         "migrate",
		Usage:        "Brings the pinset of another ipfs-cluster into the database, and back",
		OnUsageError: usageError,
		Description: `
   Copies the pins of an ipfs-cluster with a crdt or raft consensus, of an
   export, of a REST API, or of another database into the database that
   state.scylla of service.json names. The source is only read. The usual
   order is

      migrate plan   --from crdt:~/.ipfs-cluster-old     what would happen
      migrate run    --from crdt:~/.ipfs-cluster-old     copy
      migrate verify --from crdt:~/.ipfs-cluster-old     compare both

   and then the daemons. docs/migration.md has the whole way, and the way back.

   Exit codes: 0 when all is well, 1 when the command failed, 4 when it did its
   work and found differences, records that cannot be read, pins that are too
   large, or (plan) that a run would be refused.
`,
		Subcommands: []cli.Command{
			cmd.migratePlanCommand(),
			cmd.migrateRunCommand(),
			cmd.migrateVerifyCommand(),
			cmd.migrateStatusCommand(),
			cmd.migrateRollbackCommand(),
		},
		Action: groupAction,
	}
}

// sourceHelp is the part of the help texts about --from.
const sourceHelp = `
   --from is one of
      crdt:FOLDER   the configuration folder of a stopped peer with the crdt
                    consensus, on pebble, badger, badger3 or leveldb
      raft:FOLDER   that of a stopped peer with the raft consensus: its newest
                    snapshot, and the log after it
      export:FILE   what "state export" has written, also with gzip or zstd;
                    export:- reads stdin
      rest:URL      the REST API of a running cluster, as in
                    rest:https://host:9094
      cql:HOSTS/KEYSPACE   a keyspace of this program in another database, as in
                    cql:10.0.0.1,10.0.0.2:9042/ipfs_cluster, with the TLS
                    settings of state.scylla
`

// sourceFlags say where pins come from.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringFlag{Name: "from", Usage: "`SOURCE` of the pins, see above"},
		cli.StringFlag{Name: "from-username", Usage: "`NAME` for rest: and cql:"},
		cli.StringFlag{Name: "from-password-file", Usage: "`FILE` with the password for --from-username"},
		cli.StringFlag{Name: "from-dc", Usage: "local data `CENTRE` of a cql: source that has several"},
	}
}

// changeFlags say what is changed in the pins.
func changeFlags() []cli.Flag {
	return []cli.Flag{
		cli.IntFlag{Name: "replication-min, rmin", Usage: "replication-factor-min for all pins"},
		cli.IntFlag{Name: "replication-max, rmax", Usage: "replication-factor-max for all pins"},
		cli.StringFlag{Name: "allocations, allocs", Usage: "allocations for all pins: comma-separated `PEERS`"},
		cli.StringFlag{Name: "peer-map", Usage: "`OLD=NEW` peer IDs in the allocations, comma-separated"},
	}
}

func existingFlag() cli.Flag {
	return cli.StringFlag{Name: "existing", Value: "fail", Usage: "for other pins that are there: `fail, newer or keep`"}
}

func skipTooLargeFlag() cli.Flag {
	return cli.BoolFlag{Name: "skip-too-large", Usage: "leave out and list pins that are too large to be stored"}
}

func jsonFlag() cli.Flag {
	return cli.BoolFlag{Name: "json", Usage: "write JSON to stdout, one object a line"}
}

func reportFlag() cli.Flag {
	return cli.StringFlag{Name: "report", Usage: "also write the report to `FILE`, as JSON"}
}

// migration is what a subcommand of migrate works with.
type migration struct {
	cfg      *scyllastate.Config
	keyspace *scyllastate.Config // that of a cql: source, otherwise nil
	store    *scyllastate.Store
	src      source.Source // nil where there is none
	opts     migrate.Options
	out      *migrationOutput
}

// newMigration reads the configuration, and refuses what can be refused before
// anything is opened.
func (cmd *command) newMigration(c *cli.Context) (*migration, error) {
	if name := c.Args().First(); name != "" {
		return nil, fmt.Errorf("reading the command line: %q is not a flag: see %s --help", name, c.App.Name+" "+c.Command.Name)
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return nil, err
	}
	cfg.release()
	if cfg.backend != backendScylla {
		return nil, fmt.Errorf("%s keeps the pinset in %s: migrate works on the database of state.scylla, so name the folder of a peer that has it with --config",
			cmd.configPath, cfg.backend)
	}
	if err := checkReport(c); err != nil {
		return nil, fmt.Errorf("trying whether --report can be written: %w", err)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(migrationMemory)
	}
	return &migration{cfg: cfg.scylla, out: newMigrationOutput(cmd.stdout, cmd.stderr, c.Bool("json"))}, nil
}

// withTarget opens the database and calls f.
func (cmd *command) withTarget(c *cli.Context, open opener, f func(context.Context, *migration) error) error {
	m, err := cmd.newMigration(c)
	if err != nil {
		return err
	}
	defer m.out.close()
	return m.withStore(open, f)
}

func (m *migration) withStore(open opener, f func(context.Context, *migration) error) error {
	return withStore(m.cfg, open, func(ctx context.Context, store *scyllastate.Store) error {
		m.store = store
		return f(ctx, m)
	})
}

// withMigration opens the source as well. It does so first, because the database
// may get a keyspace by being opened.
func (cmd *command) withMigration(c *cli.Context, open opener, f func(context.Context, *migration) error) (err error) {
	opts, err := readOptions(c)
	if err != nil {
		return err
	}
	if c.String("from") == "" {
		return fmt.Errorf("reading the command line: say where the pins come from with --from, see %s --help", c.App.Name+" "+c.Command.Name)
	}
	m, err := cmd.newMigration(c)
	if err != nil {
		return err
	}
	defer m.out.close()
	m.opts = opts
	m.opts.Progress = m.out.progress
	defer func() { err = multierr.Append(err, m.closeSource()) }()
	if err := cmd.openSource(c, m); err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	return m.withStore(open, func(ctx context.Context, m *migration) error {
		if m.keyspace != nil {
			if err := m.openKeyspace(ctx, c.String("from")); err != nil {
				return fmt.Errorf("opening the source: %w", err)
			}
		}
		return f(ctx, m)
	})
}

// readOptions reads the flags that say what becomes of the pins.
func readOptions(c *cli.Context) (migrate.Options, error) {
	change, err := readChange(c)
	if err != nil {
		return migrate.Options{}, err
	}
	existing, err := migrate.ParseExisting(c.String("existing"))
	if err != nil {
		return migrate.Options{}, fmt.Errorf("reading --existing: %w", err)
	}
	return migrate.Options{
		Change: change, Existing: existing, DryRun: c.Bool("dry-run"), RemoveMissing: c.Bool("remove-missing"),
		SkipTooLarge: c.Bool("skip-too-large"),
	}, nil
}

// readChange reads the flags of changeFlags.
func readChange(c *cli.Context) (migrate.Change, error) {
	opts, err := importOptions(c)
	if err != nil {
		return migrate.Change{}, err
	}
	peers, err := migrate.ParsePeerMap(c.String("peer-map"))
	if err != nil {
		return migrate.Change{}, fmt.Errorf("reading --peer-map: %w", err)
	}
	return migrate.Change{
		ReplicationMin: opts.ReplicationFactorMin, ReplicationMax: opts.ReplicationFactorMax,
		Allocations: opts.UserAllocations, Peers: peers,
	}, nil
}

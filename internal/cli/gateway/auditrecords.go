package gateway

import (
	"context"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audittable"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// expiryMargin is by how much clocks may differ that say when a record has expired.
const expiryMargin = time.Hour

// auditRecords are records that a command reads.
type auditRecords struct {
	parts []audit.Part
	// where they are, and what the parts are called in tables.
	where, pieces string
	// expired is the moment before which records may be gone, zero if that is never.
	expired time.Time
	close   func()
}

// auditRecords reads --table and --folder. The caller closes the records.
func (cmd *command) auditRecords(c *cli.Context) (*auditRecords, error) {
	if !c.Bool("table") {
		folder, err := cmd.auditFolder(c)
		if err != nil {
			return nil, err
		}
		parts, err := audit.Files(folder)
		return &auditRecords{parts: parts, where: folder, pieces: "FILES", close: func() {}}, err
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		stop()
		return nil, err
	}
	r := &auditRecords{
		where: "the keyspace " + db.Keyspace, pieces: "PARTITIONS",
		close: func() { stop(); db.Close() },
	}
	if d := time.Duration(cfg.Audit.TableRetention); d > 0 {
		r.expired = time.Now().Add(expiryMargin - d)
	}
	if r.parts, err = audittable.Parts(ctx, db); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// auditCopies reads the copies of checkpoints: those of files are in the database, and those
// of the table among the files.
func (cmd *command) auditCopies(c *cli.Context) ([]audit.Checkpoint, error) {
	if c.Bool("table") {
		folder, err := cmd.auditFolder(c)
		if err != nil {
			return nil, err
		}
		all, err := audit.ReadTableCopies(folder)
		if err != nil {
			return nil, fmt.Errorf("reading the copies of checkpoints: %w", err)
		}
		return all, nil
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return audittable.ReadCheckpoints(ctx, db)
}

// copiesOf leaves out the copies of which a folder need not have the records. The database
// has those of all instances; the files of one are here, or should be.
func (cmd *command) copiesOf(c *cli.Context, all []audit.Checkpoint, parts []audit.Part) ([]audit.Checkpoint, error) {
	if c.Bool("table") || len(all) == 0 {
		return all, nil
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return nil, err
	}
	own, err := cfg.AuditWriter()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p audit.Checkpoint) bool {
		isOurs := c.String("folder") == "" && p.Writer == own
		return !isOurs && !slices.ContainsFunc(parts, func(part audit.Part) bool { return part.Writer == p.Writer })
	}), nil
}

// openDatabase connects for a command that changes nothing.
func openDatabase(ctx context.Context, cfg config.Config) (*scylla.DB, error) {
	conf := cfg.Database
	conf.Schema = cqlsection.SchemaVerify
	if conf.ConnectTimeout == 0 || time.Duration(conf.ConnectTimeout) > connectTimeout {
		conf.ConnectTimeout = cqlsection.Duration(connectTimeout)
	}
	return keyspace.Open(ctx, conf, nil)
}

// auditFolder reads --folder, and without it the configuration.
func (cmd *command) auditFolder(c *cli.Context) (string, error) {
	if folder := c.String("folder"); folder != "" {
		return folder, nil
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return "", fmt.Errorf("%w; or use --folder", err)
	}
	if cfg.Audit.Folder == "" {
		return "", fmt.Errorf("%s has no audit.folder: use --folder, or --table", cmd.configPath)
	}
	return cfg.Resolve(cfg.Audit.Folder), nil
}

package service

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/crdt"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	dscrdt "github.com/ipfs/go-ds-crdt"
	"github.com/urfave/cli"
	"go.uber.org/multierr"
)

func (cmd *command) crdtCommand() cli.Command {
	return cli.Command{
		Name:         "crdt",
		Usage:        "CRDT-state commands",
		OnUsageError: usageError,
		Description:  "Looks into the datastore of a peer with the crdt consensus. Its daemon must be stopped.",
		Subcommands: []cli.Command{
			{
				Name:         "info",
				Usage:        "Print information about the CRDT store",
				OnUsageError: usageError,
				Description: `
   Prints how many heads the DAG has, its height, whether it is marked as dirty,
   and the CIDs of the heads.
`,
				Action: func(*cli.Context) error { return cmd.withCRDT(cmd.crdtInfo) },
			},
			{
				Name:         "dot",
				Usage:        "Write the CRDT-DAG as DOT file",
				OnUsageError: usageError,
				Description: `
   Writes the whole DAG in the language of Graphviz, to stdout or to a file. The
   output of a large DAG is large and takes long. It is for finding out what a
   DAG looks like, for example how much it branches.
`,
				Flags: []cli.Flag{
					cli.StringFlag{
						Name:  "file, f",
						Value: "",
						Usage: "writes to file instead of stdout",
					},
				},
				Action: cmd.crdtDot,
			},
			{
				Name:         "mark-dirty",
				Usage:        "Marks the CRDT-store as dirty",
				OnUsageError: usageError,
				Description: `
   The next start of the daemon walks the DAG and repairs what is missing, which
   it does for a store that is marked as dirty.
`,
				Action: func(*cli.Context) error { return cmd.withCRDT(cmd.markDirty) },
			},
			{
				Name:         "mark-clean",
				Usage:        "Marks the CRDT-store as clean",
				OnUsageError: usageError,
				Description: `
   Removes the mark, so that the next start of the daemon repairs nothing.
`,
				Action: func(*cli.Context) error { return cmd.withCRDT(cmd.markClean) },
			},
		},
		Action: groupAction,
	}
}

// crdtStore is the datastore of a stopped peer with the crdt consensus.
type crdtStore struct {
	dag *dscrdt.Datastore
	// disk is what dag is kept in. It is shared with the rest of the peer.
	disk      ds.Batching
	namespace ds.Key
}

// The texts below are upstream's, to the byte: scripts read them.

func (cmd *command) crdtInfo(ctx context.Context, store *crdtStore) error {
	stats := store.dag.InternalStats(ctx)
	_, err := fmt.Fprintf(cmd.stdout, "Number of heads: %d. Current max-height: %d. Dirty: %t\nHeads: %s",
		len(stats.Heads), stats.MaxHeight, store.dag.IsDirty(ctx), stats.Heads)
	return err
}

func (cmd *command) crdtDot(c *cli.Context) error {
	return cmd.withCRDT(func(ctx context.Context, store *crdtStore) error {
		logger.Info("writing the CRDT-DAG as DOT, which takes long for a large one")
		err := cmd.writeOutput(c, func(w io.Writer) error { return store.dag.DotDAG(ctx, w) })
		if err != nil {
			return fmt.Errorf("generating graph: %w", err)
		}
		return nil
	})
}

func (cmd *command) markDirty(ctx context.Context, store *crdtStore) error {
	store.dag.MarkDirty(ctx)
	return cmd.marked(ctx, store, true, "Datastore marked 'dirty'")
}

func (cmd *command) markClean(ctx context.Context, store *crdtStore) error {
	store.dag.MarkClean(ctx)
	return cmd.marked(ctx, store, false, "Datastore marked 'clean'")
}

// marked makes sure that the mark is on disk, because setting it tells its
// errors to the log only.
func (cmd *command) marked(ctx context.Context, store *crdtStore, dirty bool, text string) error {
	if store.dag.IsDirty(ctx) != dirty {
		return errors.New("marking the crdt datastore: it did not take the mark, its log says why")
	}
	if err := store.disk.Sync(ctx, store.namespace); err != nil {
		return fmt.Errorf("marking the crdt datastore: %w", err)
	}
	_, err := fmt.Fprintln(cmd.stdout, text)
	return err
}

// withCRDT calls f with the crdt datastore of this peer while the folder is
// locked. Peers with another backend are refused.
func (cmd *command) withCRDT(f func(context.Context, *crdtStore) error) (err error) {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	cfg.release()
	if cfg.backend != backendCRDT {
		return fmt.Errorf("running %s state crdt: it is for peers with the crdt consensus, and the pinset of this one is in %s",
			programName, cfg.backend)
	}
	lock, err := cmd.lock()
	if err != nil {
		return err
	}
	defer lock.Close()

	store, closeStore, err := openCRDT(cfg)
	if err != nil {
		return fmt.Errorf("opening the crdt datastore: %w", err)
	}
	defer func() { err = multierr.Append(err, closeStore()) }()
	return f(context.Background(), store)
}

// openCRDT opens the datastore as upstream's daemon does, without a network and
// without repairing it. The caller ends with the function that it returns.
func openCRDT(cfg *peerConfig) (*crdtStore, func() error, error) {
	manager, err := cmdutils.NewStateManagerWithHelper(cfg.ConfigHelper)
	if err != nil {
		return nil, nil, err
	}
	disk, err := manager.GetStore()
	if err != nil {
		return nil, nil, err
	}
	batching, ok := disk.(ds.Batching)
	if !ok {
		return nil, nil, multierr.Append(fmt.Errorf("a %s datastore has no batches", cfg.GetDatastore()), disk.Close())
	}
	key := ds.NewKey(cfg.Configs().Crdt.DatastoreNamespace)
	blocks := blockstore.NewBlockstore(namespace.Wrap(batching, key.ChildString(crdt.BlocksNs)))
	opts := dscrdt.DefaultOptions()
	opts.RepairInterval = 0 // never
	dag, err := dscrdt.New(batching, key, merkledag.NewDAGService(blockservice.New(blocks, offline.Exchange(blocks))), nil, opts)
	if err != nil {
		return nil, nil, multierr.Append(err, disk.Close())
	}
	return &crdtStore{dag, batching, key}, func() error {
		return multierr.Append(dag.Close(), disk.Close())
	}, nil
}

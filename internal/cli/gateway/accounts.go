package gateway

import (
	"context"
	"fmt"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// connectTimeout is how long a command waits for the database, unless the configuration
// has a shorter time.
const connectTimeout = 15 * time.Second

// withAccounts opens the database of the configuration and calls f, whose context a signal
// ends. Keys are made only if the files with peppers can be read, which needs keys.
func (cmd *command) withAccounts(keys bool, f func(ctx context.Context, s *accounts.Service, db *scylla.DB, cfg config.Config) error) error {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	conf := accounts.Config{Env: cfg.Environment}
	if keys {
		files, err := cfg.Read()
		if err != nil {
			return fmt.Errorf("reading the files of the configuration: %w", err)
		}
		if files.Peppers == nil {
			return fmt.Errorf("%s has no api_keys.peppers, so that there are no keys", cmd.configPath)
		}
		conf.Peppers = *files.Peppers
	}
	return withKeyspace(cfg, func(ctx context.Context, db *scylla.DB) error {
		conf.Store = accounts.NewStore(ctx, db)
		service, err := accounts.NewService(conf)
		if err != nil {
			return err
		}
		return f(ctx, service, db, cfg)
	})
}

// withKeyspace opens the database of a configuration and calls f, whose context a signal ends.
func withKeyspace(cfg config.Config, f func(ctx context.Context, db *scylla.DB) error) error {
	if d := time.Duration(cfg.Database.ConnectTimeout); d == 0 || d > connectTimeout {
		cfg.Database.ConnectTimeout = config.Duration(connectTimeout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	db, err := keyspace.Open(ctx, cfg.Database, nil)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer db.Close()
	return f(ctx, db)
}

// operator is who acts, in what is stored and on record: the user of this process.
func operator() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("looking who you are: %w", err)
	}
	return "cli:" + u.Username, nil
}

// eachPage calls f with everything in a list.
func eachPage[T any](list func(after string) (accounts.Page[T], error), f func(T) error) error {
	for after := ""; ; {
		page, err := list(after)
		if err != nil {
			return err
		}
		for _, item := range page.All {
			if err := f(item); err != nil {
				return cmdline.Written(err)
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// during says what was done when something failed.
func during(err error, doing string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

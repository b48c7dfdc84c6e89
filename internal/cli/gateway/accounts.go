package gateway

import (
	"context"
	"fmt"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
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

// oneArgument returns the only argument of a command.
func oneArgument(c *cli.Context, what string) (string, error) {
	switch {
	case c.NArg() == 0 || c.Args().First() == "":
		return "", fmt.Errorf("reading the arguments: name %s, see %s --help", what, c.Command.HelpName)
	case c.NArg() > 1:
		return "", fmt.Errorf("reading the arguments: %q is one too many, see %s --help", c.Args().Get(1), c.Command.HelpName)
	}
	return c.Args().First(), nil
}

// needFlags returns an error for the first flag that is not set.
func needFlags(c *cli.Context, names ...string) error {
	for _, name := range names {
		if c.String(name) == "" {
			return fmt.Errorf("reading the command line: --%s is needed, see %s --help", name, c.Command.HelpName)
		}
	}
	return nil
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
				return written(err)
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

// words are the parts of comma-separated lists.
func words(lists []string) (all []string) {
	for _, list := range lists {
		for _, word := range strings.Split(list, ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
)

// connectTimeout is how long a command waits for the database.
const connectTimeout = 15 * time.Second

// withAccounts opens the database of the configuration and calls f, whose context a signal
// ends. Keys are made only if the files with peppers can be read, which needs keys.
func (cmd *command) withAccounts(keys bool, f func(ctx context.Context, s *accounts.Service, cfg config.Config) error) error {
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
	if d := time.Duration(cfg.Database.ConnectTimeout); d == 0 || d > connectTimeout {
		cfg.Database.ConnectTimeout = config.Duration(connectTimeout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	db, err := keyspace.Open(ctx, cfg.Database)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer db.Close()
	conf.Store = accounts.NewStore(ctx, db)
	service, err := accounts.NewService(conf)
	if err != nil {
		return err
	}
	return f(ctx, service, cfg)
}

// oneArgument returns the only argument of a command.
func oneArgument(c *cli.Context, what string) (string, error) {
	switch {
	case c.NArg() == 0 || c.Args().First() == "":
		return "", fmt.Errorf("reading the arguments: name %s, see %s --help", what, c.Command.HelpName)
	case c.NArg() > 1:
		return "", fmt.Errorf("reading the arguments: %q is one too many (flags come first), see %s --help", c.Args().Get(1), c.Command.HelpName)
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

// operator is who acts, in what is stored: the user of this process.
func operator() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("looking who you are: %w", err)
	}
	return "operator:" + u.Username, nil
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

// tenantFlags are what a tenant has.
func tenantFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringFlag{Name: "name", Usage: "what people call it"},
		cli.Int64Flag{Name: "max-pins", Usage: "how many pins it may have; 0 is any number"},
		cli.Int64Flag{Name: "max-bytes", Usage: "how many bytes its pins may have; 0 is any number"},
		cli.IntFlag{Name: "requests-per-second", Usage: "how many requests it may make; 0 is as many as the configuration says"},
	}
}

func (cmd *command) tenantCommand() cli.Command {
	return cli.Command{
		Name: "tenant", Usage: "makes, lists and changes tenants", OnUsageError: usageError,
		Description: `
   These commands, and those of keys and credentials, change the gateway's
   database as whoever has its password can. No policy is asked, and what they
   do is not in the audit records. Gateways see it within 5 seconds.
`,
		Subcommands: []cli.Command{
			{Name: "create", Usage: "makes a tenant", ArgsUsage: "<id>", OnUsageError: usageError, Flags: tenantFlags(), Action: cmd.tenantCreate},
			{
				Name: "list", Usage: "lists tenants, the newest first", ArgsUsage: " ", OnUsageError: usageError,
				Flags: []cli.Flag{cli.BoolFlag{Name: "json", Usage: "one JSON object a line"}}, Action: cmd.tenantList,
			},
			{
				Name: "update", Usage: "changes what the flags say of a tenant", ArgsUsage: "<id>", OnUsageError: usageError,
				Flags: append(tenantFlags(), cli.StringFlag{Name: "disabled", Usage: "`true` lets nobody of it in, whose pins stay; false lets them in again"}), Action: cmd.tenantUpdate,
			},
		},
		Action: groupAction,
	}
}

// setTenant sets what the flags say.
func setTenant(c *cli.Context, t *accounts.Tenant) error {
	if c.IsSet("name") {
		t.Name = c.String("name")
	}
	if c.IsSet("max-pins") {
		t.MaxPins = c.Int64("max-pins")
	}
	if c.IsSet("max-bytes") {
		t.MaxBytes = c.Int64("max-bytes")
	}
	if c.IsSet("requests-per-second") {
		t.RequestsPerSecond = c.Int("requests-per-second")
	}
	if text := c.String("disabled"); c.IsSet("disabled") {
		disabled, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("reading --disabled: %q is neither true nor false", text)
		}
		t.Disabled = disabled
	}
	return nil
}

func (cmd *command) tenantCreate(c *cli.Context) error {
	id, err := oneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	t := accounts.Tenant{ID: id, Name: id}
	if err := setTenant(c, &t); err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ config.Config) error {
		_, err := s.CreateTenant(ctx, t)
		return during(err, "making the tenant")
	})
}

func (cmd *command) tenantUpdate(c *cli.Context) error {
	id, err := oneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	if c.NumFlags() == 0 {
		return fmt.Errorf("reading the command line: no flag says what to change, see %s --help", c.Command.HelpName)
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ config.Config) error {
		t, err := s.Tenant(ctx, id)
		if err != nil {
			return during(err, "reading the tenant")
		}
		if err := setTenant(c, &t); err != nil {
			return err
		}
		_, err = s.UpdateTenant(ctx, t)
		return during(err, "changing the tenant")
	})
}

func (cmd *command) tenantList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ config.Config) error {
		out := cmd.table(c.Bool("json"), "TENANT", "NAME", "MADE", "STATE", "MAX PINS", "MAX BYTES", "REQUESTS/S")
		list := func(after string) (accounts.Page[accounts.Tenant], error) { return s.ListTenants(ctx, after, 0) }
		err := eachPage(list, func(t accounts.Tenant) error {
			return out.row(t, t.ID, t.Name, moment(t.Created), state(t.Disabled, "disabled", "active"), limit(t.MaxPins), limit(t.MaxBytes), limit(int64(t.RequestsPerSecond)))
		})
		return during(errors.Join(err, out.flush()), "listing tenants")
	})
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

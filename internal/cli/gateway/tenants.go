package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// tenantFlags are what a tenant has.
func tenantFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringFlag{Name: "name", Usage: "what people call it"},
		cli.Int64Flag{Name: "max-pins", Usage: "how many pins it may have; 0 is any number"},
		cli.Int64Flag{Name: "max-bytes", Usage: "how many bytes its pins may have, of which those count whose size events told; 0 is any number"},
		cli.IntFlag{Name: "requests-per-second", Usage: "how many requests it may make; 0 is as many as the configuration says"},
	}
}

func (cmd *command) tenantCommand() cli.Command {
	return cli.Command{
		Name: "tenant", Usage: "makes, lists and changes tenants", OnUsageError: cmdline.UsageError,
		Description: `
   These commands, and those of keys and credentials, change the gateway's
   database as whoever has its password can. No policy is asked. What they do is
   in the audit records, in the folder, the table, or both, by "cli:" and the
   name of the user. Gateways see it within 5 seconds.
`,
		Subcommands: []cli.Command{
			{Name: "create", Usage: "makes a tenant", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError, Flags: append(tenantFlags(), asJSON()), Action: cmd.tenantCreate},
			{
				Name: "list", Usage: "lists tenants, the newest first", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Flags: []cli.Flag{cli.BoolFlag{Name: "json", Usage: "one JSON object a line"}}, Action: cmd.tenantList,
			},
			{Name: "show", Usage: "shows a tenant", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError, Flags: []cli.Flag{asJSON()}, Action: cmd.tenantShow},
			{
				Name: "update", Usage: "changes what the flags say of a tenant", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError,
				Flags: append(tenantFlags(), cli.StringFlag{Name: "disabled", Usage: "`true` lets nobody of it in, whose pins stay; false lets them in again"}, asJSON()), Action: cmd.tenantUpdate,
			},
			{
				Name: "recount", Usage: "counts the pins of a tenant that has a limit, in 6 minutes or more", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError,
				Description: `
   A gateway that is killed leaves places reserved that nobody uses, so that its
   tenants come to their limit too early. This counts anew, while gateways work.
   To be done when a limit is given to a tenant that had none, too.
`,
				Action: cmd.tenantRecount,
			},
		},
		Action: cmdline.GroupAction,
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
	id, err := cmdline.OneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	t := accounts.Tenant{ID: id, Name: id}
	if err := setTenant(c, &t); err != nil {
		return err
	}
	err = cmd.change(false, "admin:tenants-create", tenantResource(id), func(ctx context.Context, s *accounts.Service, _ string) (string, error) {
		t, err = s.CreateTenant(ctx, t)
		return t.ID, during(err, "making the tenant")
	})
	if err != nil || !c.Bool("json") {
		return err
	}
	return cmdline.PrintJSON(cmd.stdout, listedTenantOf(t))
}

func (cmd *command) tenantUpdate(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	if c.NumFlags() == 0 || c.NumFlags() == 1 && c.IsSet("json") {
		return fmt.Errorf("reading the command line: no flag says what to change, see %s --help", c.Command.HelpName)
	}
	var t accounts.Tenant
	if err := setTenant(c, &t); err != nil { // before anything is on record
		return err
	}
	err = cmd.change(false, "admin:tenants-write", tenantResource(id), func(ctx context.Context, s *accounts.Service, _ string) (string, error) {
		if t, err = s.Tenant(ctx, id); err != nil {
			return "", during(err, "reading the tenant")
		}
		if err := setTenant(c, &t); err != nil {
			return "", err
		}
		t, err = s.UpdateTenant(ctx, t)
		return "", during(err, "changing the tenant")
	})
	if err != nil || !c.Bool("json") {
		return err
	}
	return cmdline.PrintJSON(cmd.stdout, listedTenantOf(t))
}

func tenantResource(id string) audit.Resource {
	return audit.Resource{Kind: "tenant", ID: id, Tenant: id}
}

// asJSON is the flag of what shows one thing.
func asJSON() cli.Flag { return cli.BoolFlag{Name: "json", Usage: "as a JSON object"} }

// listedTenant is a tenant as JSON.
type listedTenant struct {
	ID                string    `json:"id"`
	Name              string    `json:"name"`
	Created           time.Time `json:"created"`
	Disabled          bool      `json:"disabled"`
	MaxPins           int64     `json:"maxPins"`
	MaxBytes          int64     `json:"maxBytes"`
	RequestsPerSecond int       `json:"requestsPerSecond"`
}

func listedTenantOf(t accounts.Tenant) listedTenant {
	return listedTenant{t.ID, t.Name, t.Created, t.Disabled, t.MaxPins, t.MaxBytes, t.RequestsPerSecond}
}

func (cmd *command) tenantTable(c *cli.Context) *cmdline.Table {
	return cmdline.NewTable(cmd.stdout, c.Bool("json"), "TENANT", "NAME", "MADE", "STATE", "MAX PINS", "MAX BYTES", "REQUESTS/S")
}

func tenantRow(out *cmdline.Table, t accounts.Tenant) error {
	return out.Row(listedTenantOf(t), t.ID, t.Name, cmdline.Moment(t.Created), cmdline.State(t.Disabled, "disabled", "active"), cmdline.Limit(t.MaxPins), cmdline.Limit(t.MaxBytes), cmdline.Limit(int64(t.RequestsPerSecond)))
}

func (cmd *command) tenantShow(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ *scylla.DB, _ config.Config) error {
		t, err := s.Tenant(ctx, id)
		if err != nil {
			return during(err, "reading the tenant")
		}
		if c.Bool("json") {
			return cmdline.PrintJSON(cmd.stdout, listedTenantOf(t))
		}
		out := cmd.tenantTable(c)
		return cmdline.Written(errors.Join(tenantRow(out, t), out.Flush()))
	})
}

func (cmd *command) tenantList(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ *scylla.DB, _ config.Config) error {
		out := cmd.tenantTable(c)
		list := func(after string) (accounts.Page[accounts.Tenant], error) { return s.ListTenants(ctx, after, 0) }
		err := eachPage(list, func(t accounts.Tenant) error { return tenantRow(out, t) })
		return during(errors.Join(err, out.Flush()), "listing tenants")
	})
}

func (cmd *command) tenantRecount(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the tenant")
	if err != nil {
		return err
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	return withKeyspace(cfg, func(ctx context.Context, db *scylla.DB) error {
		service, err := accounts.NewService(accounts.Config{Env: cfg.Environment, Store: accounts.NewStore(ctx, db)})
		if err != nil {
			return err
		}
		if _, err := service.Tenant(ctx, id); err != nil {
			return during(err, "reading the tenant")
		}
		counted, err := pins.New(pins.Config{DB: db}).Recount(ctx, id)
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		_, err = fmt.Fprintf(cmd.stdout, "pins %d, bytes %d\n", counted.Pins, counted.Bytes)
		return cmdline.Written(err)
	})
}

package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const day = 24 * time.Hour

func (cmd *command) keyCommand() cli.Command {
	tenant := cli.StringFlag{Name: "tenant", Usage: "the `TENANT` of the key"}
	return cli.Command{
		Name: "key", Usage: "makes, lists, revokes and rotates API keys", OnUsageError: cmdline.UsageError,
		Subcommands: []cli.Command{
			{
				Name: "create", Usage: "makes a key, and writes it to standard output", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Description: `
   The key is shown this once: what is stored is of no use to anybody. What it
   is good for is said by scopes, and what its owner may do by roles.

   Example:
     key create --tenant acme --owner ci --role user --scope 'pins:*' --network 192.0.2.0/24
`,
				Flags: []cli.Flag{
					tenant,
					cli.StringFlag{Name: "owner", Usage: "the `ID` of the principal who comes with it"},
					cli.StringSliceFlag{Name: "role", Usage: "`ROLES` of the principal, as user"},
					cli.StringSliceFlag{Name: "group", Usage: "`GROUPS` of the principal"},
					cli.StringSliceFlag{Name: "scope", Usage: "`SCOPES`: actions that it is good for, as pins:read, pins:* or *"},
					cli.StringSliceFlag{Name: "network", Usage: "`NETWORKS` that it may be used from; anywhere without"},
					cli.IntFlag{Name: "days", Value: 90, Usage: "how long it is good for; 0 is for ever, if api_keys.require_expiry is false"},
					asJSON(),
				},
				Action: cmd.keyCreate,
			},
			{
				Name: "list", Usage: "lists the keys of a tenant, the newest first", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Flags: []cli.Flag{tenant, cli.BoolFlag{Name: "json", Usage: "one JSON object a line"}}, Action: cmd.keyList,
			},
			{Name: "revoke", Usage: "revokes a key", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError, Flags: []cli.Flag{tenant}, Action: cmd.keyRevoke},
			{
				Name: "rotate", Usage: "makes a key in the place of another, and writes it to standard output", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError,
				Flags:  []cli.Flag{tenant, cli.DurationFlag{Name: "overlap", Value: day, Usage: "how long the old one stays good"}, asJSON()},
				Action: cmd.keyRotate,
			},
		},
		Action: cmdline.GroupAction,
	}
}

// grant reads the flags of key create.
func grant(c *cli.Context) (apikey.Grant, error) {
	if err := cmp.Or(cmdline.NoArguments(c), cmdline.NeedFlags(c, "tenant", "owner")); err != nil {
		return apikey.Grant{}, err
	}
	g := apikey.Grant{
		Owner: c.String("owner"), Tenant: c.String("tenant"), Roles: cmdline.Words(c.StringSlice("role")), Groups: cmdline.Words(c.StringSlice("group")),
		Scopes: cmdline.Words(c.StringSlice("scope")),
	}
	if len(g.Scopes) == 0 {
		return g, errors.New("reading the command line: without --scope a key is good for nothing")
	}
	for _, text := range cmdline.Words(c.StringSlice("network")) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return g, fmt.Errorf("reading --network: %q is not a network, such as 192.0.2.0/24", text)
		}
		g.Networks = append(g.Networks, network)
	}
	switch days := c.Int("days"); {
	case days < 0 || time.Duration(days) > apikey.MaxLifetime/day:
		return g, fmt.Errorf("reading --days: %d is not 0 to %d", days, apikey.MaxLifetime/day)
	case days > 0:
		g.Expires = time.Now().Add(time.Duration(days) * day)
	}
	return g, nil
}

func (cmd *command) keyCreate(c *cli.Context) error {
	g, err := grant(c)
	if err != nil {
		return err
	}
	if g.Expires.IsZero() {
		cfg, err := cmd.loadConfig()
		switch {
		case err != nil:
			return err
		case cfg.APIKeys.RequireExpiry:
			return errors.New("making a key: api_keys.require_expiry is true, so that gateways refuse a key that does not end: use --days")
		}
	}
	var key apikey.Key
	var token apikey.Token
	err = cmd.change(true, "keys:create", audit.Resource{Kind: "key", Tenant: g.Tenant, Owner: g.Owner}, func(ctx context.Context, s *accounts.Service, by string) (string, error) {
		g.CreatedBy = by
		key, token, err = s.CreateKey(ctx, g)
		return key.ID, during(err, "making a key")
	})
	return cmd.showToken(c, key, token, err)
}

// showToken writes a key that was made where a script reads it, and what is known of it to
// people. With an error after it was made, nobody else has it.
func (cmd *command) showToken(c *cli.Context, key apikey.Key, token apikey.Token, failed error) error {
	if key.ID == "" {
		return failed
	}
	fmt.Fprintf(cmd.stderr, "key %s of %s in the tenant %s, good until %s. It is not shown again:\n", key.ID, cmdline.Plain(key.Owner), cmdline.Plain(key.Tenant), cmdline.Moment(key.Expires))
	if c.Bool("json") {
		return errors.Join(failed, cmdline.PrintJSON(cmd.stdout, struct {
			listedKey
			Key string `json:"key"`
		}{listedKeyOf(accounts.ListedKey{Key: key}), token.Text()}))
	}
	_, err := fmt.Fprintln(cmd.stdout, token.Text())
	return errors.Join(failed, cmdline.Written(err))
}

// listedKey is a key as JSON.
type listedKey struct {
	ID          string         `json:"id"`
	Tenant      string         `json:"tenant"`
	Owner       string         `json:"owner"`
	Roles       []string       `json:"roles,omitempty"`
	Groups      []string       `json:"groups,omitempty"`
	Scopes      []string       `json:"scopes,omitempty"`
	Networks    []netip.Prefix `json:"networks,omitempty"`
	Created     time.Time      `json:"created"`
	CreatedBy   string         `json:"createdBy"`
	Expires     time.Time      `json:"expires,omitzero"`
	Revoked     time.Time      `json:"revoked,omitzero"`
	Used        time.Time      `json:"used,omitzero"`
	RotatedFrom string         `json:"rotatedFrom,omitempty"`
	Pepper      int            `json:"pepper"`
}

func listedKeyOf(k accounts.ListedKey) listedKey {
	return listedKey{
		k.ID, k.Tenant, k.Owner, k.Roles, k.Groups, k.Scopes, k.Networks, k.Created, k.CreatedBy, k.Expires, k.Revoked, k.Used, k.RotatedFrom, k.Pepper,
	}
}

func (cmd *command) keyList(c *cli.Context) error {
	if err := cmp.Or(cmdline.NoArguments(c), cmdline.NeedFlags(c, "tenant")); err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ *scylla.DB, _ config.Config) error {
		out := cmdline.NewTable(cmd.stdout, c.Bool("json"), "KEY", "OWNER", "STATE", "ENDS", "LAST USED", "SCOPES", "MADE BY")
		list := func(after string) (accounts.Page[accounts.ListedKey], error) {
			return s.ListKeys(ctx, c.String("tenant"), after, 0)
		}
		err := eachPage(list, func(k accounts.ListedKey) error {
			return out.Row(listedKeyOf(k), k.ID, k.Owner, keyState(k.Key, time.Now()), cmdline.Moment(k.Expires), cmdline.Moment(k.Used), strings.Join(k.Scopes, ","), k.CreatedBy)
		})
		return during(errors.Join(err, out.Flush()), "listing keys")
	})
}

func keyState(k apikey.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "ended"
	}
	return "good"
}

func (cmd *command) keyRevoke(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the key, by its id")
	if err := cmp.Or(err, cmdline.NeedFlags(c, "tenant")); err != nil {
		return err
	}
	return cmd.change(false, "keys:revoke", keyResource(c, id), func(ctx context.Context, s *accounts.Service, _ string) (string, error) {
		return "", during(s.RevokeKey(ctx, c.String("tenant"), id), "revoking the key")
	})
}

func (cmd *command) keyRotate(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the key, by its id")
	if err := cmp.Or(err, cmdline.NeedFlags(c, "tenant")); err != nil {
		return err
	}
	var key apikey.Key
	var token apikey.Token
	err = cmd.change(true, "keys:rotate", keyResource(c, id), func(ctx context.Context, s *accounts.Service, by string) (string, error) {
		key, token, err = s.RotateKey(ctx, c.String("tenant"), id, c.Duration("overlap"), by)
		return key.ID, during(err, "rotating the key")
	})
	return cmd.showToken(c, key, token, err)
}

func keyResource(c *cli.Context, id string) audit.Resource {
	return audit.Resource{Kind: "key", ID: id, Tenant: c.String("tenant")}
}

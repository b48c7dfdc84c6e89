package gateway

import (
	"cmp"
	"context"
	"fmt"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) principalCommand() cli.Command {
	return cli.Command{
		Name: "principal", Usage: "takes all from a principal", OnUsageError: cmdline.UsageError,
		Subcommands: []cli.Command{
			{
				Name: "revoke", Usage: "revokes all tokens, sessions and keys of a principal", ArgsUsage: "<id>", OnUsageError: cmdline.UsageError,
				Description: `
   Gateways see it within 5 seconds. Tokens that are issued up to a minute later
   are refused, too: clocks differ. The principal may log in again with its DIDs
   and wallets: see "credential remove".
`,
				Flags:  []cli.Flag{cli.StringFlag{Name: "tenant", Usage: "the `TENANT` of the principal"}, asJSON()},
				Action: cmd.principalRevoke,
			},
		},
		Action: cmdline.GroupAction,
	}
}

func (cmd *command) principalRevoke(c *cli.Context) error {
	id, err := cmdline.OneArgument(c, "the principal")
	if err := cmp.Or(err, cmdline.NeedFlags(c, "tenant")); err != nil {
		return err
	}
	tenant, revoked := c.String("tenant"), 0
	resource := audit.Resource{Kind: "principal", ID: id, Tenant: tenant}
	err = cmd.change(false, "principals:revoke", resource, func(ctx context.Context, s *accounts.Service, by string) (string, error) {
		if _, err := s.Tenant(ctx, tenant); err != nil {
			return "", during(err, "reading the tenant")
		}
		revoked, err = s.RevokePrincipal(ctx, tenant, id, by)
		return "", during(err, "revoking the principal")
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(cmd.stdout, struct {
			Keys int `json:"revokedKeys"`
		}{revoked})
	}
	_, err = fmt.Fprintf(cmd.stdout, "revoked: all tokens and sessions until now, and %d keys\n", revoked)
	return cmdline.Written(err)
}

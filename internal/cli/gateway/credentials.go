package gateway

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

func (cmd *command) credentialCommand() cli.Command {
	tenant := cli.StringFlag{Name: "tenant", Usage: "the `TENANT` of the principal"}
	principal := cli.StringFlag{Name: "principal", Usage: "the `ID` of the principal"}
	return cli.Command{
		Name: "credential", Usage: "says to whom DIDs, wallets and subjects of issuers belong", OnUsageError: cmdline.UsageError,
		Description: `
   A credential is did:key:z6Mk…, did:pkh:eip155:1:0x… or a subject of an
   issuer, https://id.example.com/realms/ipfs#9f3c…. A subject that is not
   here is a principal of its own.
`,
		Subcommands: []cli.Command{
			{
				Name: "add", Usage: "gives a credential to a principal, or changes what it is good for", ArgsUsage: "<credential>", OnUsageError: cmdline.UsageError,
				Flags: []cli.Flag{
					tenant, principal,
					cli.StringSliceFlag{Name: "role", Usage: "`ROLES` of who comes with a DID, as user; a token has its own"},
					cli.StringSliceFlag{Name: "group", Usage: "`GROUPS` of who comes with a DID"},
					cli.StringSliceFlag{Name: "scope", Usage: "`SCOPES`: actions that a DID is good for, as pins:read, pins:* or *"},
					asJSON(),
				},
				Action: cmd.credentialAdd,
			},
			{
				Name: "list", Usage: "lists the credentials of a principal, the newest first", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Flags: []cli.Flag{tenant, principal, cli.BoolFlag{Name: "json", Usage: "one JSON object a line"}}, Action: cmd.credentialList,
			},
			{Name: "remove", Usage: "takes a credential away", ArgsUsage: "<credential>", OnUsageError: cmdline.UsageError, Flags: []cli.Flag{tenant}, Action: cmd.credentialRemove},
		},
		Action: cmdline.GroupAction,
	}
}

func (cmd *command) credentialAdd(c *cli.Context) error {
	credential, err := cmdline.OneArgument(c, "the credential")
	if err := cmp.Or(err, cmdline.NeedFlags(c, "tenant", "principal")); err != nil {
		return err
	}
	var added accounts.Credential
	resource := audit.Resource{Kind: "credential", ID: credential, Tenant: c.String("tenant"), Owner: c.String("principal")}
	err = cmd.change(false, "credentials:add", resource, func(ctx context.Context, s *accounts.Service, by string) (string, error) {
		added, err = s.AddCredential(ctx, accounts.Credential{
			Credential: credential, Principal: c.String("principal"), Tenant: c.String("tenant"), Roles: cmdline.Words(c.StringSlice("role")),
			Groups: cmdline.Words(c.StringSlice("group")), Scopes: cmdline.Words(c.StringSlice("scope")), AddedBy: by,
		})
		return "", during(err, "adding the credential")
	})
	if err != nil || !c.Bool("json") {
		return err
	}
	return cmdline.PrintJSON(cmd.stdout, listedCredentialOf(added))
}

func (cmd *command) credentialRemove(c *cli.Context) error {
	credential, err := cmdline.OneArgument(c, "the credential")
	if err := cmp.Or(err, cmdline.NeedFlags(c, "tenant")); err != nil {
		return err
	}
	resource := audit.Resource{Kind: "credential", ID: credential, Tenant: c.String("tenant")}
	return cmd.change(false, "credentials:remove", resource, func(ctx context.Context, s *accounts.Service, _ string) (string, error) {
		return "", during(s.RemoveCredential(ctx, c.String("tenant"), credential), "removing the credential")
	})
}

// listedCredential is a credential as JSON.
type listedCredential struct {
	Credential string    `json:"credential"`
	Principal  string    `json:"principal"`
	Tenant     string    `json:"tenant"`
	Roles      []string  `json:"roles,omitempty"`
	Groups     []string  `json:"groups,omitempty"`
	Scopes     []string  `json:"scopes,omitempty"`
	Added      time.Time `json:"added"`
	AddedBy    string    `json:"addedBy"`
}

func listedCredentialOf(k accounts.Credential) listedCredential {
	return listedCredential{k.Credential, k.Principal, k.Tenant, k.Roles, k.Groups, k.Scopes, k.Added, k.AddedBy}
}

func (cmd *command) credentialList(c *cli.Context) error {
	if err := cmp.Or(cmdline.NoArguments(c), cmdline.NeedFlags(c, "tenant", "principal")); err != nil {
		return err
	}
	return cmd.withAccounts(false, func(ctx context.Context, s *accounts.Service, _ *scylla.DB, _ config.Config) error {
		out := cmdline.NewTable(cmd.stdout, c.Bool("json"), "CREDENTIAL", "ROLES", "SCOPES", "ADDED", "BY")
		list := func(after string) (accounts.Page[accounts.Credential], error) {
			return s.ListCredentials(ctx, c.String("tenant"), c.String("principal"), after, 0)
		}
		err := eachPage(list, func(k accounts.Credential) error {
			return out.Row(listedCredentialOf(k), k.Credential, strings.Join(k.Roles, ","), strings.Join(k.Scopes, ","), cmdline.Moment(k.Added), k.AddedBy)
		})
		return during(errors.Join(err, out.Flush()), "listing credentials")
	})
}

package gateway

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) policyCommand() cli.Command {
	folder := cli.StringFlag{Name: "folder", Usage: "the `FOLDER` with your own policies, or one .cedar file, in place of the one of the configuration; '' is none"}
	withoutRoles := cli.BoolFlag{Name: "without-roles", Usage: "with --folder: leave out the roles of the gateway, as policies.without_roles does"}
	asJSON := cli.BoolFlag{Name: "json", Usage: "as a JSON object"}
	return cli.Command{
		Name:         "policy",
		Usage:        "checks policies, and explains what they decide",
		OnUsageError: cmdline.UsageError,
		Description: `
   Policies are written in Cedar, in files that end in .cedar, with tests in
   files that end in .tests.json. A gateway has its own guards and roles, and
   takes yours when they are good, all tests have the expected outcome, and a
   manifest, policies.sum, has the sums of these very files.
`,
		Subcommands: []cli.Command{
			{
				Name: "check", Usage: "checks policies and runs their tests", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Description: `
   Looks at policies as a gateway would, whether or not they have a manifest.
`,
				Flags:  []cli.Flag{folder, withoutRoles, asJSON, cli.BoolFlag{Name: "sealed", Usage: "fail also where the manifest is not that of these files"}},
				Action: cmd.policyCheck,
			},
			{
				Name: "seal", Usage: "checks policies and writes their manifest, so that gateways take them", ArgsUsage: " ", OnUsageError: cmdline.UsageError,
				Flags:  []cli.Flag{folder, withoutRoles},
				Action: cmd.policySeal,
			},
			{
				Name: "explain", Usage: "says how a request is decided, and why", ArgsUsage: "[<file>]", OnUsageError: cmdline.UsageError,
				Description: `
   Reads a request from the file, or from standard input, as

     {"principal": {"id": "ursula", "tenant": "acme", "roles": ["user"],
                    "method": "jwt", "scopes": ["*"]},
      "action": "pins:delete",
      "resource": {"pin": {"id": "r1", "tenant": "acme", "owner": "adam"}},
      "context": {"ip": "192.0.2.1", "time": "2026-06-01T12:00:00Z", "tls": true}}

   A resource is one of pin, tenant, key and cluster, as in tests of policies.
   The context may be left out, and is then the one above. The exit code is 0
   also for what is denied.
`,
				Flags:  []cli.Flag{folder, withoutRoles, asJSON},
				Action: cmd.policyExplain,
			},
		},
		Action: cmdline.GroupAction,
	}
}

// policies are which ones a command is about. An empty folder is none but the gateway's.
type policies struct {
	folder       authz.Folder
	withoutRoles bool
}

// policies reads the flags, and without them the configuration.
func (cmd *command) policies(c *cli.Context) (policies, error) {
	if c.IsSet("folder") {
		return policies{authz.Folder(c.String("folder")), c.Bool("without-roles")}, nil
	}
	if c.Bool("without-roles") {
		return policies{}, fmt.Errorf("reading --without-roles: it goes with --folder")
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return policies{}, fmt.Errorf("%w; or use --folder", err)
	}
	return policies{authz.Folder(cfg.Resolve(cfg.Policies.Folder)), cfg.Policies.WithoutRoles}, nil
}

// set reads the policies, sealed or not.
func (p policies) set() (*authz.Set, error) {
	var own []authz.File
	if p.folder != "" {
		files, err := p.folder.Files()
		if err != nil {
			return nil, err
		}
		own = files
	}
	return authz.NewSet(own, p.withoutRoles)
}

// check is authz.Check, also of none but the gateway's own policies.
func (p policies) check() (authz.Report, error) {
	if p.folder != "" {
		return authz.Check(p.folder, p.withoutRoles)
	}
	set, err := p.set()
	if err != nil {
		return authz.Report{}, err
	}
	return authz.Report{Version: set.Version(), Policies: set.Policies(), Sealed: true}, nil
}

func (cmd *command) policyCheck(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	p, err := cmd.policies(c)
	if err != nil {
		return err
	}
	report, err := p.check()
	if err != nil {
		return fmt.Errorf("checking policies: %s", lines(err))
	}
	if c.Bool("json") {
		err = cmdline.PrintJSON(cmd.stdout, report)
	} else {
		_, err = io.WriteString(cmd.stdout, reportText(report))
	}
	if err != nil {
		return cmdline.Written(err)
	}
	if c.Bool("sealed") && !report.Sealed {
		return fmt.Errorf("checking policies: gateways do not take them: %s", report.Unsealed)
	}
	return nil
}

func reportText(r authz.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "policies %s\n", r.Version)
	fmt.Fprintf(&b, "good: %d policies, and %d tests with the expected outcome\n", len(r.Policies), r.Cases)
	if len(r.Untested) > 0 {
		fmt.Fprintf(&b, "decide no test: %s\n", strings.Join(r.Untested, ", "))
	}
	if !r.Sealed {
		fmt.Fprintf(&b, "gateways do not take them: %s; \"pin-gateway policy seal\" writes the manifest\n", r.Unsealed)
	}
	return b.String()
}

func (cmd *command) policySeal(c *cli.Context) error {
	if err := cmdline.NoArguments(c); err != nil {
		return err
	}
	p, err := cmd.policies(c)
	if err != nil {
		return err
	}
	if p.folder == "" {
		return fmt.Errorf("sealing policies: there is no folder: set policies.folder, or use --folder")
	}
	if err := p.folder.Seal(p.withoutRoles); err != nil {
		return fmt.Errorf("sealing policies: %s", lines(err))
	}
	return nil
}

func (cmd *command) policyExplain(c *cli.Context) error {
	if c.NArg() > 1 {
		return fmt.Errorf("reading the arguments: %q is one too many, see %s --help", c.Args().Get(1), c.Command.HelpName)
	}
	p, err := cmd.policies(c)
	if err != nil {
		return err
	}
	text, err := cmd.input(c.Args().First())
	if err != nil {
		return err
	}
	request, err := authz.ParseRequest(text)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	set, err := p.set()
	if err != nil {
		return fmt.Errorf("reading policies: %s", lines(err))
	}
	explanation := set.Explain(request)
	if c.Bool("json") {
		return cmdline.PrintJSON(cmd.stdout, explanation)
	}
	_, err = io.WriteString(cmd.stdout, explanation.String())
	return cmdline.Written(err)
}

// maxRequest bounds a request that is explained, in bytes.
const maxRequest = 1 << 20

// input reads a file, or standard input for "" and "-".
func (cmd *command) input(name string) ([]byte, error) {
	from := cmd.stdin
	if name != "" && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxRequest+1))
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if len(text) > maxRequest {
		return nil, fmt.Errorf("reading the request: it has more than %d bytes", maxRequest)
	}
	return text, nil
}

// lines is an error of several lines, each after the first one on a line of its own that is
// set in.
func lines(err error) string { return strings.ReplaceAll(err.Error(), "\n", "\n  ") }

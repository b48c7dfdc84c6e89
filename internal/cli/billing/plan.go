package billing

import (
	"fmt"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) planCommand() cli.Command {
	return cli.Command{
		Name:         "plan",
		Usage:        "checks price lists, and shows them",
		OnUsageError: cmdline.UsageError,
		Description: `
   Price lists are files of YAML or JSON in the folder plans.folder, one for each
   version of a plan: docs/billing-plans.md. They need no server.
`,
		Subcommands: []cli.Command{
			{
				Name: "lint", Usage: "tells what is wrong with price lists, and what is probably not meant", ArgsUsage: "[folder]", OnUsageError: cmdline.UsageError,
				Description: `
   Looks at all plans of a folder, of that of the configuration without one. The
   exit code is 2 if one cannot be used. A warning alone is none.
`,
				Action: cmd.planLint,
			},
			{
				Name: "show", Usage: "lists price lists, or shows one in its canonical form", ArgsUsage: "[plan]", OnUsageError: cmdline.UsageError,
				Flags: []cli.Flag{
					cli.StringFlag{Name: "folder", Usage: "the `FOLDER` with price lists, in place of the one of the configuration"},
					cli.IntFlag{Name: "version", Usage: "the `VERSION` of the plan; without it the last one"},
					cli.BoolFlag{Name: "json", Usage: "one JSON object a line"},
				},
				Action: cmd.planShow,
			},
		},
		Action: cmdline.GroupAction,
	}
}

// planFiles reads the price lists of a folder, of that of the configuration if it is empty.
func (cmd *command) planFiles(folder string) ([]plan.File, error) {
	if folder == "" {
		cfg, err := cmd.loadConfig()
		if err != nil {
			return nil, fmt.Errorf("%w; or name a folder", err)
		}
		if cfg.Plans.Folder == "" {
			return nil, fmt.Errorf("%s has no plans.folder: name a folder", cmd.configPath)
		}
		folder = cfg.Resolve(cfg.Plans.Folder)
	}
	files, err := config.ReadPlans(folder)
	if err != nil {
		return nil, fmt.Errorf("reading the price lists: %w", err)
	}
	return files, nil
}

func (cmd *command) planLint(c *cli.Context) error {
	if c.NArg() > 1 {
		return fmt.Errorf("reading the arguments: %q is one too many, see %s --help", c.Args().Get(1), c.Command.HelpName)
	}
	files, err := cmd.planFiles(c.Args().First())
	if err != nil {
		return err
	}
	wrong := 0
	for _, p := range plan.Lint(files, nil) {
		if !p.Warning {
			wrong++
		}
		if _, err := fmt.Fprintln(cmd.stdout, p); err != nil {
			return cmdline.Written(err)
		}
	}
	if wrong > 0 {
		return cli.NewExitError(fmt.Sprintf("checking the price lists: mistakes that were found: %d", wrong), found)
	}
	fmt.Fprintf(cmd.stderr, "price lists that can be used: %d\n", len(files))
	return nil
}

// listedPlan is a price list as JSON.
type listedPlan struct {
	Plan      string   `json:"plan"`
	Version   int      `json:"version"`
	Effective plan.Day `json:"effective"`
	Currency  string   `json:"currency"`
	Digest    string   `json:"sha256"`
}

func (cmd *command) planShow(c *cli.Context) error {
	if c.NArg() > 1 {
		return fmt.Errorf("reading the arguments: %q is one too many, see %s --help", c.Args().Get(1), c.Command.HelpName)
	}
	files, err := cmd.planFiles(c.String("folder"))
	if err != nil {
		return err
	}
	book, err := plan.NewBook(files, nil)
	if err != nil {
		return fmt.Errorf("reading the price lists: %w", err)
	}
	name, version := c.Args().First(), c.Int("version")
	var last *plan.Plan
	out := cmdline.NewTable(cmd.stdout, c.Bool("json"), "PLAN", "VERSION", "EFFECTIVE", "CURRENCY", "DIGEST")
	for _, p := range book.Plans() {
		switch {
		case name == "":
			l := listedPlan{p.Name(), p.Version(), p.Effective(), p.Currency().Code(), p.Digest()}
			if err := out.Row(l, l.Plan, fmt.Sprint(l.Version), l.Effective.String(), l.Currency, l.Digest[:12]); err != nil {
				return cmdline.Written(err)
			}
		case p.Name() == name && (version == 0 || p.Version() == version):
			last = p
		}
	}
	switch {
	case name == "":
		return cmdline.Written(out.Flush())
	case last == nil && version != 0:
		return fmt.Errorf("showing a price list: there is no version %d of the plan %q", version, name)
	case last == nil:
		return fmt.Errorf("showing a price list: there is no plan %q", name)
	}
	_, err = fmt.Fprintf(cmd.stdout, "%s\n", last.Canonical())
	return cmdline.Written(err)
}

package service

import (
	"fmt"
	"io"
	"runtime"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

const (
	moduleName = "ipfs-cluster-scylla"
	modulePath = "github.com/ipfs-cluster/" + moduleName
)

func (cmd *command) versionCommand() cli.Command {
	return cli.Command{
		Name:  "version",
		Usage: "Prints the ipfs-cluster version",
		Description: `
   Prints the version of IPFS Cluster, as upstream's command does. --all adds
   the versions of the scylla state and of the Go tools that built it.
`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			cli.BoolFlag{
				Name:  "all",
				Usage: "add the versions of the scylla state and of Go",
			},
		},
		Action: func(c *cli.Context) error {
			text := version.Version.String() + "\n"
			if c.Bool("all") {
				text += fmt.Sprintf("%s %s\n%s\n", moduleName, cmdline.ModuleVersion(), runtime.Version())
			}
			_, err := io.WriteString(cmd.stdout, text)
			return err
		},
	}
}

package service

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/urfave/cli"
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
				text += fmt.Sprintf("%s %s\n%s\n", moduleName, moduleVersion(), runtime.Version())
			}
			_, err := io.WriteString(cmd.stdout, text)
			return err
		},
	}
}

// moduleVersion returns the version of this project as the Go tool recorded
// it, "(devel)" for a build without version control.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if info.Main.Path == modulePath && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

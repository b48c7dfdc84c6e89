package gateway

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli"
)

const modulePath = "github.com/ipfs-cluster/ipfs-cluster-scylla"

func (cmd *command) versionCommand() cli.Command {
	return cli.Command{
		Name:         "version",
		Usage:        "shows the version of the program, and of the Go tools that built it",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.stdout, "%s %s\n%s\n", programName, moduleVersion(), runtime.Version())
			return written(err)
		},
	}
}

// moduleVersion returns the version of this project as the Go tool recorded it, "(devel)"
// for a build without version control.
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

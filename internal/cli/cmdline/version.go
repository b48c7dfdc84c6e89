package cmdline

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli"
)

const modulePath = "github.com/ipfs-cluster/ipfs-cluster-scylla"

// VersionCommand is the command version of a program.
func VersionCommand(program string, stdout io.Writer) cli.Command {
	return cli.Command{
		Name:         "version",
		Usage:        "shows the version of the program, and of the Go tools that built it",
		ArgsUsage:    " ",
		OnUsageError: UsageError,
		Action: func(c *cli.Context) error {
			if err := NoArguments(c); err != nil {
				return err
			}
			_, err := fmt.Fprintf(stdout, "%s %s\n%s\n", program, ModuleVersion(), runtime.Version())
			return Written(err)
		},
	}
}

// ModuleVersion returns the version of this project as the Go tool recorded it, "(devel)"
// for a build without version control.
func ModuleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if info.Main.Path == modulePath && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

package service

import (
	"fmt"
	"runtime/debug"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/urfave/cli"
)

const modulePath = "github.com/ipfs-cluster/ipfs-cluster-scylla"

func (cmd *command) versionCommand() cli.Command {
	return cli.Command{
		Name:  "version",
		Usage: "Prints the ipfs-cluster version",
		Description: `
   The first line is the version of IPFS Cluster, as upstream's command prints
   it. The second line is the version of the scylla state.
`,
		OnUsageError: usageError,
		Action: func(*cli.Context) error {
			_, err := fmt.Fprintf(cmd.stdout, "%s\nipfs-cluster-scylla %s\n", version.Version, moduleVersion())
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

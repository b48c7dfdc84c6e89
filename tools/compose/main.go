// Command compose reads the compose file that its argument names as Docker
// Compose does, with the variables of its environment and all profiles, and
// prints the resulting project as JSON. It exits with 1 and a message when the
// file is not valid. Nothing is started or contacted.
//
// It is in a module of its own, so that those who import the store do not get
// the compose library as a dependency.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: compose FILE")
	}
	// A .env file is not read: the result depends on what the caller says.
	options, err := cli.NewProjectOptions(args, cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	json, err := project.MarshalJSON()
	if err != nil {
		return fmt.Errorf("writing the project: %w", err)
	}
	if _, err := out.Write(json); err != nil {
		return fmt.Errorf("writing the project: %w", err)
	}
	return nil
}

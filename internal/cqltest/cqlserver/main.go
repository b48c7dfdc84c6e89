// Command cqlserver runs a CQL server for a command, or keeps one running.
// The server is chosen as package engine says, by CQL_HOSTS, DEMO_ENGINE,
// CQL_NODES and CQL_DCS.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// The flags of exec, see engine.Options: volatile is for tests, periodic for the
// bench, whose figures are those of the engines as they come.
const (
	volatile = "-volatile"
	periodic = "-periodic"
)

const usage = `usage: cqlserver COMMAND
  exec -- CMD ARGS…  start a server, run CMD with CQL_HOSTS and CQL_ENGINE_NAME set, stop the server
  exec -periodic -- CMD ARGS…
                     the same on a server that acknowledges writes before they are on disk
  exec -volatile -- CMD ARGS…
                     the same for tests: a Cassandra that would not keep the schema if it were killed
  up                 start a server that stays, or what has died of it, print CQL_HOSTS=…
  hosts              print CQL_HOSTS=… of the server that up started
  down               stop it and delete its data
  query SELECT       print the rows of a query on the server of CQL_HOSTS, else on that of up
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	cancel()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(exitCode(exit))
	default:
		fmt.Fprintln(os.Stderr, "cqlserver:", err)
		os.Exit(1)
	}
}

// exitCode is the exit code a shell gives: 128 and the signal for a command
// that a signal ended.
func exitCode(e *exec.ExitError) int {
	if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return e.ExitCode()
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(strings.TrimSpace(usage))
	}
	switch cmd, rest := args[0], args[1:]; {
	case cmd == "exec" && len(rest) > 1 && rest[0] == "--":
		return runExec(ctx, engine.Options{}, rest[1:])
	case cmd == "exec" && len(rest) > 2 && rest[0] == volatile && rest[1] == "--":
		return runExec(ctx, engine.Options{Volatile: true}, rest[2:])
	case cmd == "exec" && len(rest) > 2 && rest[0] == periodic && rest[1] == "--":
		return runExec(ctx, engine.Options{Periodic: true}, rest[2:])
	case cmd == "up" && len(rest) == 0:
		return runUp(ctx)
	case cmd == supervise && len(rest) == 0:
		return runSupervise(ctx)
	case cmd == "hosts" && len(rest) == 0:
		return runHosts()
	case cmd == "down" && len(rest) == 0:
		return runDown(ctx)
	case cmd == "query" && len(rest) == 1:
		return runQuery(ctx, rest[0])
	default:
		return fmt.Errorf("cannot read %q\n%s", args, strings.TrimSpace(usage))
	}
}

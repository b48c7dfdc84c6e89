package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// start starts the server that the environment asks for, with the directory and
// the durability of opts.
func start(ctx context.Context, opts engine.Options) (*engine.Engine, error) {
	e, err := engine.StartFromEnv(ctx, opts)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "CQL server ready: %s at %s\n", e.Name(), e.Address())
	return e, nil
}

// runExec runs a command beside a server. The command's failure is its
// result, as an *exec.ExitError.
func runExec(ctx context.Context, opts engine.Options, argv []string) (err error) {
	e, err := start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "CQL_HOSTS="+e.Address(), "CQL_ENGINE_NAME="+e.Name())
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Exited():
	case <-ctx.Done():
		// A Ctrl-C reached the command too, a SIGTERM did not. It gets the
		// time it needs to clean up, then the server goes.
		terminate(p.PID())
	}
	return p.Wait()
}

// terminate sends SIGTERM to a process and to all that it has started: a shell
// ends of it and leaves what it waits for running. What cannot be sent has ended.
func terminate(pid int) {
	tree, err := child.Tree(pid)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cqlserver: not all that was started may end: %s\n", err)
	}
	for _, pid := range tree {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

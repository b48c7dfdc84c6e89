package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// supervise is the command by which up starts the process that holds the
// server.
const supervise = "supervise"

// reviveSignal asks the supervisor to start the nodes again that have died.
const reviveSignal = syscall.SIGUSR1

// runSupervise holds a server until a signal ends it. The data of a Cassandra
// stay, for the next one.
func runSupervise(ctx context.Context) (err error) {
	lock, err := tryLock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	revive := make(chan os.Signal, 1)
	signal.Notify(revive, reviveSignal)
	defer signal.Stop(revive)
	e, err := start(ctx, engine.Options{Dir: dataDir()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop(), os.Remove(statePath())) }()
	if err := keep(e); err != nil {
		return err
	}
	s := state{PID: os.Getpid(), Hosts: e.Address(), Name: e.Name(), Ours: e.Ours()}
	if err := writeJSON(statePath(), s); err != nil {
		return err
	}
	return watch(ctx, e, s, revive)
}

// keep writes down what a later supervisor must know to go on with the data of
// the server, if it has left some.
func keep(e *engine.Engine) error {
	if _, err := os.Stat(dataDir()); !e.Ours() || errors.Is(err, fs.ErrNotExist) {
		return nil // it is no Cassandra of ours
	}
	opts, err := engine.OptionsFromEnv()
	if err != nil {
		return err
	}
	return writeJSON(keptPath(), kept{e.Name(), opts.Nodes, opts.DCs})
}

// watch tells in the state which nodes are dead and starts them again when it
// is asked to, until ctx ends.
func watch(ctx context.Context, e *engine.Engine, s state, revive <-chan os.Signal) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-revive:
			asked = true
			s.Tries++
			s.Failure = ""
			ctx, cancel := context.WithTimeout(ctx, engine.StartTimeout)
			if err := e.Revive(ctx); err != nil {
				s.Failure = err.Error()
			}
			cancel()
		case <-tick.C:
		}
		dead := e.Dead()
		if !asked && slices.Equal(dead, s.Dead) {
			continue
		}
		s.Dead = dead
		if err := writeJSON(statePath(), s); err != nil {
			return err
		}
	}
}

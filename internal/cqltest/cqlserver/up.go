package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

const pollInterval = 100 * time.Millisecond

// runUp prints the address of a server that answers: the one that runs, with
// what died of it started again, or a new one, with the data that one has left.
func runUp(ctx context.Context) error {
	s, err := running()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s, err = launch(ctx)
	case err == nil && len(s.Dead) > 0:
		s, err = reviveDead(ctx, s)
	case err == nil:
		if _, err = engine.Reach(ctx, s.Hosts); err != nil {
			err = fmt.Errorf("%s runs and does not answer: %w; make cql-down ends it and deletes its data", s.Name, err)
		}
	}
	if err != nil {
		return err
	}
	fmt.Println("CQL_HOSTS=" + s.Hosts)
	return nil
}

// launch starts a supervisor in a session of its own and waits until its server
// answers.
func launch(ctx context.Context) (*state, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	left, err := leftBehind()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, supervise)
	cmd.Env = os.Environ()
	if left != nil && os.Getenv("CQL_HOSTS") == "" {
		fmt.Fprintf(os.Stderr, "%s ended without make cql-down; starting it again with its data\n", left.Name)
		cmd.Env = append(cmd.Env, "DEMO_ENGINE=cassandra", "CQL_NODES="+strconv.Itoa(left.Nodes), "CQL_DCS="+strconv.Itoa(left.DCs))
	} else if left == nil {
		// What is there is of a server that never answered.
		if err := os.RemoveAll(dataDir()); err != nil {
			return nil, fmt.Errorf("remove old data: %w", err)
		}
	}
	log, err := os.Create(logPath())
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := os.Remove(statePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old state: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	return waitLaunched(ctx, cmd)
}

// waitLaunched waits until the server of a supervisor answers.
func waitLaunched(ctx context.Context, cmd *exec.Cmd) (*state, error) {
	exited := make(chan error, 1)
	go func() {
		exited <- cmd.Wait()
		close(exited)
	}()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if s, err := running(); err == nil {
			does := "stop it and delete its data"
			if !s.Ours {
				does = "forget it"
			}
			fmt.Fprintf(os.Stderr, "%s runs, %s with: make cql-down\n", s.Name, does)
			return s, nil
		}
		select {
		case err := <-exited:
			text, readErr := os.ReadFile(logPath())
			return nil, errors.Join(fmt.Errorf("the CQL server did not start: %w\n%s", err, text), readErr)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), cmd.Process.Signal(syscall.SIGTERM), <-exited)
		case <-tick.C:
		}
	}
}

// reviveDead has the supervisor start the dead nodes again and waits until they
// answer.
func reviveDead(ctx context.Context, old *state) (*state, error) {
	fmt.Fprintf(os.Stderr, "%s has died at %s; starting it again with its data\n", old.Name, strings.Join(old.Dead, ", "))
	if err := unix.Kill(old.PID, reviveSignal); err != nil {
		return nil, fmt.Errorf("ask supervisor %d to start it again: %w", old.PID, err)
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		s, err := running()
		switch {
		case err != nil:
			return nil, fmt.Errorf("the supervisor ended while it started the CQL server again, see %s: %w", logPath(), err)
		case s.Tries > old.Tries && s.Failure != "":
			return nil, fmt.Errorf("start the CQL server again: %s", s.Failure)
		case s.Tries > old.Tries:
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// alive is running, for those who need the server to answer.
func alive() (*state, error) {
	s, err := running()
	if err == nil && len(s.Dead) > 0 {
		return nil, fmt.Errorf("%s has died at %s; start it again, with its data: make cql-up", s.Name, strings.Join(s.Dead, ", "))
	}
	return s, err
}

func runHosts() error {
	s, err := alive()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no CQL server runs here; start one with: make cql-up")
	}
	if err != nil {
		return err
	}
	fmt.Println("CQL_HOSTS=" + s.Hosts)
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// supervise is the command by which up starts the process that holds the
// server.
const supervise = "supervise"

const pollInterval = 100 * time.Millisecond

// state is what the supervisor writes once its server answers.
type state struct {
	PID   int    `json:"pid"`
	Hosts string `json:"cql_hosts"`
	Name  string `json:"engine"`
}

// The files of up, in .build/cql of the directory it runs in.
func dir() string       { return filepath.Join(".build", "cql") }
func statePath() string { return filepath.Join(dir(), "state.json") }
func lockPath() string  { return filepath.Join(dir(), "lock") }
func logPath() string   { return filepath.Join(dir(), "log") }

// running returns the state of the server that up started, or fs.ErrNotExist.
// The supervisor holds the lock as long as it lives; a state file without it
// was left by one that was killed.
func running() (*state, error) {
	lock, err := tryLock()
	if err == nil {
		return nil, errors.Join(fs.ErrNotExist, lock.Close())
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, err
	}
	data, err := os.ReadFile(statePath())
	if err != nil {
		return nil, fmt.Errorf("read state of the CQL server, is it starting: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", statePath(), err)
	}
	return &s, nil
}

func tryLock() (*os.File, error) {
	if err := os.MkdirAll(dir(), 0o755); err != nil {
		return nil, fmt.Errorf("make directory for the state: %w", err)
	}
	f, err := os.OpenFile(lockPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", lockPath(), err), f.Close())
	}
	return f, nil
}

// runUp starts a supervisor in a session of its own and waits until its
// server answers.
func runUp(ctx context.Context) error {
	if s, err := running(); err == nil {
		fmt.Println("CQL_HOSTS=" + s.Hosts)
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	log, err := os.Create(logPath())
	if err != nil {
		return fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, supervise)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := os.Remove(statePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old state: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	exited := make(chan error, 1)
	go func() {
		exited <- cmd.Wait()
		close(exited)
	}()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if s, err := running(); err == nil {
			fmt.Fprintf(os.Stderr, "%s runs, stop it with: make cql-down\n", s.Name)
			fmt.Println("CQL_HOSTS=" + s.Hosts)
			return nil
		}
		select {
		case err := <-exited:
			text, readErr := os.ReadFile(logPath())
			return errors.Join(fmt.Errorf("the CQL server did not start: %w\n%s", err, text), readErr)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), cmd.Process.Signal(syscall.SIGTERM), <-exited)
		case <-tick.C:
		}
	}
}

// runSupervise holds a server until a signal ends it.
func runSupervise(ctx context.Context) (err error) {
	lock, err := tryLock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	e, err := start(ctx, engine.StartFromEnv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop(), os.Remove(statePath())) }()
	data, err := json.Marshal(state{PID: os.Getpid(), Hosts: e.Address(), Name: e.Name()})
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	// Renamed into place: a reader sees all of it or nothing.
	if err := os.WriteFile(statePath()+".new", data, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(statePath()+".new", statePath()); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	<-ctx.Done()
	return nil
}

func runHosts() error {
	s, err := running()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no CQL server runs here; start one with: make cql-up")
	}
	if err != nil {
		return err
	}
	fmt.Println("CQL_HOSTS=" + s.Hosts)
	return nil
}

// runDown stops the server and returns when it is gone. That none runs is no
// error.
func runDown(ctx context.Context) error {
	s, err := running()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "no CQL server runs here")
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.Kill(s.PID, unix.SIGTERM); err != nil {
		return fmt.Errorf("stop supervisor %d: %w", s.PID, err)
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if _, err := running(); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "%s stopped\n", s.Name)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// state is what the supervisor tells of its server once it answers.
type state struct {
	PID   int    `json:"pid"`
	Hosts string `json:"cql_hosts"`
	Name  string `json:"engine"`
	Ours  bool   `json:"ours"` // down ends it
	// Dead are the addresses of nodes that have ended, Tries how often they were
	// to be started again, Failure why the last try did not work.
	Dead    []string `json:"dead,omitempty"`
	Tries   int      `json:"tries,omitempty"`
	Failure string   `json:"failure,omitempty"`
}

// kept describes a Cassandra whose data are in dataDir.
type kept struct {
	Name  string `json:"engine"`
	Nodes int    `json:"nodes"`
	DCs   int    `json:"dcs"`
}

// The files of up, in .build/cql of the directory it runs in.
func dir() string       { return filepath.Join(".build", "cql") }
func statePath() string { return filepath.Join(dir(), "state.json") }
func lockPath() string  { return filepath.Join(dir(), "lock") }
func logPath() string   { return filepath.Join(dir(), "log") }
func dataDir() string   { return filepath.Join(dir(), "data") }
func keptPath() string  { return filepath.Join(dataDir(), "cluster.json") }

// errStarting does not match fs.ErrNotExist: the server's data must not be
// touched.
var errStarting = errors.New("a CQL server is being started or stopped here: run this again when that is done")

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
	var s state
	if err := readJSON(statePath(), &s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errStarting
		}
		return nil, fmt.Errorf("read state of the CQL server: %w", err)
	}
	return &s, nil
}

// leftBehind returns what a supervisor that is gone has left, or nil.
func leftBehind() (*kept, error) {
	var k kept
	err := readJSON(keptPath(), &k)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing is left
	}
	if err != nil {
		return nil, fmt.Errorf("read what is left of a CQL server: %w; make cql-down deletes it", err)
	}
	return &k, nil
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

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON renames the file into place: a reader sees all of it or nothing.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// runDown stops the server, deletes its data, and returns when both are gone.
// It is not an error when none runs.
func runDown(ctx context.Context) error {
	s, err := running()
	if errors.Is(err, fs.ErrNotExist) {
		return deleteLeft()
	}
	if err != nil {
		return err
	}
	if s.Ours {
		fmt.Fprintf(os.Stderr, "stopping %s and deleting its data\n", s.Name)
	} else {
		fmt.Fprintf(os.Stderr, "leaving alone %s, which was not started here\n", s.Name)
	}
	if err := unix.Kill(s.PID, unix.SIGTERM); err != nil {
		return fmt.Errorf("stop supervisor %d: %w", s.PID, err)
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if _, err := running(); errors.Is(err, fs.ErrNotExist) {
			if !s.Ours {
				return nil // data that another one has left stay, too
			}
			return removeData()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// deleteLeft deletes the data of a server that is gone.
func deleteLeft() error {
	left, err := leftBehind()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "no CQL server runs here; deleting what one has left in", dataDir())
	case left != nil:
		fmt.Fprintf(os.Stderr, "no CQL server runs here; deleting the data that %s has left\n", left.Name)
	default:
		fmt.Fprintln(os.Stderr, "no CQL server runs here")
	}
	return removeData()
}

func removeData() error {
	if err := os.RemoveAll(dataDir()); err != nil {
		return fmt.Errorf("delete the data of the CQL server: %w", err)
	}
	return nil
}

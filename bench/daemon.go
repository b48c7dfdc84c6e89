package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

const (
	readyTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
	pollEvery    = 2 * time.Millisecond
)

// daemon is a run of a service.
type daemon struct {
	*child.Process
	service *service
	started time.Time
	log     *watchedLog
}

// start runs the daemon, with more arguments.
func (s *service) start(ctx context.Context, args ...string) (*daemon, error) {
	d := &daemon{service: s, log: newWatchedLog()}
	cmd := s.command(ctx, append([]string{"daemon"}, args...)...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	d.started = time.Now()
	var err error
	if d.Process, err = child.Start(cmd); err != nil {
		return nil, err
	}
	return d, nil
}

// firstPin asks for a pin until the daemon accepts it, and returns how long
// that was after the start of the process. The pin is removed again.
func (d *daemon) firstPin(ctx context.Context, c api.Cid) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := d.request(ctx, http.MethodPost, c)
		if err == nil {
			break
		}
		if err := d.wait(ctx, time.After(pollEvery)); err != nil {
			return 0, fmt.Errorf("waiting for the first pin: %w", err)
		}
	}
	took := time.Since(d.started)
	if err := d.request(ctx, http.MethodDelete, c); err != nil {
		return 0, fmt.Errorf("removing the first pin: %w", err)
	}
	return took, nil
}

func (d *daemon) request(ctx context.Context, method string, c api.Cid) error {
	req, err := http.NewRequestWithContext(ctx, method, d.service.url+"/pins/"+c.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, req.URL.Path, res.Status, text)
	}
	return err
}

// ready waits until the log says so, and returns how long that was after the start of
// the process.
func (d *daemon) ready(ctx context.Context) (time.Duration, error) {
	for {
		if at, ok := d.log.ready(); ok {
			return at.Sub(d.started), nil
		}
		if err := d.wait(ctx, time.After(pollEvery)); err != nil {
			return 0, fmt.Errorf("waiting for %q in the log: %w", readyLine, err)
		}
	}
}

// wait returns nil after the given time, and an error when ctx or the daemon
// has ended before.
func (d *daemon) wait(ctx context.Context, timer <-chan time.Time) error {
	select {
	case <-timer:
		return nil
	case <-d.Exited():
		return errors.Join(fmt.Errorf("the daemon has ended; the end of its log:\n%s", d.log.tail()), d.Wait())
	case <-ctx.Done():
		return fmt.Errorf("%w; the end of the daemon's log:\n%s", context.Cause(ctx), d.log.tail())
	}
}

// stop ends the daemon as a user does, or kills it when that takes long.
func (d *daemon) stop() error {
	if err := d.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.AfterFunc(stopTimeout, d.Kill)
	err := d.Wait()
	if !timer.Stop() {
		return fmt.Errorf("the daemon did not stop within %s", stopTimeout)
	}
	return err
}

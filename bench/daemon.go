package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	ipfstest "github.com/ipfs-cluster/ipfs-cluster/test"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

const (
	readyTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
	pollEvery    = 2 * time.Millisecond
)

// service is an ipfs-cluster-service with a folder of its own, over upstream's
// mock of IPFS, which runs in this process and costs the daemon nothing.
type service struct {
	binary string
	url    string // of the REST API
	env    []string
	ipfs   *ipfstest.IpfsMock
}

// newService runs init in dir. Each index has ports of its own.
func newService(ctx context.Context, binary, dir string, index int, conf *scyllastate.Config, recoverEvery time.Duration) (*service, error) {
	pid := os.Getpid() // no other process has this loopback address
	host := fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&255, pid&255)
	listen := func(offset int) string { return fmt.Sprintf("/ip4/%s/tcp/%d", host, 9094+10*index+offset) }
	// It takes a *testing.T for a failure that a store in memory cannot have.
	mock := ipfstest.NewIpfsMock(nil)
	ipfs := fmt.Sprintf("/ip4/%s/tcp/%d", mock.Addr, mock.Port)
	s := &service{binary: binary, ipfs: mock, url: "http://" + net.JoinHostPort(host, strconv.Itoa(9094+10*index))}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "CLUSTER_") && !strings.HasPrefix(name, "IPFS_") {
			s.env = append(s.env, kv)
		}
	}
	for name, value := range map[string]string{
		"HOME":                                     dir,
		"IPFS_CLUSTER_PATH":                        filepath.Join(dir, "cluster"),
		"IPFS_CLUSTER_LOG_LEVEL":                   "info,cluster:debug",
		"CLUSTER_SECRET":                           hex.EncodeToString(conf.Secret),
		"CLUSTER_MDNSINTERVAL":                     "0",
		"CLUSTER_PINRECOVERINTERVAL":               recoverEvery.String(),
		"CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS":   listen(0),
		"CLUSTER_IPFSPROXY_LISTENMULTIADDRESS":     listen(1),
		"CLUSTER_LISTENMULTIADDRESS":               listen(2),
		"CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": listen(3),
		"CLUSTER_IPFSHTTP_NODEMULTIADDRESS":        ipfs,
		"CLUSTER_IPFSPROXY_NODEMULTIADDRESS":       ipfs,
		"CLUSTER_SCYLLA_HOSTS":                     strings.Join(conf.Hosts, ","),
		"CLUSTER_SCYLLA_PORT":                      strconv.Itoa(conf.Port),
		"CLUSTER_SCYLLA_KEYSPACE":                  conf.Keyspace,
	} {
		s.env = append(s.env, name+"="+value)
	}
	if out, err := s.command(ctx, "init", "--state", "scylla").CombinedOutput(); err != nil {
		s.close()
		return nil, fmt.Errorf("%s init: %w\n%s", binary, err, out)
	}
	return s, nil
}

func (s *service) close() { s.ipfs.Close() }

func (s *service) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = s.env
	return cmd
}

// daemon is a run of a service.
type daemon struct {
	*child.Process
	service *service
	started time.Time
	log     *watchedLog
}

func (s *service) start(ctx context.Context) (*daemon, error) {
	d := &daemon{service: s, log: newWatchedLog()}
	cmd := s.command(ctx, "daemon")
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

// logged waits until the log has had the line n times, and returns how long
// the last of them was after the start of the process.
func (d *daemon) logged(ctx context.Context, line string, n int) (time.Duration, error) {
	for {
		if at, ok := d.log.when(line, n); ok {
			return at.Sub(d.started), nil
		}
		if err := d.wait(ctx, time.After(pollEvery)); err != nil {
			return 0, fmt.Errorf("waiting for line %d of %q in the log: %w", n, line, err)
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

// memory is the resident memory of the daemon in bytes, now and at its peak.
func (d *daemon) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of the daemon: %w", err)
	}
	if now, err = statusField(text, "VmRSS:"); err != nil {
		return 0, 0, err
	}
	peak, err = statusField(text, "VmHWM:")
	return now, peak, err
}

// statusField reads a size from a file like /proc/PID/status.
func statusField(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseFloat(f[1], 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of the process", name)
}

// ticksPerSecond is the unit of CPU times in /proc on every Linux that Go
// runs on.
const ticksPerSecond = 100

// cpu is the processor time that the daemon has used, in seconds.
func (d *daemon) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.PID()))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of the daemon: %w", err)
	}
	return statCPU(string(text))
}

// statCPU reads a file like /proc/PID/stat. The second field is the name of
// the program in parentheses, which may hold anything.
func statCPU(text string) (float64, error) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("cannot read the processor time in %q", text)
	}
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	system, err := strconv.ParseFloat(f[12], 64)
	if err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	return (user + system) / ticksPerSecond, nil
}

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// natsProcess is a NATS server.
type natsProcess struct {
	*daemon
	dir, listen, pid string
	starts           int
}

// consumerProcess is a consumer of events. Its folder has its state and its table.
type consumerProcess struct {
	arms
	*daemon
	dir    string
	starts int
}

func (c *eventsCrashing) peers() []*crashPeer { return []*crashPeer{c.front, c.back} }

func (c *eventsCrashing) url() string { return "nats://" + c.nats.listen }

// startNATS starts the NATS server on its folder, and returns when it listens.
func (c *eventsCrashing) startNATS(t *testing.T) {
	t.Helper()
	n := &c.nats
	n.starts++
	cmd := exec.Command(c.others, "nats", n.dir, n.listen)
	cmd.Env = environ(filepath.Dir(n.dir), nil)
	n.daemon = start(c.t, fmt.Sprintf("%s-%d.log", n.dir, n.starts), cmd)
	if err := os.WriteFile(n.pid, []byte(strconv.Itoa(n.PID())), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, readyTimeout, "NATS listens", func() error {
		n.running(t)
		conn, err := net.Dial("tcp", n.listen)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// startConsumer starts the consumer, which is killed where it is armed.
func (c *eventsCrashing) startConsumer(t *testing.T) {
	t.Helper()
	p := &c.consumer
	p.starts++
	cmd := exec.Command(c.others, "consume", p.dir, c.url())
	env := p.env()
	env[crashServerEnv] = c.nats.pid
	cmd.Env = environ(p.dir, env)
	p.daemon = start(c.t, fmt.Sprintf("%s-%d.log", p.dir, p.starts), cmd)
}

// revive makes all run, not to be killed any more.
func (c *eventsCrashing) revive(t *testing.T) {
	t.Helper()
	c.consumer.arm(t, "", "")
	for _, p := range c.peers() {
		p.arm(t, "", "")
	}
	if hasEnded(c.nats.daemon) {
		c.startNATS(t)
	}
	if hasEnded(c.consumer.daemon) {
		c.startConsumer(t)
	}
	c.crashing.revive(t)
}

func hasEnded(d *daemon) bool {
	select {
	case <-d.Exited():
		return true
	default:
		return false
	}
}

package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// shutDownTimeout bounds the end of a node that was asked to end. It takes a
// second or two.
const shutDownTimeout = 30 * time.Second

// logTail is how much of a node's log an error shows, in bytes.
const logTail = 3000

// node is one JVM.
type node struct {
	addr, seed, dc string
	dir            string // all its files
	auth           bool
	periodic       bool
	volatile       bool
	noHints        bool
	process        *child.Process // nil until start
}

func (n *node) start(java, lib string) error {
	if err := n.writeFiles(); err != nil {
		return err
	}
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log of node %s: %w", n.addr, err)
	}
	defer log.Close()
	cmd := exec.Command(java, n.arguments(lib)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, log, log
	// Its own process group: a Ctrl-C at the terminal is for us to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	n.process, err = child.Start(cmd)
	return err
}

// writeFiles writes the configuration of the node.
func (n *node) writeFiles() error {
	if err := os.MkdirAll(filepath.Join(n.dir, "tmp"), 0o700); err != nil {
		return fmt.Errorf("make directory of node %s: %w", n.addr, err)
	}
	for name, text := range map[string]string{
		"cassandra.yaml":              n.yaml(),
		"cassandra-rackdc.properties": "dc=" + n.dc + "\nrack=rack1\n",
		"logback.xml":                 logback,
	} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s of node %s: %w", name, n.addr, err)
		}
	}
	return nil
}

func (n *node) config() *gocql.ClusterConfig {
	return AdminConfig([]string{n.addr}, cqlPort, n.auth)
}

func (n *node) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	if _, err := waitCQL(ctx, n.config(), n.process.Exited()); err != nil {
		return fmt.Errorf("node %s of Cassandra did not become ready: %w; the end of its log:\n%s", n.addr, err, n.tail())
	}
	return nil
}

// waitGossip waits until the node takes connections of the other nodes.
func (n *node) waitGossip(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(n.addr, strconv.Itoa(storagePort)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-n.process.Exited():
			return fmt.Errorf("node %s of Cassandra has ended; the end of its log:\n%s", n.addr, n.tail())
		case <-ctx.Done():
			return fmt.Errorf("node %s of Cassandra takes no connections of other nodes: %w; the end of its log:\n%s", n.addr, err, n.tail())
		}
	}
}

// waitPeers waits until the node knows the others of all by their addresses.
func (n *node) waitPeers(ctx context.Context, all []string) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	others := slices.DeleteFunc(all, func(addr string) bool { return addr == n.addr })
	if err := waitPeers(ctx, n.config(), others, n.process.Exited()); err != nil {
		return fmt.Errorf("node %s of Cassandra did not join: %w; the end of its log:\n%s", n.addr, err, n.tail())
	}
	return nil
}

// ended tells whether the node was started and its process is gone.
func (n *node) ended() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.Exited():
		return true
	default:
		return false
	}
}

// kill ends the node at once and returns when it is gone.
func (n *node) kill() {
	if n.process != nil {
		n.process.Kill()
	}
}

// shutDown lets the node write down what it holds in memory. One that does not
// end, such as a frozen one, is killed.
func (n *node) shutDown() {
	if n.process == nil || n.process.Signal(syscall.SIGTERM) != nil {
		return // it has ended
	}
	timer := time.AfterFunc(shutDownTimeout, n.process.Kill)
	<-n.process.Exited()
	timer.Stop()
}

func (n *node) logPath() string { return filepath.Join(n.dir, "system.log") }

// tail returns the end of the log, or why it cannot be read.
func (n *node) tail() string {
	f, err := os.Open(n.logPath())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		if _, err := f.Seek(-logTail, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.ToValidUTF8(string(text), "")
}

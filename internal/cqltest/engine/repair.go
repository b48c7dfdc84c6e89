package engine

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Repair runs "nodetool repair -full" of a keyspace at node i, which brings together
// what all replicas have of the ranges of that node. It needs jcmd of the JDK, to let the
// node listen to nodetool.
func (c *CassandraCluster) Repair(ctx context.Context, i int, keyspace string) error {
	n := c.nodes[i]
	port, err := freePort()
	if err != nil {
		return fmt.Errorf("repair node %s of Cassandra: %w", n.addr, err)
	}
	text := strconv.Itoa(port)
	java, err := filepath.EvalSymlinks(c.java) // beside which is the rest of its JDK
	if err != nil {
		return fmt.Errorf("find the JDK of %s: %w", c.java, err)
	}
	jcmd := filepath.Join(filepath.Dir(java), "jcmd")
	pid := strconv.Itoa(n.process.PID())
	if err := run(ctx, jcmd, pid, "ManagementAgent.start", "jmxremote.port="+text, "jmxremote.rmi.port="+text, "jmxremote.host=127.0.0.1",
		"jmxremote.authenticate=false", "jmxremote.ssl=false"); err != nil {
		return fmt.Errorf("let node %s of Cassandra listen to nodetool: %w", n.addr, err)
	}
	// nodetool keeps a list of what it was told to do in the user's home.
	repair := run(ctx, c.java, append(openJDK(), "-Duser.home="+n.dir, "-cp", filepath.Join(c.lib, "*"), "org.apache.cassandra.tools.NodeTool",
		"-h", "127.0.0.1", "-p", text, "repair", "-full", keyspace)...)
	if err := run(ctx, jcmd, pid, "ManagementAgent.stop"); err != nil && repair == nil {
		repair = err
	}
	if repair != nil {
		return fmt.Errorf("repair node %s of Cassandra: %w", n.addr, repair)
	}
	return nil
}

// run runs a program to its end. Its error has what it printed.
func run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// freePort is a port of the loopback address that nobody has now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()                          //nolint:errcheck // nothing was sent
	return l.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // of a TCP listener
}

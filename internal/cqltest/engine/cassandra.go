package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// nodeTimeout bounds the start of one node. It takes 11 s on two idle cores.
const nodeTimeout = 3 * time.Minute

// CassandraCluster is an Apache Cassandra of child processes. Its methods must
// not be called at once from several goroutines.
type CassandraCluster struct {
	opts      Options
	block     *block
	nodes     []*node
	spare     []string // where Move takes the nodes
	java, lib string   // set by Start
	answered  time.Time
}

// Reserve takes addresses for a Cassandra and starts nothing yet. The
// addresses are its own until Stop, also if Start is never called.
func Reserve(opts Options) (*CassandraCluster, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	b, err := reserveBlock(opts.Nodes)
	if err != nil {
		return nil, err
	}
	c := &CassandraCluster{opts: opts, block: b, spare: b.spare(opts.Nodes)}
	dir := b.dir
	if opts.Dir != "" {
		if dir, err = filepath.Abs(opts.Dir); err != nil {
			return nil, errors.Join(fmt.Errorf("find %s: %w", opts.Dir, err), b.release())
		}
	}
	for i, addr := range b.addrs {
		c.nodes = append(c.nodes, &node{
			addr:     addr,
			seed:     b.addrs[0],
			dc:       fmt.Sprintf("dc%d", i%opts.DCs+1),
			dir:      filepath.Join(dir, fmt.Sprintf("node%d", i+1)),
			auth:     opts.Auth,
			periodic: opts.Periodic,
			volatile: opts.Volatile,
			noHints:  opts.NoHints,
		})
	}
	return c, nil
}

// Start fetches the jars if they are missing, starts the nodes one after the
// other, and returns when every node answers CQL and knows the others. It may
// be called once.
func (c *CassandraCluster) Start(ctx context.Context) error {
	var err error
	if c.java, err = findJava(ctx); err != nil {
		return err
	}
	if c.lib, err = jars(ctx, c.opts); err != nil {
		return err
	}
	return c.startNodes(ctx)
}

// startNodes starts the nodes one after the other, so that each meets the first,
// and waits until each knows the others.
func (c *CassandraCluster) startNodes(ctx context.Context) error {
	for i, n := range c.nodes {
		if err := c.startNode(i); err != nil {
			return err
		}
		if err := n.waitReady(ctx); err != nil {
			return err
		}
	}
	return c.waitJoined(ctx)
}

func (c *CassandraCluster) startNode(i int) error {
	n := c.nodes[i]
	c.opts.say("starting Apache Cassandra %s, node %d of %d (%s, %s)", cassandraVersion, i+1, len(c.nodes), n.addr, n.dc)
	return n.start(c.java, c.lib)
}

// waitJoined waits until each node knows the others, and has the roles.
func (c *CassandraCluster) waitJoined(ctx context.Context) error {
	if err := c.waitPeers(ctx); err != nil {
		return err
	}
	if c.opts.Auth && len(c.nodes) > 1 {
		return c.replicateRoles(ctx)
	}
	return nil
}

// waitPeers waits until every node knows the others.
func (c *CassandraCluster) waitPeers(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.waitPeers(ctx, c.Hosts()); err != nil {
			return err
		}
	}
	return nil
}

// Name says what this is, for people.
func (c *CassandraCluster) Name() string {
	name := "Apache Cassandra " + cassandraVersion + " (Maven)"
	if len(c.nodes) > 1 {
		name += fmt.Sprintf(", %d nodes in %d datacenters", len(c.nodes), c.opts.DCs)
	}
	return name
}

// Hosts are the addresses of the nodes. They are known before Start.
func (c *CassandraCluster) Hosts() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.addr)
	}
	return addrs
}

// Port is the CQL port of every node.
func (c *CassandraCluster) Port() int { return cqlPort }

// Stop kills the nodes, removes their data, but for those in Options.Dir, and
// gives the addresses back. A second call does nothing.
func (c *CassandraCluster) Stop() error {
	if c.block == nil {
		return nil
	}
	for _, n := range c.nodes {
		n.kill()
	}
	err := c.block.release()
	c.block = nil
	if err != nil {
		return errors.Join(errors.New("stop Cassandra"), err)
	}
	return nil
}

package engine

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Freeze stops node i (from 0) with SIGSTOP: it keeps its connections and
// answers nothing.
func (c *CassandraCluster) Freeze(i int) error { return c.nodes[i].process.Signal(syscall.SIGSTOP) }

// Resume lets a frozen node go on.
func (c *CassandraCluster) Resume(i int) error { return c.nodes[i].process.Signal(syscall.SIGCONT) }

// Kill ends node i with SIGKILL, also if it is frozen, and returns when it is
// gone. Its data stays; with Options.Periodic without what it has acknowledged
// in the last tenth of a second.
func (c *CassandraCluster) Kill(i int) { c.nodes[i].kill() }

// ShutDown ends node i as its operator does, and returns when it is gone. It loses
// nothing.
func (c *CassandraCluster) ShutDown(i int) { c.nodes[i].shutDown() }

// Restart starts node i again, at the same address and with the same data, and
// returns when it answers CQL. A node that still runs is shut down first and
// loses nothing.
func (c *CassandraCluster) Restart(ctx context.Context, i int) error {
	n := c.nodes[i]
	n.shutDown()
	c.opts.say("starting node %d of %d again (%s)", i+1, len(c.nodes), n.addr)
	if err := n.start(c.java, c.lib); err != nil {
		return err
	}
	return n.waitReady(ctx)
}

// Dead are the addresses of the nodes that were started and whose process has
// ended.
func (c *CassandraCluster) Dead() []string {
	var dead []string
	for _, n := range c.nodes {
		if n.ended() {
			dead = append(dead, n.addr)
		}
	}
	return dead
}

// Revive is Restart of the nodes that are dead.
func (c *CassandraCluster) Revive(ctx context.Context) error {
	for i, n := range c.nodes {
		if !n.ended() {
			continue
		}
		if err := c.Restart(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Spare are the addresses that Move takes, in the order of Hosts. They are
// known before Start and reserved like those of Hosts.
func (c *CassandraCluster) Spare() []string { return append([]string(nil), c.spare...) }

// Answered is when all nodes answered CQL after Move has started them. Move returns
// later: some time goes by until they forget the old addresses.
func (c *CassandraCluster) Answered() time.Time { return c.answered }

// Move shuts all nodes down and starts them again with the same data at the
// spare addresses, as if every machine had got another address meanwhile. The
// old addresses become the spare ones. It returns when every node answers CQL
// and knows the others by their new addresses.
func (c *CassandraCluster) Move(ctx context.Context) error {
	if !portsFree(c.spare) {
		return fmt.Errorf("move Cassandra: ports %d and %d are not free at all of %v; see who listens: ss -ltnp", cqlPort, storagePort, c.spare)
	}
	for _, n := range c.nodes {
		n.shutDown()
	}
	spare := c.Hosts()
	for i, n := range c.nodes {
		n.addr, n.seed = c.spare[i], c.spare[0]
	}
	c.spare = spare
	if err := c.startAgain(ctx); err != nil {
		return fmt.Errorf("move Cassandra: %w", err)
	}
	return nil
}

// startAgain starts nodes that have their data. They start at once: with
// authentication nobody can log in to one before most of them run. The first is
// the one that the others look for.
func (c *CassandraCluster) startAgain(ctx context.Context) error {
	for i, n := range c.nodes {
		if err := c.startNode(i); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := n.waitGossip(ctx); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := n.waitReady(ctx); err != nil {
			return err
		}
	}
	c.answered = time.Now()
	return c.waitPeers(ctx) // the roles were replicated by Start
}

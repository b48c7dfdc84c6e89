package scylla

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

const (
	// agreeTimeout is how long nodes that are up may take to learn of a change
	// of the schema.
	agreeTimeout = time.Minute
	agreePause   = 200 * time.Millisecond
	// lookAfter is when a node that has not learnt of it is asked whether it
	// is up at all.
	lookAfter = time.Second
)

// change makes one change of the schema and waits until every node that is up
// knows the result. Those that are down learn of it when they return: on
// ScyllaDB from the log of its Raft group 0, on Cassandra from the first node
// they meet.
func (c *contact) change(ctx context.Context, statement string) error {
	err := c.within(ctx, ddlTimeout, func() error { return c.exec.Exec(statement) })
	if err != nil {
		return err
	}
	return c.agree(ctx)
}

// agree waits until every node that is up has the schema of this one.
func (c *contact) agree(ctx context.Context) error {
	return c.within(ctx, agreeTimeout+ddlTimeout, func() error { return c.untilAgreed(ctx) })
}

func (c *contact) untilAgreed(ctx context.Context) error {
	begun := time.Now()
	for {
		others, err := c.disagreeing()
		if err != nil {
			return err
		}
		var left []string
		for _, n := range others {
			if !c.down[n.id] && time.Since(begun) > lookAfter && !c.up(ctx, n) {
				logger.Warnf("node %s of data centre %s does not answer: going on without it, it learns the schema when it returns", n.addr, n.dc)
				c.down[n.id] = true
			}
			if !c.down[n.id] {
				left = append(left, n.addr)
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Since(begun) > agreeTimeout {
			return fmt.Errorf("after %s these nodes still have another schema than %s: %s", agreeTimeout, c.host, strings.Join(left, ", "))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(agreePause):
		}
	}
}

// disagreeing returns the nodes that have another schema, as this node sees
// them.
func (c *contact) disagreeing() ([]node, error) {
	own, err := c.schemaVersion()
	if err != nil {
		return nil, err
	}
	var out []node
	iter := c.exec.Iter("SELECT rpc_address, host_id, data_center, schema_version FROM system.peers")
	for {
		var id, version gocql.UUID
		var addr net.IP
		var dc string
		if !iter.Scan(&addr, &id, &dc, &version) {
			break
		}
		if addr != nil && dc != "" && version != own {
			out = append(out, node{id: id.String(), dc: dc, addr: addr.String()})
		}
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("asking node %s for the schema of the others: %w", c.host, err)
	}
	return out, nil
}

func (c *contact) schemaVersion() (version gocql.UUID, err error) {
	iter := c.exec.Iter("SELECT schema_version FROM system.local WHERE key = 'local'")
	iter.Scan(&version)
	if err := iter.Close(); err != nil {
		return version, fmt.Errorf("asking node %s for its schema: %w", c.host, err)
	}
	return version, nil
}

// up reports whether a node answers.
func (c *contact) up(ctx context.Context, n node) bool {
	other, err := c.conf.dialContact(n.addr, questionTimeout)
	if err != nil {
		return false
	}
	defer other.close()
	return other.within(ctx, questionTimeout, func() error {
		_, err := other.schemaVersion()
		return err
	}) == nil
}

package scylla

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

const (
	// connectTimeout bounds one connection, its handshakes included. A node
	// that hangs takes connections and says nothing.
	connectTimeout = 3 * time.Second
	// nextContact is how long one contact point may be silent before the next
	// is asked as well.
	nextContact = 250 * time.Millisecond
	// questionTimeout bounds one question to a contact point.
	questionTimeout = 3 * time.Second
)

// node is one node of the cluster. Nodes without tokens hold no data and are
// not among them.
type node struct{ id, dc, rack, addr string }

// contact is a connection to one node, for the few questions that come before
// the session: which engine this is, which data centres there are.
type contact struct {
	conf    Config
	exec    gocql.SingleHostQueryExecutor
	host    string
	dialect Dialect
	nodes   []node
	// down are the ids of the nodes that did not answer when they were to learn
	// of a change of the schema. They are not asked again.
	down map[string]bool
}

func (c *contact) close() { c.exec.Close() }

// within calls f, which asks the contact, and closes the contact when ctx ends
// or the limit has passed: the driver takes no context here, and sends what fails
// four times.
func (c *contact) within(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("node %s did not answer within %s", c.host, limit))
	defer cancel()
	stop := context.AfterFunc(ctx, c.close)
	err := f()
	if !stop() { // it is closed, and err tells of that
		return context.Cause(ctx)
	}
	return err
}

// survey connects to the first contact point that answers, and learns from it
// what the cluster is. They are asked in random order, each when the one before
// it has failed or is slow. limit is that of each request to come.
func (c Config) survey(ctx context.Context, limit time.Duration) (*contact, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make(chan answeredBy)
	dial := func(host string) {
		contact, err := c.dialContact(host, limit)
		if err == nil {
			if err = contact.within(ctx, questionTimeout, contact.look); err != nil {
				contact.close()
			}
		}
		select {
		case results <- answeredBy{host, contact, err}:
		case <-ctx.Done(): // another one was faster, or nobody waits any more
			if err == nil {
				contact.close()
			}
		}
	}
	hosts := slices.Clone(c.Hosts)
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	var errs []error
	for begun := 0; len(errs) < len(hosts); {
		var slow <-chan time.Time
		if begun < len(hosts) {
			if begun == len(errs) { // nobody is being asked
				go dial(hosts[begun])
				begun++
			}
			slow = time.After(nextContact)
		}
		select {
		case r := <-results:
			if r.err == nil {
				return r.contact, nil
			}
			if Permanent(r.err) {
				return nil, r.err
			}
			errs = append(errs, r.named())
		case <-slow:
			if begun < len(hosts) {
				go dial(hosts[begun])
				begun++
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, joinDifferent(errs)
}

// answeredBy is what became of one contact point.
type answeredBy struct {
	host    string
	contact *contact
	err     error
}

// named is the error with the host that it is about, which "EOF" does not tell.
func (a answeredBy) named() error {
	if strings.Contains(a.err.Error(), a.host) {
		return a.err
	}
	return fmt.Errorf("%s: %w", a.host, a.err)
}

// dialContact connects to one host. It takes connectTimeout at the most for
// each of its addresses.
func (c Config) dialContact(host string, limit time.Duration) (*contact, error) {
	cc, err := c.cluster()
	if err != nil {
		return nil, err
	}
	cc.Timeout = limit
	cc.Hosts = []string{host}
	// Without a session there is nobody who could handle an event: the driver
	// dies of the first (scylladb/gocql v1.19.0, handleKeyspaceChange).
	cc.Events.DisableNodeStatusEvents = true
	cc.Events.DisableTopologyEvents = true
	cc.Events.DisableSchemaEvents = true
	last := &lastConnectError{metrics: c.Metrics}
	cc.ConnectObserver = last
	exec, err := gocql.NewSingleHostQueryExecutor(cc)
	if err != nil {
		return nil, c.explainConnect(err, last.get())
	}
	return &contact{conf: c, exec: exec, host: host, down: make(map[string]bool)}, nil
}

// look asks for engine, version, data centres and racks.
func (c *contact) look() error {
	// All columns: which there are tells the engines apart.
	local := make(map[string]any)
	iter := c.exec.Iter("SELECT * FROM system.local WHERE key = 'local'")
	iter.MapScan(local)
	if err := iter.Close(); err != nil {
		return fmt.Errorf("asking node %s what it is: %w", c.host, bare(err))
	}
	c.dialect = dialectOf(local)
	if c.dialect.Engine == ScyllaDB {
		// Only a superuser may read this; what matters are the features.
		var version string
		if iter := c.exec.Iter("SELECT version FROM system.versions WHERE key = 'local'"); iter.Scan(&version) && iter.Close() == nil {
			c.dialect.Version = version
		}
	}
	self := node{addr: c.host}
	self.dc, _ = local["data_center"].(string)
	self.rack, _ = local["rack"].(string)
	if id, ok := local["host_id"].(gocql.UUID); ok {
		self.id = id.String()
	}
	if tokens, _ := local["tokens"].([]string); len(tokens) > 0 {
		c.nodes = append(c.nodes, self)
	}
	iter = c.exec.Iter("SELECT rpc_address, host_id, data_center, rack, tokens FROM system.peers")
	for {
		var addr net.IP
		var id gocql.UUID
		var dc, rack string
		var tokens []string
		if !iter.Scan(&addr, &id, &dc, &rack, &tokens) {
			break
		}
		if addr != nil && dc != "" && len(tokens) > 0 { // else it joins, or leaves, or holds no data
			c.nodes = append(c.nodes, node{id.String(), dc, rack, addr.String()})
		}
	}
	if err := iter.Close(); err != nil {
		return fmt.Errorf("asking node %s for the others: %w", c.host, bare(err))
	}
	return nil
}

// explainConnect makes the error of a failed connection. The driver puts the cause of a failure
// into its text only, so the typed error comes from an observer.
func (c Config) explainConnect(err, cause error) error {
	text := strings.TrimSpace(err.Error()) // it ends with a line break
	code, ok := Code(cause)
	switch {
	case rolesUnread(cause):
		return fmt.Errorf("the database %s: %w", roleUnread, cause)
	case ok && code == gocql.ErrCodeCredentials:
		return &PermanentError{Text: "the database refused the user name or the password: correct " + c.field("username and password"), Err: cause}
	case strings.Contains(text, "authentication required"):
		return &PermanentError{Text: "the database wants a user name and a password: set " + c.field("username and password"), Err: errors.New(text)}
	case cause != nil && strings.Contains(text, cause.Error()):
		return bare(cause) // the driver's text around it adds nothing
	case cause != nil:
		return fmt.Errorf("%s; last failed connection: %w", text, bare(cause))
	}
	return errors.New(text)
}

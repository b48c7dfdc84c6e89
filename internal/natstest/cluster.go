package natstest

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout is how long servers may take to start, or to agree on a leader.
const startTimeout = 2 * time.Minute

// Cluster is a number of servers. Its methods are called by one goroutine at a time.
type Cluster struct {
	options Options
	nodes   []*node
	version atomic.Pointer[string] // that servers are said to be of, nil for their own
}

// Options are what servers differ in from those of other tests.
type Options struct {
	// MaxStore is how many bytes JetStream may store at each server, 0 for as many as
	// there is room for.
	MaxStore int64
	// NoJetStream leaves it out.
	NoJetStream bool
	// Configure changes what a server is started with. It may be nil.
	Configure func(*server.Options)
}

// node is one server, or the place of one that is stopped.
type node struct {
	name   string
	dir    string
	server *server.Server // nil while it is stopped
	// client and route are the addresses that it listens on, nil before it has started.
	// A server that starts again has others.
	client, route atomic.Pointer[string]
	// clients is the link of all clients to it, routes those of it to the others.
	clients *link
	routes  map[*node]*link
}

// Start starts n servers, which stop with the test.
func Start(tb testing.TB, n int) *Cluster {
	tb.Helper()
	return StartWith(tb, n, Options{})
}

// StartWith starts n servers with options, which stop with the test.
func StartWith(tb testing.TB, n int, options Options) *Cluster {
	tb.Helper()
	dir, err := os.MkdirTemp("", "natstest-")
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cluster{options: options}
	tb.Cleanup(func() {
		c.close()
		// A server writes for a moment after it says that it has shut down.
		c.waitFor(tb, "an end of writing to "+dir, func() bool { return os.RemoveAll(dir) == nil })
	})
	for i := range n {
		name := "nats" + strconv.Itoa(i)
		c.nodes = append(c.nodes, &node{name: name, dir: filepath.Join(dir, name), routes: make(map[*node]*link)})
	}
	for _, nd := range c.nodes {
		nd.clients = mustLink(tb, &nd.client, &c.version)
		for _, other := range c.nodes {
			if other != nd {
				nd.routes[other] = mustLink(tb, &other.route, new(atomic.Pointer[string]))
			}
		}
	}
	for i := range c.nodes {
		c.Start(tb, i)
	}
	if n > 1 && !options.NoJetStream {
		c.waitFor(tb, "a leader of JetStream", func() bool {
			for _, nd := range c.nodes {
				if nd.server.JetStreamIsLeader() && len(nd.server.JetStreamClusterPeers()) == n {
					return true
				}
			}
			return false
		})
	}
	return c
}

// Start starts a server that is stopped, with the data that it had.
func (c *Cluster) Start(tb testing.TB, i int) {
	tb.Helper()
	nd := c.nodes[i]
	s, err := server.NewServer(c.serverOptions(nd))
	if err != nil {
		tb.Fatalf("starting %s: %s", nd.name, err)
	}
	go s.Start()
	nd.server = s
	if !s.ReadyForConnections(startTimeout) {
		tb.Fatalf("%s has not started in %s", nd.name, startTimeout)
	}
	nd.client.Store(new(s.Addr().String()))
	if routes := s.ClusterAddr(); routes != nil {
		nd.route.Store(new(routes.String()))
	}
	c.Heal(i)
}

func (c *Cluster) serverOptions(nd *node) *server.Options {
	opts := &server.Options{
		ServerName: nd.name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: !c.options.NoJetStream, StoreDir: nd.dir, JetStreamMaxStore: c.options.MaxStore,
	}
	if len(c.nodes) > 1 {
		opts.Cluster = server.ClusterOpts{
			Name: "natstest", Host: "127.0.0.1", Port: server.RANDOM_PORT,
			// Servers tell each other where they are, past the links: nobody is there.
			Advertise: "127.0.0.1:1", NoAdvertise: true,
		}
		for _, l := range nd.routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: l.address()})
		}
	}
	if c.options.Configure != nil {
		c.options.Configure(opts)
	}
	return opts
}

// URLs returns the addresses of all servers for clients.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.nodes))
	for i, nd := range c.nodes {
		urls[i] = "nats://" + nd.clients.address()
	}
	return urls
}

// MonitorURL returns the address of a server's monitoring, which Options.Configure must
// have turned on.
func (c *Cluster) MonitorURL(i int) string {
	return "http://" + c.nodes[i].server.MonitorAddr().String()
}

// Kill stops a server without its telling anybody. Its data stay.
func (c *Cluster) Kill(i int) {
	c.Cut(i)
	c.nodes[i].stop()
}

// Wipe removes the data of a server that is stopped.
func (c *Cluster) Wipe(tb testing.TB, i int) {
	tb.Helper()
	if err := os.RemoveAll(c.nodes[i].dir); err != nil {
		tb.Fatal(err)
	}
}

// Cut separates a server from the others and from all clients.
func (c *Cluster) Cut(i int) { c.setLinks(i, true) }

// Heal undoes Cut.
func (c *Cluster) Heal(i int) { c.setLinks(i, false) }

func (c *Cluster) setLinks(i int, cut bool) {
	nd := c.nodes[i]
	nd.clients.set(cut)
	for other, l := range nd.routes {
		l.set(cut)
		other.routes[nd].set(cut)
	}
}

// SayVersion has all servers tell clients that connect from now on that they are of a version.
// It is a fake of an old server, good for the check of a version and for nothing else. Empty
// ends it.
func (c *Cluster) SayVersion(version string) {
	if version == "" {
		c.version.Store(nil)
		return
	}
	c.version.Store(&version)
}

// Leader returns the server that leads a stream, and waits until there is one.
func (c *Cluster) Leader(tb testing.TB, stream string) int {
	tb.Helper()
	leader := -1
	c.waitFor(tb, "a leader of stream "+stream, func() bool {
		for i, nd := range c.nodes {
			if nd.server != nil && nd.server.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// waitFor polls: servers tell nobody when they have agreed.
func (c *Cluster) waitFor(tb testing.TB, what string, ready func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(startTimeout); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("there was not %s in %s", what, startTimeout)
		}
	}
}

func (c *Cluster) close() {
	for _, nd := range c.nodes {
		nd.stop()
	}
	for _, nd := range c.nodes {
		for _, l := range nd.routes {
			l.close()
		}
		if nd.clients != nil {
			nd.clients.close()
		}
	}
}

func (nd *node) stop() {
	if nd.server == nil {
		return
	}
	nd.server.Shutdown()
	nd.server.WaitForShutdown()
	nd.server = nil
}

func mustLink(tb testing.TB, target, version *atomic.Pointer[string]) *link {
	tb.Helper()
	l, err := newLink(target, version)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

package scyllaface

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/datastax/go-cassandra-native-protocol/message"
)

// The ports of every node of a face.
const (
	cqlPort        = 9042
	shardAwarePort = 19042
)

// Options say what the face shows, and before what. Name, Nodes and Port must
// be set.
type Options struct {
	// Name says what runs behind the face, for people.
	Name string
	// Nodes are the IPv4 addresses of all nodes of a Cassandra and Port is
	// their CQL port.
	Nodes []string
	Port  int
	// Shards is how many shards each node seems to have. 0 means 3.
	Shards int
	// HideShards leaves the shards out of SUPPORTED, as ScyllaDB does with
	// allow_shard_aware_drivers: false.
	HideShards bool
	// Version is what system.versions says. "" means 2025.4.1.
	Version string
	// Features are the supported_features of system.local. Nil means a few,
	// LWT_WITH_TABLETS among them.
	Features []string
	// Superusers are the roles that may read system.versions and system.config.
	// Nil means cassandra. Where nobody logs in, everybody may.
	Superusers []string
}

func (o Options) withDefaults() Options {
	if o.Shards == 0 {
		o.Shards = 3
	}
	if o.Version == "" {
		o.Version = "2025.4.1"
	}
	if o.Features == nil {
		o.Features = []string{"CDC", "LWT", "LWT_WITH_TABLETS", "TABLETS", "TOMBSTONE_GC_OPTIONS"}
	}
	if o.Superusers == nil {
		o.Superusers = []string{"cassandra"}
	}
	return o
}

// Face is a proxy before a Cassandra. Its methods and those of its nodes may
// be called from any goroutine.
type Face struct {
	opts     Options
	grammar  grammar
	lock     net.PacketConn // holds the block of addresses
	nodes    []*Node
	running  sync.WaitGroup
	mu       sync.Mutex
	prepared map[string]*statement // by the identifier that Cassandra gave
	vnodes   map[string]bool       // keyspaces made without tablets
}

// Reserve takes addresses for a face. They are known from now on and its own
// until Close; nothing answers there before Listen.
func Reserve(opts Options) (*Face, error) {
	opts = opts.withDefaults()
	f := &Face{
		opts:     opts,
		grammar:  grammar{version: opts.Version, features: strings.Join(opts.Features, ",")},
		prepared: make(map[string]*statement),
		vnodes:   make(map[string]bool),
	}
	var backends []netip.AddrPort
	for _, node := range opts.Nodes {
		address, err := netip.ParseAddr(node)
		if err != nil || !address.Is4() {
			return nil, fmt.Errorf("node %q of the Cassandra behind a face is not an IPv4 address", node)
		}
		backends = append(backends, netip.AddrPortFrom(address, uint16(opts.Port)))
	}
	if len(backends) == 0 || len(backends) >= moveStep {
		return nil, fmt.Errorf("a face before %d nodes: it takes 1 to %d", len(backends), moveStep-1)
	}
	block, err := f.reserveBlock()
	if err != nil {
		return nil, err
	}
	for i, backend := range backends {
		f.nodes = append(f.nodes, newNode(f, backend, block, i))
	}
	return f, nil
}

// lastBlock is the highest K of the blocks 127.1.K.1 to 254.
const lastBlock = 254

// reserveBlock takes the first block that no other face has. A UDP socket on
// its first address is the lock: the kernel frees it when the process ends.
func (f *Face) reserveBlock() (byte, error) {
	for k := range lastBlock + 1 {
		lock, err := net.ListenPacket("udp4", fmt.Sprintf("127.1.%d.1:%d", k, cqlPort))
		if err == nil {
			f.lock = lock
			return byte(k), nil
		}
	}
	return 0, fmt.Errorf("no loopback block 127.1.0.1 to 127.1.%d.1 has UDP port %d free; see who holds them: ss -lunp", lastBlock, cqlPort)
}

// Listen opens the ports of all nodes. The Cassandra must run.
func (f *Face) Listen(ctx context.Context) error {
	if err := f.checkBackend(ctx); err != nil {
		return err
	}
	for _, n := range f.nodes {
		if err := n.Accept(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all connections, closes the ports and gives the addresses back.
func (f *Face) Close() error {
	for _, n := range f.nodes {
		n.Refuse()
	}
	f.running.Wait()
	if err := f.lock.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("give back the addresses of the face: %w", err)
	}
	return nil
}

// Name says what this is, for people.
func (f *Face) Name() string { return f.opts.Name + " behind a ScyllaDB face" }

// Hosts are the addresses of the nodes now.
func (f *Face) Hosts() []string {
	var out []string
	for _, n := range f.nodes {
		out = append(out, n.Address())
	}
	return out
}

// Port is the CQL port of every node.
func (f *Face) Port() int { return cqlPort }

// Shards is how many shards each node shows.
func (f *Face) Shards() int { return f.opts.Shards }

// Nodes are in the order of Options.Nodes.
func (f *Face) Nodes() []*Node { return slices.Clone(f.nodes) }

// shown returns the address that the face has for one of Cassandra's.
func (f *Face) shown(address netip.Addr) (netip.Addr, bool) {
	for _, n := range f.nodes {
		if n.backend.Addr() == address {
			return n.shown(), true
		}
	}
	return netip.Addr{}, false
}

// supported is what the face offers on a connection.
func (f *Face) supported(shard int) *message.Supported {
	options := map[string][]string{
		"CQL_VERSION":                  {"3.3.1"},
		"COMPRESSION":                  {},
		"SCYLLA_LWT_ADD_METADATA_MARK": {fmt.Sprintf("LWT_OPTIMIZATION_META_BIT_MASK=%d", uint32(lwtMark))},
	}
	if !f.opts.HideShards {
		options["SCYLLA_SHARD"] = []string{strconv.Itoa(shard)}
		options["SCYLLA_NR_SHARDS"] = []string{strconv.Itoa(f.opts.Shards)}
		options["SCYLLA_PARTITIONER"] = []string{"org.apache.cassandra.dht.Murmur3Partitioner"}
		options["SCYLLA_SHARDING_ALGORITHM"] = []string{"biased-token-round-robin"}
		options["SCYLLA_SHARDING_IGNORE_MSB"] = []string{"12"}
		options["SCYLLA_SHARD_AWARE_PORT"] = []string{strconv.Itoa(shardAwarePort)}
	}
	return &message.Supported{Options: options}
}

// statement returns what was prepared under an identifier.
func (f *Face) statement(id string) (*statement, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.prepared[id]
	return s, ok
}

func (f *Face) remember(id string, s *statement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prepared[id] = s
}

func (f *Face) keyspaceMade(name string, vnodes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vnodes[name] = vnodes
}

func (f *Face) hasTablets(keyspace string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.vnodes[keyspace]
}
